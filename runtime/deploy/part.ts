/** An instance of a module for threads, and what the module has for them besides the entries. */
import type { Trouble } from './trouble.js';

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
  /** Where a thread that fails says why. */
  readonly trouble: Trouble;
}

/**
 * Called in the caller's thread about once a second while a call waits for another one, with a number that changes while
 * that one gets on. Where it throws, the call does.
 */
export type Late = (thread: number, progress: number) => void;

export interface TeamInstance {
  readonly exports: WebAssembly.Exports;
  /** Runs the thread's part of every entry, until the team is disbanded. */
  work(): void;
  /** Nobody waits for anybody any more: entries that do trap, and `work` returns. */
  disband(): void;
}

export function join({ module, memory, thread, threads, spins, patience }: Part, late: Late = () => {}): TeamInstance {
  const { exports } = new WebAssembly.Instance(module, { env: { memory, late } });
  const call = (name: string, ...args: number[]): void =>
    (exports[`thread:${name}`] as (...args: number[]) => void)(...args);
  call('join', thread, threads, spins, patience);
  return { exports, work: () => call('work'), disband: () => call('disband') };
}
