/**
 * What lasts until an entry returns. A compiled entry has the modes it was traced in, whichever entry was called before; so
 * that tracing and eager execution are the same, `net.eval()` in one entry is not seen by the next.
 */
let undoing: (() => void)[] | null = null;

export function withinEntry<T>(run: () => T): T {
  const outer = undoing;
  undoing = [];
  try {
    return run();
  } finally {
    for (const undo of undoing.reverse()) undo();
    undoing = outer;
  }
}

/** Do this when the entry that is being run returns; nothing outside of entries. */
export const whenEntryReturns = (undo: () => void): void => {
  undoing?.push(undo);
};
