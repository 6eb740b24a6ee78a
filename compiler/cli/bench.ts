/**
 * `gradc bench`: what each entry of a model costs in time, memory and size, eagerly, compiled, and kernel by kernel.
 */
import { columns } from './arguments.js';
import type { BenchResult, EntryBench, EntryTime, KernelBench } from './bench-model.js';
import { plainSumsSpec, revectorizeSpec, type Variant, variants } from './choices.js';
import type { Command } from './command.js';
import { exitCodes } from './diagnostics.js';

export const benchCommand: Command = {
  name: 'bench',
  summary: 'time, memory and size of each entry, eagerly and compiled, and of its kernels',
  positionals: ['MODEL.ts'],
  options: {
    entry: { doc: 'only these entries', value: 'NAMES', list: true },
    variant: {
      doc: 'which modules; default those for one thread that this engine runs',
      value: 'VARIANTS',
      list: true,
      choices: variants,
    },
    seconds: { doc: 'for each measurement', value: 'S', fallback: '1' },
    integers: { doc: 'integer inputs are drawn from [0, N)', value: 'N', fallback: '2' },
    revectorize: revectorizeSpec,
    'no-winograd': plainSumsSpec,
    'no-eager': { doc: 'leave the eager model out' },
    'no-typecheck': { doc: 'leave the type checker and the source analysis out' },
  },
  async run(args, output) {
    const [{ loadModelFile }, { benchModel }, { measuredBackend }] = await Promise.all([
      import('./model-file.js'),
      import('./bench-model.js'),
      import('./measured-backend.js'),
    ]);
    const options = {
      entries: args.stated('entry') === null ? undefined : args.list('entry'),
      variants: args.stated('variant') === null ? undefined : (args.list('variant') as Variant[]),
      seconds: args.number('seconds', 0.01),
      integers: args.number('integers', 1),
      eager: !args.has('no-eager'),
      progress: output.progress,
      revectorize: args.has('revectorize'),
    };
    const { definition, tuning } = await loadModelFile(args.positionals[0], {
      checkTypes: !args.has('no-typecheck'),
      warn: output.warn,
    });
    const result = await benchModel(definition, {
      ...options,
      backend: measuredBackend(tuning, { revectorize: options.revectorize, winograd: !args.has('no-winograd') }),
    });
    output.result(benchText(result, options.revectorize), { ...result, revectorize: options.revectorize });
    return exitCodes.ok;
  },
};

const milliseconds = (ms: number): string => `${ms < 1 ? ms.toFixed(4) : ms < 100 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;
const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;
const rate = (count: number, ms: number): string => (count / ms / 1e6).toFixed(1);

function benchText(result: BenchResult, revectorize: boolean): string {
  const { name, node, modules, stateBytes, memoryBytes, ceilings, entries } = result;
  const { mulAddGflops, fusedGflops } = ceilings;
  const fused = fusedGflops === null ? '' : `, ${fusedGflops.toFixed(0)} with relaxed SIMD`;
  return `${name}, Node ${node}, one thread${revectorize ? ', modules for the revectorizer' : ''}
${columns([
  ['machine', `${mulAddGflops.toFixed(0)} GFLOP/s${fused}`],
  ['memory', `${kib(memoryBytes)}, of which state ${kib(stateBytes)}`],
  ...modules.map(({ variant, bytes }) => [`module ${variant}`, kib(bytes)]),
])}${entries.map(entryText).join('')}`;
}

function entryText({ entry, times, memoryBytes, eagerBytes, moduleBytes, kernels, flops, bytes }: EntryBench): string {
  const eager = eagerBytes === null ? '' : `; eagerly ${kib(eagerBytes)} a call`;
  return `
${entry}: ${(flops / 1e6).toFixed(1)} million operations, ${kib(bytes)} of traffic
${columns([
  ...times.map(time => [time.variant, timeText(time, times)]),
  ['memory', `${kib(memoryBytes)} beside the state${eager}`],
  ['size', `${kib(moduleBytes)} as a module of its own`],
])}
${kernelTable(kernels)}`;
}

function timeText({ medianMs, minMs, roofline, mode }: EntryTime, times: readonly EntryTime[]): string {
  const eager = times.find(time => time.mode === 'eager');
  const faster =
    mode === 'compiled' && eager ? `, ${(eager.medianMs / medianMs).toFixed(1)} times as fast as eager` : '';
  return `${milliseconds(medianMs)} (least ${milliseconds(minMs)}), ${percent(roofline)} of the machine${faster}`;
}

/** Names to the left, numbers to the right. */
function kernelTable(kernels: readonly KernelBench[]): string {
  const total = kernels.reduce((sum, { medianMs }) => sum + medianMs, 0);
  const head = ['kernel', 'calls', 'time', 'share', 'GFLOP/s', 'GB/s', 'roofline', 'what it computes'];
  const rows = kernels.map(({ kernel, calls, medianMs, flops, bytes, roofline, doc }) => [
    kernel,
    String(calls),
    milliseconds(medianMs),
    percent(medianMs / total),
    rate(flops, medianMs),
    rate(bytes, medianMs),
    percent(roofline),
    doc,
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map(row => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 || i === cells.length - 1 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(row => `  ${line(row)}\n`).join('');
}
