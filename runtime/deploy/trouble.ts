/**
 * Why a thread of a team failed, in memory that all share: the caller waits within a call, where no message reaches it. One
 * thread, and what its error says; the first that fails is the cause, and the others fail because of it.
 */
export type Trouble = Uint16Array<SharedArrayBuffer>;

const LENGTH = 300;

export const noTrouble = (): Trouble => new Uint16Array(new SharedArrayBuffer(2 * (1 + LENGTH)));

/** Before the others are let go. */
export function tellTrouble(trouble: Trouble, thread: number, error: unknown): void {
  if (Atomics.compareExchange(trouble, 0, 0, thread) !== 0) return;
  const text = String(error).slice(0, LENGTH);
  for (let i = 0; i < text.length; i++) trouble[1 + i] = text.charCodeAt(i);
}

/** Null where no thread has failed. */
export function troubleIn(trouble: Trouble): string | null {
  const [thread, ...text] = trouble;
  if (thread === 0) return null;
  return `${String.fromCharCode(...text.filter(code => code !== 0))} in thread ${thread}`;
}
