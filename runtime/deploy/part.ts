/** An instance of a module for threads, and what the module exports for them besides the entries. */

/** What makes a thread one of a team. */
export interface Part {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The caller's is 0. */
  readonly thread: number;
  readonly threads: number;
  /** How often it looks whether the others have come before it sleeps, in an entry; 0 where it may not sleep. */
  readonly spins: number;
  /** The same between entries. */
  readonly patience: number;
}

export interface TeamInstance {
  readonly exports: WebAssembly.Exports;
  /** Runs the thread's part of every entry, until the team is released. */
  work(): void;
  /** Ends `work` in the other threads. */
  release(): void;
  /** Nobody waits for this thread any more: what waits traps. */
  fail(): void;
}

export function join({ module, memory, thread, threads, spins, patience }: Part): TeamInstance {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const call = (name: string, ...args: number[]): void =>
    (exports[`thread:${name}`] as (...args: number[]) => void)(...args);
  call('join', thread, threads, spins, patience);
  return { exports, work: () => call('work'), release: () => call('release'), fail: () => call('fail') };
}
