/**
 * The other end of `compile-thread.ts`: loads, traces and compiles one model, and tells what came of it. The compiler is
 * loaded while esbuild, a process of its own, bundles the model.
 */

import { dirname, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { Stopped } from '../pass.js';
import { Observer } from './cache/observation.js';
import type { CompiledModel, CompileJob, ThreadMessage } from './compile-thread.js';
import { diagnosticsOf, exitCodeOf } from './diagnostics.js';
import { bundleFile } from './model-file.js';

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

/** With what model files import, which loads while binaryen is made ready. */
async function loadCompiler(): Promise<typeof import('./build-artifact.js')> {
  const [compiler] = await Promise.all([import('./build-artifact.js'), import('../../runtime/index.js')]);
  return compiler;
}

async function compile(job: CompileJob): Promise<CompiledModel> {
  const step = progressOf(job);
  const bundled = bundleFile(resolve(job.modelFile));
  bundled.catch(() => {}); // told where it is waited for
  const { compileArtifact, traceModelFile } = await loadCompiler();
  const observer = new Observer();
  const options = { ...job, checkTypes: false, progress: step, observer, bundled };
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

/**
 * Where the user's code left nothing running or unwritten, the thread need not wait for what V8 still optimizes, as it
 * would at an end by itself.
 */
function endAtOnce(): void {
  const running = process.getActiveResourcesInfo().filter(kind => kind !== 'MessagePort');
  const unwritten = process.stdout.writableLength + process.stderr.writableLength;
  if (running.length === 0 && unwritten === 0) process.exit();
}

try {
  const model = await compile(workerData);
  say({ kind: 'compiled', model }, ownBuffers(model));
  endAtOnce();
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
