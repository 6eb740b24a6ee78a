/**
 * `npm run bench`: how long the workloads take, compiled for one thread and for several, and eagerly, beside what the machine
 * could do; what they take of memory. With `--math` the functions of vectors, with `--startup` whole processes, with
 * `--growth` what many calls leave behind.
 */
import { setFlagsFromString } from 'node:v8';
import { type Ceilings, measureCeilings } from '../../compiler/cli/bench/ceilings.js';
import { rooflineMs, totalCost } from '../../compiler/cli/bench/cost.js';
import { measure } from '../../compiler/cli/bench/timing.js';
import { tensorOver } from '../../compiler/ops/tensor.js';
import { hasFeature } from '../../runtime/deploy/features.js';
import type { Model } from '../../runtime/deploy/model.js';
import { type Agreement, compareWithCases } from './cases.js';
import { CompiledWorkload, type Inputs, type ModuleChoice, type Sizes } from './compiled.js';
import { measureGrowth } from './growth.js';
import { type Options, optionsOf, UsageError, usage } from './options.js';
import { type Share, withShare } from './processors.js';
import {
  agreementTable,
  ceilingsText,
  growthTable,
  kernelTable,
  resultTable,
  sizesTable,
  startupTable,
  vectorTable,
} from './report.js';
import { measureStartup } from './startup.js';
import { measureVectorMath } from './vector-math.js';

/** One measurement. */
export interface Result extends Share {
  readonly workload: string;
  readonly threads: number;
  readonly variant: 'eager' | 'simd128' | 'relaxed' | 'revectorize';
  readonly mode: 'eager' | 'compiled';
  readonly medianMs: number;
  readonly minMs: number;
  readonly flops: number;
  readonly bytes: number;
  /** The least time of this many threads on this machine, kernel by kernel, over the median. */
  readonly roofline: number;
}

export interface WorkloadSizes extends Sizes {
  readonly workload: string;
}

/** For each measurement. */
const seconds = 1;

async function main(args: readonly string[], thread: URL): Promise<void> {
  const options = optionsOf(args);
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  const json = (report: object): void =>
    print(JSON.stringify({ schemaVersion: 1, node: process.version, ...report }, null, 2));
  if (options.math) {
    const speeds = measureVectorMath(hasFeature('relaxed-simd'));
    if (options.json) json({ functions: speeds });
    else print(vectorTable(speeds));
  } else if (options.startup) {
    const processes = measureStartup();
    if (options.json) json({ processes });
    else print(startupTable(processes));
  } else if (options.growth) {
    const growth = measureGrowth(1e5);
    if (options.json) json({ growth });
    else print(growthTable(growth));
  } else {
    const report = await new Bench(options, thread, options.json ? () => {} : print).run();
    if (options.json) json(report);
    if (!report.agreements.every(({ agrees }) => agrees)) process.exitCode = 1;
  }
}

interface Report {
  readonly ceilings: Ceilings;
  readonly results: readonly Result[];
  readonly sizes: readonly WorkloadSizes[];
  readonly agreements: readonly Agreement[];
}

/** Results are said as they come. */
class Bench {
  private readonly ceilings = measureCeilings();

  constructor(
    private readonly options: Options,
    private readonly thread: URL,
    private readonly say: (text: string) => void,
  ) {}

  async run(): Promise<Report> {
    const { ceilings, options, say } = this;
    const table = resultTable();
    say(`Node ${process.version}; ${ceilingsText(ceilings)}\n${table.head}`);
    const results: Result[] = [];
    const sizes: WorkloadSizes[] = [];
    const details: string[] = [];
    const agreements: Agreement[] = [];
    for (const workload of options.workloads) {
      const compiled = new CompiledWorkload(workload);
      const inputs = workload.inputs();
      if (options.cases !== null) agreements.push(...compareWithCases(options.cases, workload, inputs));
      for await (const result of this.measured(compiled, inputs)) {
        results.push(result);
        say(table.row({ ...result, speedUp: speedUpOf(result, results) }));
      }
      sizes.push({ workload: workload.name, ...compiled.sizes() });
      if (options.kernels) details.push(this.kernelDetails(compiled, inputs));
    }
    for (const text of details) say(text);
    say(`\n${sizesTable(sizes)}`);
    if (agreements.length > 0) say(`\nagainst PyTorch\n${agreementTable(agreements)}`);
    return { ceilings, results, sizes, agreements };
  }

