/**
 * A deadline for what runs within one call and so cannot be interrupted: a worker waits beside it. A team whose threads wait
 * for one another is made to fail, so that the call ends with an error; anything else ends the process, after it has been said
 * what it was at.
 */
import { Worker } from 'node:worker_threads';

/** A team in memory: what makes those traps who wait. */
export interface Hanging {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/** What runs in the worker, which has no file of its own so that it starts wherever the tests run. */
const source = `
  import { writeSync } from 'node:fs';
  import { parentPort, workerData } from 'node:worker_threads';
  const { late, seconds } = workerData;
  let timer;
  const end = what => {
    writeSync(2, what + ': no end after ' + seconds + ' seconds; the process is ended\\n');
    process.kill(process.pid, 'SIGKILL');
  };
  const expire = ({ what, team }) => {
    if (!team) return end(what);
    Atomics.store(late, 0, 1);
    new WebAssembly.Instance(team.module, { env: { memory: team.memory, late() {} } }).exports['thread:disband']();
    timer = setTimeout(end, 1000 * seconds, what);
  };
  parentPort.on('message', doing => {
    clearTimeout(timer);
    if (doing) timer = setTimeout(expire, 1000 * seconds, doing);
  });`;

export class Watch {
  readonly #late = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;

  constructor(private readonly seconds: number) {
    const url = new URL(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`);
    this.#worker = new Worker(url, { workerData: { late: this.#late, seconds } });
    this.#worker.unref();
  }

  /** Runs it; throws what it throws, and where it did not end in time an error that says so. */
  during<T>(what: string, run: () => T, team?: Hanging): T {
    this.#worker.postMessage({ what, team });
    try {
      return run();
    } catch (error) {
      if (Atomics.exchange(this.#late, 0, 0) === 0) throw error;
      throw new Error(`${what}: no end after ${this.seconds} seconds`, { cause: error });
    } finally {
      this.#worker.postMessage(null);
    }
  }

  end(): Promise<unknown> {
    return this.#worker.terminate();
  }
}
