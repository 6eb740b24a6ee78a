/**
 * `npm run bench:peers [-- --threads 1|2] [--node PATH] [--json] [--seconds S] [--engines a,b] [workload…]`: gradc beside
 * other engines, in one run.
 *
 * Each engine has a process of its own, and only one works at a time: all are given a slice of the time in turn, over and
 * over, so that whatever else the machine does falls on all of them alike. Outputs are compared with gradc's.
 */
import { existsSync } from 'node:fs';
import { median } from '../median.js';
import { type EngineName, engineNames } from './engine.js';
import { EngineProcess } from './engine-process.js';
import { peerWorkloads } from './networks.js';
import { installCommand, isInstalled } from './packages.js';
import { peerHead, peerRow } from './report.js';

/** One engine on one workload. */
export interface PeerResult {
  readonly workload: string;
  readonly engine: EngineName;
  readonly threads: number;
  /** Null where the engine cannot do it: `reason` says why. */
  readonly times: { readonly medianMs: number; readonly minMs: number; readonly calls: number } | null;
  readonly reason: string | null;
  /** This engine's median over gradc's of the same run; the same of the least times. */
  readonly ratio: number | null;
  readonly minRatio: number | null;
  /** The largest difference from gradc's output over its largest element. */
  readonly relativeError: number | null;
}

const rounds = 8;

const usage = `usage: npm run bench:peers -- [--threads N] [--node PATH] [--json] [--seconds S] [--engines a,b] [workload…]
workloads: ${peerWorkloads.map(({ name }) => name).join(' ')}
engines: ${engineNames.join(' ')}
A name stands for all that begin with it. --node: another Node to run the engines in. --seconds: for each engine and workload.`;

class UsageError extends Error {}

interface Options {
  readonly json: boolean;
  readonly threads: number;
  readonly node: string;
  readonly seconds: number;
  readonly engines: readonly EngineName[];
  readonly workloads: readonly string[];
}

function optionsOf(args: readonly string[]): Options {
  const rest = [...args];
  const valueOf = (name: string, otherwise: string): string => {
    const at = rest.indexOf(name);
    if (at < 0) return otherwise;
    const [, value] = rest.splice(at, 2);
    if (value === undefined) throw new UsageError(`${name} needs a value`);
    return value;
  };
  const numberOf = (name: string, otherwise: string): number => {
    const value = Number(valueOf(name, otherwise));
    if (!(value > 0)) throw new UsageError(`${name} needs a number above 0`);
    return value;
  };
  const threads = numberOf('--threads', '1');
  const seconds = numberOf('--seconds', '1.5');
  const node = valueOf('--node', process.execPath);
  if (!existsSync(node)) throw new UsageError(`--node ${node}: there is no such file`);
  const wantedEngines = valueOf('--engines', engineNames.join(',')).split(',');
  const json = rest.includes('--json');
  const prefixes = rest.filter(arg => arg !== '--json');
  for (const name of wantedEngines)
    if (!engineNames.some(known => known === name)) throw new UsageError(`no engine '${name}'`);
  for (const prefix of prefixes)
    if (!peerWorkloads.some(({ name }) => name.startsWith(prefix))) throw new UsageError(`no workload '${prefix}'`);
  return {
    json,
    threads,
    node,
    seconds,
    engines: engineNames.filter(name => name === 'gradc' || wantedEngines.includes(name)),
    workloads: peerWorkloads
      .map(({ name }) => name)
      .filter(name => prefixes.length === 0 || prefixes.some(prefix => name.startsWith(prefix))),
  };
}

async function main(args: readonly string[], { program, thread }: Bundles): Promise<void> {
  const options = optionsOf(args);
  if (!isInstalled()) throw new UsageError(`the other engines are not installed: ${installCommand}`);
  const say = (text: string): void => {
    if (!options.json) process.stdout.write(`${text}\n`);
  };
  const engines: EngineProcess[] = [];
  try {
    for (const name of options.engines)
      engines.push(
        await EngineProcess.start(program, options.node, { engine: name, threads: options.threads, thread }),
      );
    say(`Node ${engines[0].node}, ${options.threads === 1 ? 'one thread' : `${options.threads} threads`}`);
    for (const { name, title, failure } of engines) say(failure === null ? title : `${name} ${failure}`);
    say(`\n${peerHead}`);
    const results: PeerResult[] = [];
    for (const workload of options.workloads) {
      for (const result of await compare(engines, workload, options)) {
        results.push(result);
        say(peerRow(result));
      }
    }
    if (options.json) {
      const versions = Object.fromEntries(engines.map(({ name, title }) => [name, title]));
      const report = { schemaVersion: 1, node: engines[0].node, threads: options.threads, versions, results };
      process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    }
  } finally {
    for (const engine of engines) engine.stop();
  }
}

interface Measured {
  readonly engine: EngineProcess;
  readonly output: Float64Array | null;
  readonly reason: string | null;
  readonly times: number[];
}

async function compare(
  engines: readonly EngineProcess[],
  workload: string,
  { seconds, threads }: Options,
): Promise<PeerResult[]> {
  const all: Measured[] = [];
  for (const engine of engines) all.push({ engine, times: [], ...(await engine.prepare(workload)) });
  const ready = all.filter(({ output }) => output !== null);
  const slice = (1000 * seconds) / rounds;
  for (const { engine, times } of ready) {
    const warm = await engine.measure(Math.max(250, slice)); // until the engine's code is optimised
    if (warm.length === 1 && warm[0] > 4 * slice) times.push(...warm);
  }
  for (let round = 0; round < rounds; round++)
    for (const { engine, times } of ready) if (!isSlow(times, slice)) times.push(...(await engine.measure(slice)));
  const own = all.find(({ engine }) => engine.name === 'gradc')!;
  return all.map(each => resultOf(each, own, workload, threads));
}

/** Where one call takes several slices three are enough, and fewer if they take ten seconds. */
function isSlow(times: readonly number[], slice: number): boolean {
  const total = times.reduce((sum, time) => sum + time, 0);
  return times.length > 0 && median(times) > 4 * slice && (times.length >= 3 || total > 10_000);
}

function resultOf(measured: Measured, own: Measured, workload: string, threads: number): PeerResult {
  const { engine, output, reason, times } = measured;
  const base = { workload, engine: engine.name, threads, reason };
  if (output === null) return { ...base, times: null, ratio: null, minRatio: null, relativeError: null };
  const ratioOf = (of: (times: readonly number[]) => number): number | null =>
    own.output === null ? null : of(times) / of(own.times);
  const least = (all: readonly number[]): number => Math.min(...all);
  return {
    ...base,
    times: { medianMs: median(times), minMs: least(times), calls: times.length },
    ratio: ratioOf(median),
    minRatio: ratioOf(least),
    relativeError: own.output === null ? null : relativeError(output, own.output),
  };
}

function relativeError(actual: Float64Array, expected: Float64Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0) / largest;
}

/** Where the bundles of `serve.ts` and of `runtime/deploy/thread.ts` are. */
interface Bundles {
  readonly program: string;
  readonly thread: string;
}

/** As a program: messages for the user's mistakes, the exit code. */
export async function runAsProgram(args: readonly string[], bundles: Bundles): Promise<void> {
  try {
    await main(args, bundles);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exitCode = 2;
  }
}
