/**
 * Programs run by a team of threads within one process, at once: unlike the loader, which waits for the threads to answer,
 * the first call waits for them in the module's own barrier. A call that does not end is an error.
 */
import { Worker } from 'node:worker_threads';
import type { ArtifactFiles } from '../../backends/backend.js';
import { type WasmOptions, wasm } from '../../backends/wasm/backend.js';
import type { TeamCosts } from '../../backends/wasm/divide.js';
import { threadSource } from '../../compiler/artifact/glue.js';
import { bytesOf } from '../../compiler/ir/dtype.js';
import type { Program, Slot } from '../../compiler/ir/program.js';
import { numel } from '../../compiler/ir/shape.js';
import { emitProgram } from '../../compiler/pipeline.js';
import { join } from '../../runtime/deploy/part.js';
import { noTrouble } from '../../runtime/deploy/trouble.js';
import { Watch } from './watch.js';

/** Everything is divided that can be. */
export const divideAll: TeamCosts = { barrier: 0, waking: 0, turn: 0 };

/** A program in memory: write the state and inputs there, run an entry, read. */
export interface Running {
  readonly memory: Uint8Array;
  run(entry: string): void;
  end(): void;
}

export interface RunOptions {
  readonly relaxed?: boolean;
}

/** The files of each program by what was asked for: teams of several sizes run one module. */
const emitted = new WeakMap<Program, Map<string, ArtifactFiles>>();

function moduleOf(program: Program, suffix: string, options: WasmOptions): BufferSource {
  const known = emitted.get(program) ?? new Map<string, ArtifactFiles>();
  emitted.set(program, known);
  const asked = JSON.stringify(options);
  const files = known.get(asked) ?? emitProgram(program, wasm, options);
  known.set(asked, files);
  return files.get(`${program.name}${suffix}.wasm`) as BufferSource;
}

export function runAlone(program: Program, { relaxed = false }: RunOptions = {}): Running {
  const module = new WebAssembly.Module(moduleOf(program, relaxed ? '.relaxed' : '', { relaxed }));
  const { exports } = new WebAssembly.Instance(module);
  return {
    memory: new Uint8Array((exports.memory as WebAssembly.Memory).buffer),
    run: entry => (exports[entry] as () => void)(),
    end() {},
  };
}

/** How long a call may take, on a machine that does much else. */
const DEADLINE = 60;

/** Workers, each of which takes part in one team after the other. */
export class Team {
  readonly #url: URL;
  readonly #workers: Worker[] = [];
  readonly #watch: Watch;

  private constructor(source: string, seconds: number) {
    this.#url = new URL(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`);
    this.#watch = new Watch(seconds);
  }

  static async start(seconds = DEADLINE): Promise<Team> {
    return new Team(await threadSource(), seconds);
  }

  run(
    program: Program,
    threads: number,
    { relaxed = false, costs = divideAll }: RunOptions & { costs?: TeamCosts } = {},
  ): Running {
    const module = new WebAssembly.Module(
      moduleOf(program, relaxed ? '.threads.relaxed' : '.threads', { relaxed, threads: costs }),
    );
    const [fixed, each] = new Uint32Array(WebAssembly.Module.customSections(module, 'gradc.team')[0]);
    const pages = Math.ceil((fixed + threads * each) / 65536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const part = { module, memory, threads, spins: 1000, patience: 1000, trouble: noTrouble() };
    for (let thread = 1; thread < threads; thread++) this.#worker(thread).postMessage({ ...part, thread });
    const { exports, disband } = join({ ...part, thread: 0 });
    return {
      memory: new Uint8Array(memory.buffer),
      run: entry => {
        const what = `'${entry}' of ${program.name} by ${threads} threads`;
        try {
          this.#watch.during(what, exports[entry] as () => void, { module, memory });
        } catch (error) {
          disband();
          this.#dismiss();
          throw error;
        }
      },
      end: disband,
    };
  }

  #worker(thread: number): Worker {
    if (this.#workers[thread] === undefined) {
      const worker = new Worker(this.#url);
      worker.unref();
      this.#workers[thread] = worker;
    }
    return this.#workers[thread];
  }

  end(): Promise<unknown> {
    return Promise.all([this.#dismiss(), this.#watch.end()]);
  }

  /** After a failure the workers are at different places, and whoever waited for them would wait for ever. */
  #dismiss(): Promise<unknown> {
    return Promise.all(this.#workers.splice(0).map(worker => worker.terminate()));
  }
}

/** What memory holds at first, and what each entry is given. */
export interface Contents {
  readonly state: Readonly<Record<string, ArrayBufferView>>;
  readonly inputs: (entry: string) => Readonly<Record<string, ArrayBufferView>>;
}

/**
 * Two calls of each entry from the same contents: which tensor or piece of state has other bits; null where none has.
 */
export function bitDifference(
  program: Program,
  { state, inputs }: Contents,
  alone: Running,
  team: Running,
  threads: number,
): string | null {
  const write = (slots: readonly Slot[], values: Contents['state']): void => {
    for (const { name, offset } of slots) {
      const { buffer, byteOffset, byteLength } = values[name];
      for (const { memory } of [alone, team]) memory.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    }
  };
  try {
    write(program.state, state);
    for (const call of ['first', 'second']) {
      for (const { name, inputs: slots, outputs } of program.entries) {
        write(slots, inputs(name));
        alone.run(name);
        team.run(name);
        for (const slot of [...outputs, ...program.state]) {
          const [want, got] = [alone, team].map(({ memory }) =>
            memory.subarray(slot.offset, slot.offset + slotBytes(slot)),
          );
          const at = want.findIndex((byte, i) => byte !== got[i]);
          const bytes = (of: Uint8Array): string => Buffer.from(of.subarray(at, at + 16)).toString('hex');
          if (at >= 0)
            return `${threads} threads, ${call} call of ${name}: ${slot.name} from byte ${at} on is ${bytes(got)}, not ${bytes(want)}`;
        }
      }
    }
    return null;
  } finally {
    team.end();
  }
}

const slotBytes = ({ type }: Slot): number => numel(type.shape) * bytesOf(type.dtype);
