/**
 * `gradc build --watch`: builds, waits until something that a model depends on has changed, and builds that model
 * again. What is wrong is printed, and waited for to be put right. Ends, with 0, when it is interrupted.
 */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { BuildRequest } from './build-model.js';
import type { BuildRequests } from './build-requests.js';
import { type Dependencies, isCurrent, type Snapshot, snapshotOf, writtenSince } from './cache/dependencies.js';
import { type ExitCode, exitCodes } from './diagnostics.js';
import { reachableSources } from './reachable-sources.js';

export interface Watch {
  /** What is to be built; throws where the configuration is wrong. */
  readonly read: () => Promise<BuildRequests>;
  /** Builds one model and prints what came of it; gives what it depends on, or null where it failed. */
  readonly build: (request: BuildRequest) => Promise<Dependencies | null>;
  readonly failed: (error: unknown) => void;
  readonly progress: (text: string) => void;
}

/** Throws what is wrong with the configuration at the start; later that is printed. */
export async function watchModels({ read, build, failed, progress }: Watch): Promise<ExitCode> {
  const interruption = new Interruption();
  let { requests, configFiles } = await read();
  let config = new Watched({ paths: configFiles, environment: [] }, Date.now());
  const models = new Map<string, Watched>();
  while (!interruption.happened) {
    if (config.isDue()) {
      const start = Date.now();
      try {
        ({ requests, configFiles } = await read());
        models.clear();
      } catch (error) {
        failed(error);
      }
      config = new Watched({ paths: configFiles, environment: [] }, start);
    }
    for (const request of requests) {
      const { modelFile } = request;
      const known = models.get(modelFile);
      if (interruption.happened || known?.isDue() === false) continue;
      const start = Date.now();
      const dependencies = (await build(request)) ?? afterFailure(modelFile, known);
      models.set(modelFile, new Watched(dependencies, start));
    }
    const watched = [config, ...models.values()];
    progress(`watching ${new Set(watched.flatMap(({ paths }) => paths)).size} files`);
    await Promise.race([changeIn(watched, interruption), interruption.promise]);
  }
  return exitCodes.ok;
}

/** A build that failed has not told all it depends on: what is known of the last one, and what the files import. */
const afterFailure = (modelFile: string, known: Watched | undefined): Dependencies => ({
  paths: new Set([...reachableSources(resolve(modelFile)), ...(known?.paths ?? [])]),
  environment: [],
});

/** Files as they were when they were read. */
class Watched {
  readonly paths: readonly string[];
  readonly #snapshot: Snapshot;
  /** Something changed while it was being read. */
  readonly #outdated: boolean;

  constructor(dependencies: Dependencies, start: number) {
    this.paths = [...dependencies.paths];
    this.#snapshot = snapshotOf(dependencies);
    this.#outdated = writtenSince(dependencies, start);
  }

  isDue(): boolean {
    return this.#outdated || !isCurrent(this.#snapshot);
  }
}

/** SIGINT or SIGTERM. */
class Interruption {
  happened = false;
  readonly promise = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        this.happened = true;
        resolve();
      });
  });
}

/** Editors write a file in several steps. */
const settleMs = 40;

/** Resolves when something watched is no longer as it was. Folders are watched, since editors replace files. */
async function changeIn(watched: readonly Watched[], { promise: interrupted }: Interruption): Promise<void> {
  const namesIn = new Map<string, Set<string>>();
  for (const path of watched.flatMap(({ paths }) => paths).filter(path => !/[\\/]node_modules[\\/]/.test(path))) {
    const names = namesIn.get(dirname(path)) ?? new Set();
    namesIn.set(dirname(path), names.add(basename(path)));
  }
  const watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>(done => {
    const look = (): void => {
      if (watched.some(files => files.isDue())) done();
    };
    const settle = (): void => {
      clearTimeout(timer);
      timer = setTimeout(look, settleMs);
    };
    for (const [folder, names] of namesIn) watchers.push(...watchFolder(folder, names, settle));
    void interrupted.then(done);
    look();
  });
  clearTimeout(timer);
  for (const watcher of watchers) watcher.close();
}

/** No watcher where there is no such folder. */
function watchFolder(folder: string, names: ReadonlySet<string>, changed: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, (_, name) => (name === null || names.has(name)) && changed());
    return [watcher.on('error', changed)];
  } catch {
    return [];
  }
}
