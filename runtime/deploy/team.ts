/**
 * Several threads that run a model's entries together. Each has an instance of the module over one shared memory, and they
 * meet in the module's own barriers, so a call costs no message. Between calls the threads spin for about a millisecond
 * and then sleep; in Node they do not keep the process alive. Only artifacts that are built for threads hold this code.
 */
import type * as NodeWorkers from 'node:worker_threads';
import type { TypedArray } from './element.js';
import { ArtifactError } from './error.js';
import { Lateness } from './lateness.js';
import type { Team } from './loader.js';
import type { Copies, Engine } from './model.js';
import { join, type Part, type TeamInstance } from './part.js';
import type { Answer } from './thread.js';
import { noTrouble, type Trouble, troubleIn } from './trouble.js';

type AnyWorker = Worker | NodeWorkers.Worker;

const PAGE = 65536;
/**
 * How often a thread looks for the others before it sleeps. In an entry for about as long as waking takes, 40 microseconds:
 * where other programs want the processors, spinning on keeps from the others the one they wait for (measured: several times
 * slower). Between entries 0.8 milliseconds; where there are more threads than processors, next to nothing. A look takes
 * 0.3 nanoseconds.
 */
const SPINS = 130_000;
const PATIENCE = 2_700_000;
const CROWDED = 2500;

/**
 * Starts threads that begin with the file at `url` (`thread.ts`), and waits until they are ready; or gives the reason why
 * there can be none. `moduleOf` is asked only where there can.
 */
export async function startTeam(threads: number, moduleOf: () => Promise<WebAssembly.Module>, url: URL): Promise<Team> {
  if (!Number.isInteger(threads) || threads < 1)
    throw new ArtifactError('E415', `threads must be a whole number from 1 on, given ${threads}`);
  const reason = whyAlone();
  if (reason !== null) return { reason };
  const module = await moduleOf();
  const memory = teamMemory(module, threads);
  if (memory === null) return { reason: 'the module given is for one thread' };
  const crowded = threads > processors();
  const spins = crowded ? CROWDED : SPINS;
  const trouble = noTrouble();
  const part = { module, memory, threads, spins, patience: crowded ? CROWDED : PATIENCE, trouble };
  const workers = Array.from({ length: threads - 1 }, () => openWorker(url));
  const end = (): void => {
    for (const worker of workers) void worker.terminate();
  };
  try {
    await Promise.all(workers.map((worker, i) => started(worker, { ...part, thread: i + 1 })));
  } catch (error) {
    end();
    return { reason: (error as Error).message };
  }
  const lateness = new Lateness(thread => isGone(workers[thread - 1]));
  const own = join({ ...part, thread: 0, spins: mayWait() ? spins : 0 }, (...late) => lateness.late(...late));
  const onExit = (told: () => void): void => exitsOf(workers, told);
  return { engine: engineOver(own, { module, memory: memory.buffer, trouble, lateness, end, onExit }) };
}

interface Threads {
  readonly module: WebAssembly.Module;
  readonly memory: ArrayBufferLike;
  readonly trouble: Trouble;
  readonly lateness: Lateness;
  end(): void;
  /** `told` is called when a thread ends, whatever ended it; only Node says so, and only between calls. */
  onExit(told: () => void): void;
}

/** After an error no call is possible any more: the threads are at different places. The state can still be saved. */
function engineOver({ exports, disband }: TeamInstance, threads: Threads): Engine {
  const { module, memory, trouble, lateness } = threads;
  let failure: string | null = null;
  threads.onExit(() => {
    failure ??= 'a thread has ended';
  });
  const end = (): void => {
    disband();
    threads.end();
  };
  const unusable = (cause?: unknown): ArtifactError =>
    Object.assign(new ArtifactError('E415', `${failure}; the threads are gone, load the model again`), { cause });
  const guarded =
    (run: () => void, name: string): (() => void) =>
    () => {
      if (failure !== null) throw unusable();
      lateness.callBegins();
      try {
        run();
      } catch (error) {
        failure = `'${name}' failed with ${troubleIn(trouble) ?? error}`;
        end();
        throw unusable(error);
      }
    };
  const functions = Object.entries(exports).map(([name, run]) => [name, guarded(run as () => void, name)]);
  return {
    module,
    exports: Object.fromEntries(functions),
    memory,
    copies: copiesOfNode(),
    dispose: end,
  };
}

