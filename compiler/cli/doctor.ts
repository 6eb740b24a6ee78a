/** `gradc doctor`: what this machine can do with compiled models. */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { hasFeature } from '../../runtime/deploy/features.js';
import { version } from '../artifact/version.js';
import { columns } from './arguments.js';
import type { Command } from './command.js';
import { exitCodes } from './diagnostics.js';
import type { DoctorJson } from './json.js';

export interface Finding {
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
    const result: Omit<DoctorJson, 'schemaVersion'> = { gradc: version, node: process.version, findings };
    output.result(`gradc ${version}, Node ${process.version}\n${text}`, result);
    return exitCodes.ok;
  },
};

const validates = (hex: string): boolean => WebAssembly.validate(Buffer.from(hex, 'hex'));
const header = '0061736d01000000';
/** A function that returns `v128.const 0`. */
const simdProbe = `${header}0105016000017b030201000a16011400fd0c${'00'.repeat(16)}0b`;
/** A memory that threads share. */
const sharedMemoryProbe = `${header}050401030101`;

function simd(): Finding {
  const available = validates(simdProbe);
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
  const processors = `${count} processor${count === 1 ? '' : 's'}`;
  const shares = validates(sharedMemoryProbe);
  return {
    name: 'threads',
    available: shares && count > 1,
    detail: shares ? processors : `${processors}, but this engine has no shared wasm memory`,
  };
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
