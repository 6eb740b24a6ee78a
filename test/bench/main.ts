/**
 * `npm run bench [-- --json] [--kernels] [--no-eager] [--compare DIR] [workload…]`: how long the workloads take, compiled
 * and eagerly, beside what the machine could do.
 */
import { launchesOf } from '../../compiler/ir/program.js';
import { tensorOver } from '../../compiler/ops/tensor.js';
import { hasFeature } from '../../runtime/deploy/loader.js';
import { type Agreement, compareWithCases } from './cases.js';
import { type Ceilings, measureCeilings } from './ceilings.js';
import { CompiledWorkload, type Inputs } from './compiled.js';
import { rooflineMs, totalCost } from './cost.js';
import { agreementTable, ceilingsText, kernelTable, resultTable } from './report.js';
import { measure } from './timing.js';
import { type Workload, workloads } from './workloads.js';

/** One measurement. */
export interface Result {
  readonly workload: string;
  readonly threads: number;
  readonly variant: 'eager' | 'simd128' | 'relaxed';
  readonly mode: 'eager' | 'compiled';
  readonly medianMs: number;
  readonly minMs: number;
  readonly flops: number;
  readonly bytes: number;
  /** The least time on this machine, kernel by kernel, over the median. */
  readonly roofline: number;
}

interface Options {
  readonly json: boolean;
  readonly kernels: boolean;
  readonly eager: boolean;
  /** A folder of outputs recorded from PyTorch. */
  readonly cases: string | null;
  readonly workloads: readonly Workload[];
}

const usage = `usage: npm run bench -- [--json] [--kernels] [--no-eager] [--compare DIR] [workload…]
workloads: ${workloads.map(({ name }) => name).join(' ')}
A name stands for all that begin with it. DIR: outputs recorded from PyTorch, one npz file for each workload.`;

class UsageError extends Error {}

function optionsOf(args: readonly string[]): Options {
  const rest = [...args];
  const flag = (name: string): boolean => {
    const at = rest.indexOf(name);
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  };
  const valueOf = (name: string): string | null => {
    const at = rest.indexOf(name);
    if (at < 0) return null;
    const [, value] = rest.splice(at, 2);
    if (value === undefined) throw new UsageError(`${name} needs a value`);
    return value;
  };
  const options = {
    json: flag('--json'),
    kernels: flag('--kernels'),
    eager: !flag('--no-eager'),
    cases: valueOf('--compare'),
  };
  for (const name of rest) {
    if (name.startsWith('-')) throw new UsageError(`unknown option '${name}'`);
    if (!workloads.some(workload => workload.name.startsWith(name))) throw new UsageError(`no workload '${name}'`);
  }
  const wanted = ({ name }: Workload): boolean => rest.length === 0 || rest.some(prefix => name.startsWith(prefix));
  return { ...options, workloads: workloads.filter(wanted) };
}

/** Results are printed as they come, as a table; with --json once, as one object. */
function main(args: readonly string[]): void {
  const options = optionsOf(args);
  const say = (text: string): void => {
    if (!options.json) process.stdout.write(`${text}\n`);
  };
  const ceilings = measureCeilings();
  say(`Node ${process.version}, one thread; ${ceilingsText(ceilings)}`);
  const table = resultTable();
  say(table.head);
  const results: Result[] = [];
  const details: string[] = [];
  const agreements: Agreement[] = [];
  for (const workload of options.workloads) {
    const compiled = new CompiledWorkload(workload);
    const inputs = workload.inputs();
    if (options.cases !== null) agreements.push(...compareWithCases(options.cases, workload, inputs));
    for (const result of measureWorkload(compiled, inputs, ceilings, options)) {
      results.push(result);
      say(table.row(result));
    }
    if (options.kernels) details.push(kernelDetails(compiled, inputs, ceilings));
  }
  for (const text of details) say(text);
  if (agreements.length > 0) say(`\nagainst PyTorch\n${agreementTable(agreements)}`);
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ schemaVersion: 1, node: process.version, ceilings, results, agreements }, null, 2)}\n`,
    );
  if (!agreements.every(({ agrees }) => agrees)) process.exitCode = 1;
}

function* measureWorkload(
  compiled: CompiledWorkload,
  inputs: Inputs,
  ceilings: Ceilings,
  options: Options,
): Generator<Result> {
  const { name, entry } = compiled.workload;
  const launches = launchesOf(compiled.entry.steps);
  const variants = ['simd128', ...(hasFeature('relaxed-simd') ? ['relaxed'] : [])] as const;
  for (const variant of variants as readonly ('simd128' | 'relaxed')[]) {
    const relaxed = variant === 'relaxed';
    const model = compiled.model(relaxed);
    const times = measure(() => model[entry](inputs));
    const roofline = rooflineMs(launches, ceilings, relaxed) / times.medianMs;
    yield { workload: name, threads: 1, variant, mode: 'compiled', ...times, ...totalCost(launches), roofline };
  }
  if (!options.eager) return;
  const times = measure(() => runEagerly(compiled, inputs));
  const roofline = rooflineMs(launches, ceilings, hasFeature('relaxed-simd')) / times.medianMs;
  yield { workload: name, threads: 1, variant: 'eager', mode: 'eager', ...times, ...totalCost(launches), roofline };
}

function runEagerly({ traced, workload, entry }: CompiledWorkload, inputs: Inputs): unknown {
  const tensors = entry.inputs.map(({ name, type }) => [name, tensorOver(inputs[name], type)] as const);
  return traced.parts.entries[workload.entry].run(Object.fromEntries(tensors));
}

function kernelDetails(compiled: CompiledWorkload, inputs: Inputs, ceilings: Ceilings): string {
  const relaxed = hasFeature('relaxed-simd');
  const launches = launchesOf(compiled.entry.steps).length;
  const times = compiled.kernelTimes(relaxed, inputs);
  return `\n${compiled.workload.name}: ${launches} kernels, compiled in ${compiled.compileMs.toFixed(0)} ms\n${kernelTable(times, ceilings, relaxed)}`;
}

/** As a program: messages for the user's mistakes, the exit code. */
export async function runAsProgram(args: readonly string[]): Promise<void> {
  try {
    main(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exitCode = 2;
  }
}
