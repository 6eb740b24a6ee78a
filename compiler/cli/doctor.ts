/** `gradc doctor`: what this machine can do with compiled models. */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { hasFeature } from '../../runtime/deploy/loader.js';
import { version } from '../artifact/version.js';
import { columns } from './arguments.js';
import type { Command } from './command.js';
import { exitCodes } from './diagnostics.js';

interface Finding {
  readonly name: string;
  readonly available: boolean;
  readonly detail: string;
}

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'what this machine can do: SIMD, threads, nvcc, a GPU',
  positionals: [],
  options: {},
  async run(_, output) {
    const findings = [simd(), relaxedSimd(), threads(), nvcc(), gpu()];
    const text = columns(
      findings.map(({ name, available, detail }) => [name, `${available ? 'yes' : 'no '}  ${detail}`]),
    );
    output.result(`gradc ${version}, Node ${process.version}\n${text}`, {
      gradc: version,
      node: process.version,
      findings,
    });
    return exitCodes.ok;
  },
};

/** A function that returns `v128.const 0`: invalid where there is no SIMD. */
const simdProbe = [
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  5,
  1,
  96,
  0,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  22,
  1,
  20,
  0,
  253,
  12,
  ...new Array<number>(16).fill(0),
  11,
];

function simd(): Finding {
  const available = WebAssembly.validate(new Uint8Array(simdProbe));
  return {
    name: 'wasm SIMD',
    available,
    detail: available ? '128-bit vectors' : 'compiled models need an engine with SIMD',
  };
}

function relaxedSimd(): Finding {
  const available = hasFeature('relaxed-simd');
  return {
    name: 'wasm relaxed SIMD',
    available,
    detail: available
      ? 'fused multiply-add variants are used'
      : 'Node 20 has it behind --experimental-wasm-relaxed-simd; Node 22 and later by default',
  };
}

function threads(): Finding {
  const count = availableParallelism();
  return { name: 'threads', available: count > 1, detail: `${count} processor${count === 1 ? '' : 's'}` };
}

/** The last line a program prints, or null where it cannot be run. */
function ask(program: string, args: readonly string[]): string | null {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? (stdout.trim().split('\n').at(-1) ?? '') : null;
}

function nvcc(): Finding {
  const release = ask('nvcc', ['--version']);
  return {
    name: 'nvcc',
    available: release !== null,
    detail: release ?? 'CUDA C is written, but not compiled; the CUDA toolkit provides nvcc',
  };
}

function gpu(): Finding {
  const name = ask('nvidia-smi', ['--query-gpu=name,compute_cap', '--format=csv,noheader']);
  return { name: 'NVIDIA GPU', available: name !== null, detail: name ?? 'no driver, or no device' };
}
