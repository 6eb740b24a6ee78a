/** The other end of `compile-thread.ts`: loads, traces and compiles one model, and tells what came of it. */

import { dirname, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { Stopped } from '../pass.js';
import { compileArtifact, traceModelFile } from './build-artifact.js';
import { Observer } from './cache/observation.js';
import type { CompiledModel, CompileJob, ThreadMessage } from './compile-thread.js';
import { diagnosticsOf, exitCodeOf } from './diagnostics.js';

const say = (message: ThreadMessage, transfer: ArrayBuffer[] = []): void => parentPort!.postMessage(message, transfer);

/** Tells of each step, and with `--time` how long the one before took. */
function progressOf({ debug }: CompileJob): (text: string | null) => void {
  let current: string | null = null;
  let start = performance.now();
  return text => {
    if (debug.time && current !== null)
      process.stderr.write(`${current}: ${(performance.now() - start).toFixed(0)} ms\n`);
    [current, start] = [text, performance.now()];
    if (text !== null) say({ kind: 'progress', text });
  };
}

async function compile(job: CompileJob): Promise<CompiledModel> {
  const step = progressOf(job);
  const observer = new Observer();
  const options = { ...job, checkTypes: false, progress: step, observer };
  const traced = await traceModelFile(job.modelFile, options);
  const { files, tuning } = await compileArtifact(traced, options);
  step(null);
  return {
    name: traced.definition.name,
    files,
    tuning,
    sources: [...traced.sources.keys()].map(path => resolve(dirname(job.modelFile), path)),
    packageFiles: traced.packageFiles,
    observation: observer.observation,
  };
}

/** Buffers that are wholly of one file go over without a copy. */
const ownBuffers = ({ files }: CompiledModel): ArrayBuffer[] =>
  [...files.values()].flatMap(content =>
    typeof content !== 'string' && content.byteLength === content.buffer.byteLength
      ? [content.buffer as ArrayBuffer]
      : [],
  );

try {
  const model = await compile(workerData);
  say({ kind: 'compiled', model }, ownBuffers(model));
} catch (error) {
  if (error instanceof Stopped) say({ kind: 'stopped', pass: error.pass });
  else
    say({
      kind: 'failed',
      diagnostics: JSON.parse(JSON.stringify(diagnosticsOf(error))),
      exitCode: exitCodeOf(error),
      stack: error instanceof Error ? (error.stack ?? '') : '',
    });
}
