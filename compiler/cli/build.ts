/** `gradc build`: compile model files and write their artifacts. The compiler itself is loaded where it is needed. */
import { fail } from '../errors.js';
import { columns } from './arguments.js';
import { type BuildRequest, type BuildResult, buildModel, type ModelBuild } from './build-model.js';
import { buildRequests } from './build-requests.js';
import type { Dependencies } from './cache/dependencies.js';
import { nvccChoices, plainSumsSpec, targets } from './choices.js';
import type { Command } from './command.js';
import type { StoppedAfter } from './compile-thread.js';
import { debugSpecs } from './debug-options.js';
import { type Diagnostic, diagnosticsOf, type ExitCode, exitCodeOf, exitCodes } from './diagnostics.js';
import type { BuildsJson } from './json.js';
import type { Output } from './output.js';
import { optimizeOnlyWhatRunsLong } from './tiering.js';

export const buildCommand: Command = {
  name: 'build',
  summary: 'compile model files and write their artifacts',
  positionals: [],
  rest: '[MODEL.ts…]',
  options: {
    target: { doc: 'what to compile to', value: 'TARGETS', list: true, choices: targets, fallback: 'wasm' },
    out: { doc: 'the folder to write, for several models the one above; default dist/<model>', value: 'FOLDER' },
    nvcc: { doc: 'build the CUDA library too', value: 'WHEN', choices: nvccChoices, fallback: 'auto' },
    threads: { doc: 'also write modules that several threads run together' },
    revectorize: {
      doc: 'also write modules for V8 with --experimental-wasm-revectorize, which load() takes on request',
    },
    'no-winograd': plainSumsSpec,
    'check-values': {
      doc: 'calls look at values, slower, and throw what eager throws: an index beyond the end, a singular matrix',
    },
    shard: { doc: 'divide the state among files of at most this size: 64MB, 1GiB', value: 'SIZE' },
    tune: {
      doc: 'measure how contractions are best computed here; writes <model>.tuning.json for later builds',
    },
    watch: { doc: 'go on, and build again what a change concerns' },
    config: { doc: 'the configuration; default the nearest gradc.config.ts from here upward', value: 'FILE' },
    force: { doc: 'compile even what has not changed' },
    'no-cache': { doc: 'keep nothing between builds' },
    'cache-dir': { doc: 'where to keep it; default node_modules/.cache/gradc', value: 'FOLDER' },
    'no-typecheck': { doc: 'leave the type checker and the source analysis out' },
    ...debugSpecs,
  },
  async run(args, output) {
    // what is measured is measured as it will run
    if (!args.has('tune')) optimizeOnlyWhatRunsLong();
    if (args.has('watch')) {
      const { watchModels } = await import('./watch.js');
      return watchModels({
        read: () => buildRequests(args),
        build: request => buildWatched(request, output),
        failed: error => output.failure(exitCodeOf(error), diagnosticsOf(error)),
        progress: output.progress,
      });
    }
    const { requests, single } = await buildRequests(args);
    return single ? buildOne(requests[0], output) : buildAll(requests, output);
  },
};

async function buildOne(request: BuildRequest, output: Output): Promise<ExitCode> {
  const result = await buildModel(request, output.progress);
  report(result, output);
  return exitCodes.ok;
}

/** One result by itself. */
function report(result: BuildResult | StoppedAfter, output: Output): void {
  if ('stoppedAfter' in result) output.result(`stopped after ${result.stoppedAfter}\n`, result);
  else {
    output.warn(result.warnings);
    output.result(buildText(result.build), result.build);
  }
}

/** One round of a watched model: its result or what is wrong, and what it depends on. */
async function buildWatched(request: BuildRequest, output: Output): Promise<Dependencies | null> {
  try {
    const result = await buildModel(request, output.progress);
    report(result, output);
    return 'stoppedAfter' in result ? null : result.dependencies;
  } catch (error) {
    output.failure(exitCodeOf(error), diagnosticsOf(error));
    return null;
  }
}

/** Builds what can be built; the exit code is that of the first model that cannot. */
async function buildAll(requests: readonly BuildRequest[], output: Output): Promise<ExitCode> {
  const models: ModelBuild[] = [];
  const errors: Diagnostic[] = [];
  let exitCode: ExitCode = exitCodes.ok;
  for (const request of requests) {
    try {
      const result = await buildModel(request, output.progress);
      if ('stoppedAfter' in result) continue;
      output.warn(result.warnings);
      models.push(distinct(models, result.build));
    } catch (error) {
      exitCode ||= exitCodeOf(error);
      const found = diagnosticsOf(error);
      errors.push(...found);
      output.errors(found);
    }
  }
  const result: Omit<BuildsJson, 'schemaVersion'> =
    exitCode === exitCodes.ok ? { models } : { models, exitCode, errors };
  output.result(models.map(buildText).join(''), result);
  return exitCode;
}

/** Throws E501 where a model went over another one. */
function distinct(built: readonly ModelBuild[], build: ModelBuild): ModelBuild {
  const other = built.find(({ out, name }) => out === build.out && name === build.name);
  if (other)
    fail('E501', {
      problem: `two models are called '${build.name}' and would share ${build.out}`,
      hint: "rename one in its defineModel, or give one an 'out' of its own in gradc.config.ts",
    });
  return build;
}

export function buildText({ out, outcome, files, uncached, tuning }: ModelBuild): string {
  if (outcome !== 'built') return `${out}: ${outcome === 'unchanged' ? 'unchanged' : 'restored from the cache'}\n`;
  const rows = files.map(({ path, bytes, gzip }) => [path, `${size(bytes)}  (${size(gzip)} gzip)`]);
  const tuned = tuning === null ? '' : `  tuned: ${tuning}\n`;
  return `${out}\n${columns(rows)}${tuned}${uncached === null ? '' : `  not kept for the next build: ${uncached}\n`}`;
}

const size = (bytes: number): string => `${(bytes / 1024).toFixed(1).padStart(8)} KiB`;
