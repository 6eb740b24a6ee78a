/**
 * `gradc.config.ts`: found from the working folder upward, run as model files are, checked, and kept with what it
 * depended on, so that an unchanged one is not run again.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fail } from '../errors.js';
import { dependenciesOf } from './cache/code-dependencies.js';
import { snapshotOf, writtenSince } from './cache/dependencies.js';
import { requestKey } from './cache/request.js';
import type { Store } from './cache/store.js';
import { type ConfigProblem, configProblems } from './config-check.js';
import type { Config } from './define-config.js';
import { type Diagnostic, diagnosticsOf, exitCodes, Reported } from './diagnostics.js';

export interface FoundConfig {
  /** The file; null where there is none. */
  readonly file: string | null;
  /** From which its paths count. */
  readonly folder: string;
  readonly config: Config;
  /** What decides what it says. */
  readonly dependencies: readonly string[];
}

const names = ['gradc.config.ts', 'gradc.config.mts', 'gradc.config.js', 'gradc.config.mjs'];

/** The file named on the command line, or the nearest one from the working folder upward. */
export function findConfig(stated: string | null): string | null {
  if (stated === null) return nearestConfig(process.cwd());
  if (!existsSync(stated))
    fail('E501', { problem: `there is no file ${stated}`, hint: `paths count from ${process.cwd()}` });
  return resolve(stated);
}

function nearestConfig(folder: string): string | null {
  const found = names.map(name => join(folder, name)).find(existsSync);
  if (found !== undefined) return found;
  return dirname(folder) === folder ? null : nearestConfig(dirname(folder));
}

/** Throws Reported for a configuration that is wrong or does not run. */
export async function loadConfig(file: string | null, store: Store | null): Promise<FoundConfig> {
  if (file === null) return { file, folder: process.cwd(), config: {}, dependencies: [] };
  const folder = dirname(file);
  const key = requestKey(['config', file]);
  const kept = store?.find<Config>(key);
  if (kept) return { file, folder, config: kept.value, dependencies: Object.keys(kept.dependencies.paths) };
  const start = Date.now();
  const { exported, dependencies, uncheckable } = await run(file);
  const problems = configProblems(exported);
  if (problems.length > 0) throw new Reported(await located(file, problems), exitCodes.usage);
  const snapshot = snapshotOf(dependencies);
  if (uncheckable === null && !writtenSince(dependencies, start)) store?.keep(key, snapshot, exported as Config);
  return { file, folder, config: exported as Config, dependencies: [...dependencies.paths] };
}

type RunConfig = { readonly exported: unknown } & ReturnType<typeof dependenciesOf>;

async function run(file: string): Promise<RunConfig> {
  const [{ runFile }, { Observer }] = await Promise.all([import('./model-file.js'), import('./cache/observation.js')]);
  const observer = new Observer();
  try {
    const { exported, inputs, packageFiles } = await runFile(file, observer);
    return { exported, ...dependenciesOf({ sources: inputs, packageFiles, observation: observer.observation }) };
  } catch (error) {
    throw new Reported(diagnosticsOf(error), exitCodes.usage);
  }
}

async function located(file: string, problems: readonly ConfigProblem[]): Promise<Diagnostic[]> {
  const { placeOfSetting } = await import('./config-place.js');
  return problems.map(({ path, problem, hint }) => ({
    kind: 'UsageError',
    code: 'E501',
    message: problem,
    site: placeOfSetting(file, path),
    hint,
  }));
}