  private async *measured(compiled: CompiledWorkload, inputs: Inputs): AsyncGenerator<Result> {
    const { options } = this;
    const relaxed = hasFeature('relaxed-simd');
    yield* this.ofVariant('simd128', { relaxed: false }, compiled, inputs);
    if (relaxed) yield* this.ofVariant('relaxed', { relaxed }, compiled, inputs);
    if (options.revectorize) {
      setFlagsFromString('--experimental-wasm-revectorize');
      yield* this.ofVariant('revectorize', { relaxed, revectorize: true }, compiled, inputs);
      setFlagsFromString('--no-experimental-wasm-revectorize');
    }
    const run = (): unknown => runEagerly(compiled, inputs);
    if (options.eager) yield this.result(compiled, { threads: 1, variant: 'eager', mode: 'eager', run });
  }

  private async *ofVariant(
    variant: Result['variant'],
    choice: ModuleChoice,
    compiled: CompiledWorkload,
    inputs: Inputs,
  ): AsyncGenerator<Result> {
    for (const threads of this.options.threads) {
      const model: Model =
        threads === 1 ? compiled.model(choice) : await compiled.modelOfTeam(choice, threads, this.thread);
      const run = (): unknown => model[compiled.workload.entry](inputs);
      yield this.result(compiled, { threads, variant, mode: 'compiled', run });
      model.dispose();
    }
  }

  private result(
    { workload, launches }: CompiledWorkload,
    { run, ...measured }: Pick<Result, 'threads' | 'variant' | 'mode'> & { readonly run: () => unknown },
  ): Result {
    const { times, share } = withShare(() => measure(run, seconds));
    const fused = measured.variant !== 'simd128' && hasFeature('relaxed-simd');
    const least = rooflineMs(launches, this.ceilings, fused) / measured.threads;
    return {
      workload: workload.name,
      ...measured,
      ...times,
      ...totalCost(launches),
      roofline: least / times.medianMs,
      ...share,
    };
  }

  private kernelDetails(compiled: CompiledWorkload, inputs: Inputs): string {
    const relaxed = hasFeature('relaxed-simd');
    const { workload, launches, compileMs } = compiled;
    const times = compiled.kernelTimes(relaxed, inputs);
    const head = `\n${workload.name}: ${launches.length} kernels, compiled in ${compileMs.toFixed(0)} ms`;
    return `${head}\n${kernelTable(times, this.ceilings, relaxed)}`;
  }
}

function speedUpOf(result: Result, all: readonly Result[]): number | null {
  const alone = all.find(
    ({ workload, variant, threads }) => workload === result.workload && variant === result.variant && threads === 1,
  );
  return alone === undefined || result.threads === 1 ? null : alone.medianMs / result.medianMs;
}

function runEagerly({ traced, workload, entry }: CompiledWorkload, inputs: Inputs): unknown {
  const tensors = entry.inputs.map(({ name, type }) => [name, tensorOver(inputs[name], type)] as const);
  return traced.parts.entries[workload.entry].run(Object.fromEntries(tensors));
}

/** As a program: messages for the user's mistakes, the exit code. `thread`: the bundle of `runtime/deploy/thread.ts`. */
export async function runAsProgram(args: readonly string[], thread: string): Promise<void> {
  try {
    await main(args, new URL(thread));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exitCode = 2;
  }
}
