/** The process of one engine: prepares workloads and times them when it is asked to. Its argument: an `EngineStart`. */
import type { TypedArray } from 'gradc';
import { workloads } from '../workloads.js';
import { type Engine, type EngineName, type Prepared, type StartEngine, Unsupported } from './engine.js';
import { startGradc } from './gradc.js';
import { startJax } from './jax.js';
import { peerWorkloads } from './networks.js';
import { startOnnxNode, startOnnxWeb } from './onnxruntime.js';
import { startTensorFlow } from './tfjs.js';

export interface EngineStart {
  readonly engine: EngineName;
  readonly threads: number;
  /** The bundle of `runtime/deploy/thread.ts`. */
  readonly thread: string;
}
const { engine: name, threads, thread } = JSON.parse(process.argv[2]) as EngineStart;

const engines: Record<EngineName, StartEngine> = {
  gradc: startGradc(new URL(thread)),
  'onnxruntime-web': startOnnxWeb,
  'onnxruntime-node': startOnnxNode,
  'tfjs-wasm': startTensorFlow,
  'jax-js': startJax,
};

export type Request =
  | { readonly kind: 'prepare'; readonly workload: string }
  | { readonly kind: 'measure'; readonly milliseconds: number };
export type Reply =
  | { readonly kind: 'started'; readonly title: string; readonly node: string }
  /** The output, or the losses of the first three steps. */
  | { readonly kind: 'prepared'; readonly output: Float64Array }
  | { readonly kind: 'measured'; readonly times: readonly number[] }
  | { readonly kind: 'unsupported'; readonly reason: string };

let prepared: Prepared | null = null;

async function answer(engine: Engine, request: Request): Promise<Reply> {
  if (request.kind === 'measure') return { kind: 'measured', times: await measure(prepared!, request.milliseconds) };
  prepared?.dispose();
  prepared = null;
  const workload = peerWorkloads.find(({ name }) => name === request.workload)!;
  const inputs: Readonly<Record<string, TypedArray>> = workloads
    .find(({ name }) => name === request.workload)!
    .inputs();
  prepared = await engine.prepare(workload, inputs);
  return { kind: 'prepared', output: await firstOutput(prepared, workload.training === null ? 1 : 3) };
}

async function firstOutput({ run }: Prepared, calls: number): Promise<Float64Array> {
  const values: number[] = [];
  for (let i = 0; i < calls; i++) for (const value of Array.from(await run())) values.push(value);
  return Float64Array.from(values);
}

/** Calls one after the other, at least one of them. */
async function measure({ run }: Prepared, milliseconds: number): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  do {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  } while (performance.now() < end);
  return times;
}

const reply = (message: Reply): void => void process.send!(message);
const unsupported = (error: unknown): Reply => {
  const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
  return { kind: 'unsupported', reason: error instanceof Unsupported ? reason : `fails: ${reason}` };
};

try {
  const engine = await engines[name](threads);
  process.on('message', (request: Request) => {
    answer(engine, request).then(reply, error => reply(unsupported(error)));
  });
  reply({ kind: 'started', title: engine.title, node: process.version });
} catch (error) {
  reply(unsupported(error));
}