function whyAlone(): string | null {
  if (globalThis.crossOriginIsolated === false)
    return 'the page is not cross-origin isolated, which takes the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  if (typeof SharedArrayBuffer === 'undefined') return 'there is no SharedArrayBuffer here';
  return typeof Worker === 'undefined' && !nodeWorkers() ? 'there are no workers here' : null;
}

/** Below so many bytes the engine's own copies are as fast. */
const SMALL = 16384;

/**
 * V8 copies shared memory word by word; Node's buffers are two to four times as fast (2.4 instead of 9 microseconds for
 * 256 KB, Node 20; 5 on Node 26) where they are filled, not where they are copied, which Node 20 leaves to V8. Undefined
 * elsewhere: what a bundler puts in the place of `Buffer` is not asked for.
 */
function copiesOfNode(): Copies | undefined {
  const NodeBuffer = globalThis.process?.getBuiltinModule?.('node:buffer')?.Buffer;
  if (!NodeBuffer) return undefined;
  keepFreedMemory();
  const bytesOf = ({ buffer, byteOffset, byteLength }: TypedArray): Buffer =>
    NodeBuffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  return {
    write(target, source) {
      if (source.byteLength < SMALL) (target as Float32Array).set(source as Float32Array);
      else bytesOf(target).fill(bytesOf(source));
    },
    read(view) {
      if (view.byteLength < SMALL) return view.slice();
      const bytes = NodeBuffer.allocUnsafeSlow(view.byteLength).fill(bytesOf(view));
      return new (view.constructor as Float32ArrayConstructor)(bytes.buffer as ArrayBuffer);
    },
  };
}

/** A little under 32 MiB, the largest size that counts. */
const LARGEST_BLOCK = 2 ** 25 - 2 ** 16;

/**
 * glibc maps a block by itself when it is larger than any such block freed before, and returns the end of its heap to the
 * system from twice that size on (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). So the memory of every result comes
 * anew, page by page: 1.7 instead of 0.2 milliseconds for 4 MB. Once a large block has been freed, by the next collection of
 * garbage, it keeps them; nobody touches this one, so it takes no memory, and on other C libraries it does nothing.
 */
function keepFreedMemory(): void {
  if (globalThis.process?.platform === 'linux') new ArrayBuffer(LARGEST_BLOCK);
}

/** The module says how much it needs, in all and for each thread, in a section of its own; null where it has none. */
function teamMemory(module: WebAssembly.Module, threads: number): WebAssembly.Memory | null {
  const [section] = WebAssembly.Module.customSections(module, 'gradc.team');
  if (!section) return null;
  const sizes = new DataView(section);
  const pages = Math.ceil((sizes.getUint32(0, true) + threads * sizes.getUint32(4, true)) / PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Whether this thread may sleep: a page's own may not. */
function mayWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

// ── workers of the web and of Node ──────────────────────────────────────────────────────────────────────────────────

const processors = (): number =>
  globalThis.navigator?.hardwareConcurrency ?? globalThis.process?.getBuiltinModule?.('node:os').availableParallelism();

const nodeWorkers = (): typeof NodeWorkers | undefined => globalThis.process?.getBuiltinModule?.('node:worker_threads');

const openWorker = (url: URL): AnyWorker =>
  typeof Worker === 'undefined' ? new (nodeWorkers()!.Worker)(url) : new Worker(url, { type: 'module' });

function exitsOf(workers: readonly AnyWorker[], told: () => void): void {
  for (const worker of workers) {
    if (!('unref' in worker)) continue;
    worker.on('exit', told);
    worker.unref();
  }
}

/** Whether a worker has ended that has answered once. Of such Node knows no times, also within a call, where it tells no exits. */
function isGone(worker: AnyWorker): boolean {
  if (!('performance' in worker)) return false;
  const { idle, active } = worker.performance.eventLoopUtilization();
  return idle < 0 || active === 0;
}

/** Resolves when the thread is about to wait for work. */
function started(worker: AnyWorker, part: Part): Promise<void> {
  return new Promise((resolve, reject) => {
    const answered = (answer: Answer): void => (answer === null ? resolve() : reject(new Error(answer)));
    const failed = ({ message }: { message?: string }): void =>
      reject(new Error(`its worker does not start${message ? `: ${message}` : ''}`));
    if ('on' in worker) worker.on('message', answered).on('error', failed);
    else {
      worker.onmessage = ({ data }) => answered(data);
      worker.onerror = failed;
    }
    worker.postMessage(part);
  });
}
