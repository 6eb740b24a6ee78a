/**
 * A model is compiled in a thread of its own, while this one checks its types: the longest parts of a build, side by
 * side. The user's code runs there alone, so that it can be stopped, what it reads can be seen, and no build leaves
 * traces in another.
 */
import { Worker } from 'node:worker_threads';
import type { DebugOptions } from '../pass.js';
import type { RunCode } from './cache/code-dependencies.js';
import type { NvccChoice, Target } from './choices.js';
import { type Diagnostic, type ExitCode, Reported } from './diagnostics.js';

/** What the thread is given; nothing in it is a function. */
export interface CompileJob {
  readonly modelFile: string;
  readonly targets: readonly Target[];
  readonly nvcc: NvccChoice;
  readonly threads: boolean;
  readonly revectorize: boolean;
  readonly winograd: boolean;
  readonly checkValues: boolean;
  readonly shardBytes: number | null;
  readonly tune: boolean;
  readonly debug: Omit<DebugOptions, 'write'>;
}

export interface CompiledModel extends RunCode {
  readonly name: string;
  /** By path in the artifact's folder. */
  readonly files: ReadonlyMap<string, Uint8Array | string>;
  /** What was measured, for the tuning file; null where nothing was. */
  readonly tuning: string | null;
}

/** What the thread says. */
export type ThreadMessage =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'compiled'; readonly model: CompiledModel }
  | { readonly kind: 'stopped'; readonly pass: string }
  | {
      readonly kind: 'failed';
      readonly diagnostics: readonly Diagnostic[];
      readonly exitCode: ExitCode;
      readonly stack: string;
    };

/** The compilation ended at the pass it was to stop after. */
export interface StoppedAfter {
  readonly stoppedAfter: string;
}

export interface CompileThread {
  readonly result: Promise<CompiledModel | StoppedAfter>;
  stop(): Promise<unknown>;
}

/** What the user's code left running, a timer or a server, must not keep the command from ending. */
function endSoon(worker: Worker): void {
  const time = setTimeout(() => worker.terminate(), patienceMs).unref();
  worker.once('exit', () => clearTimeout(time));
}
const patienceMs = 500;

export function compileInThread(job: CompileJob, progress: (text: string) => void): CompileThread {
  const worker = new Worker(new URL('./compile-worker.js', import.meta.url), { workerData: job });
  const result = new Promise<CompiledModel | StoppedAfter>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('internal: the thread that compiles ended without a result')));
    worker.on('message', (message: ThreadMessage) => {
      if (message.kind === 'progress') return progress(message.text);
      endSoon(worker);
      if (message.kind === 'compiled') resolve(message.model);
      else if (message.kind === 'stopped') resolve({ stoppedAfter: message.pass });
      else reject(Object.assign(new Reported(message.diagnostics, message.exitCode), { stack: message.stack }));
    });
  });
  return { result, stop: () => worker.terminate() };
}
