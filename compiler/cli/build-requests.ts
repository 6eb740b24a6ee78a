/** What `gradc build` is to do: the command line over the configuration over the defaults. */
import { dirname, join, relative, resolve } from 'node:path';
import { fail } from '../errors.js';
import type { DebugOptions } from '../pass.js';
import type { Arguments } from './arguments.js';
import type { BuildRequest } from './build-model.js';
import { statedSize } from './byte-size.js';
import { cacheFolder } from './cache/folder.js';
import { Store } from './cache/store.js';
import type { NvccChoice, Target } from './choices.js';
import { type FoundConfig, findConfig, loadConfig } from './config.js';
import { debugOptions } from './debug-options.js';
import type { ModelSettings } from './define-config.js';

export interface BuildRequests {
  readonly requests: readonly BuildRequest[];
  /** One model, named on the command line. */
  readonly single: boolean;
  /** Absolute paths of what the configuration depends on. */
  readonly configFiles: readonly string[];
}

export async function buildRequests(args: Arguments): Promise<BuildRequests> {
  const configFile = findConfig(args.stated('config'));
  const store = args.has('no-cache') ? null : new Store(statedCache(args) ?? cacheFolder(dirname(configFile ?? '.')));
  const found = await loadConfig(configFile, store);
  const models = args.positionals.length > 0 ? named(args.positionals, found) : configured(found);
  const single = args.positionals.length === 1;
  return {
    requests: models.map(model => request(model, found, args, single)),
    single,
    configFiles: found.dependencies,
  };
}

const statedCache = (args: Arguments): string | null => {
  const folder = args.stated('cache-dir');
  return folder && resolve(folder);
};

const settingsOf = (model: string | ModelSettings): ModelSettings =>
  typeof model === 'string' ? { file: model } : model;

/** The models named on the command line, with what the configuration says of them. */
function named(files: readonly string[], { config: { models = [] }, folder }: FoundConfig): ModelSettings[] {
  const known = models.map(settingsOf);
  return files.map(file => ({ ...known.find(model => resolve(folder, model.file) === resolve(file)), file }));
}

function configured({ file, folder, config: { models = [] } }: FoundConfig): ModelSettings[] {
  if (models.length === 0)
    fail('E501', {
      problem: 'MODEL.ts is missing',
      hint: file
        ? `name model files, or list them as 'models' in ${fromHere(file)}`
        : 'usage: gradc build MODEL.ts…, or list the models in a gradc.config.ts',
    });
  return models.map(settingsOf).map(model => ({ ...model, file: fromHere(resolve(folder, model.file)) }));
}

/** A path as people would write it here: relative where it lies below. */
function fromHere(path: string): string {
  const below = relative(process.cwd(), path) || '.';
  return below.startsWith('..') ? path : below;
}

function request(model: ModelSettings, found: FoundConfig, args: Arguments, single: boolean): BuildRequest {
  const { config } = found;
  const stated = args.stated('target') === null ? null : (args.list('target') as Target[]);
  const targets = stated ?? model.targets ?? config.targets ?? ['wasm'];
  const debug = debugOptions(args);
  return {
    modelFile: model.file,
    targets,
    nvcc: (args.stated('nvcc') as NvccChoice | null) ?? model.nvcc ?? config.nvcc ?? 'auto',
    threads: args.has('threads') || (model.threads ?? config.threads ?? false),
    revectorize: args.has('revectorize') || (model.revectorize ?? config.revectorize ?? false),
    winograd: !args.has('no-winograd') && (model.winograd ?? config.winograd ?? true),
    checkValues: valueChecks(args.has('check-values') || (model.checkValues ?? config.checkValues ?? false), targets),
    shardBytes: statedSize('--shard', args.stated('shard') ?? model.shard ?? config.shard),
    checkTypes: !args.has('no-typecheck') && (model.typecheck ?? config.typecheck ?? true),
    debug,
    folder: name => fromHere(artifactFolder(name, model, found, args.stated('out'), single)),
    cache: isDebugging(debug) ? null : cacheOf(model, found, args),
    force: args.has('force'),
    tune: args.has('tune'),
  };
}

/** Throws E501 for a target whose artifact has nobody to throw. */
function valueChecks(wanted: boolean, targets: readonly Target[]): boolean {
  if (wanted && targets.includes('cuda'))
    fail('E501', {
      problem: 'value checks are for the target wasm: a CUDA library has no way to tell what is wrong',
      hint: 'build for cuda by itself and without them',
    });
  return wanted;
}

/** Does it ask to see passes, or for other ones? Then they must run, and nothing of it is kept. */
const isDebugging = (debug: DebugOptions): boolean =>
  Object.values(debug).some(value => (Array.isArray(value) ? value.length > 0 : Boolean(value)));

/** `--out` is the folder of a single model's artifact, and for several that in which each gets one of its name. */
function artifactFolder(
  name: string,
  model: ModelSettings,
  { folder, config }: FoundConfig,
  stated: string | null,
  single: boolean,
): string {
  if (stated !== null) return resolve(single ? stated : join(stated, name));
  return resolve(folder, model.out ?? join(config.out ?? 'dist', name));
}

function cacheOf({ file }: ModelSettings, { folder, config }: FoundConfig, args: Arguments): string | null {
  if (args.has('no-cache')) return null;
  const stated = statedCache(args);
  if (stated !== null) return stated;
  if (config.cache === false) return null;
  return typeof config.cache === 'string' ? resolve(folder, config.cache) : cacheFolder(dirname(resolve(file)));
}
