/** What an entry costs, eagerly and compiled: milliseconds of a call, and memory. */
import { eager } from '../../../runtime/eager.js';
import { type Executor, type Storage, withExecutor } from '../../ops/tensor.js';

export interface EntryCost {
  readonly entry: string;
  readonly eager: {
    readonly ms: number;
    /** Allocated during one call, and left to the garbage collector. */
    readonly bytes: number;
  };
  readonly compiled: readonly { readonly variant: string; readonly ms: number }[];
}

export interface ModuleCost {
  readonly variant: string;
  readonly threads: number;
  readonly moduleBytes: number;
  /** The state, and all memory the model ever uses. */
  readonly stateBytes: number;
  readonly memoryBytes: number;
}

/**
 * Milliseconds of a call once it is warm: the least of up to 30 calls within 300 ms, since a machine only adds to it. Calls
 * that were timed `before` count among them.
 */
export function leastTime(run: () => unknown, before: readonly number[] = []): number {
  const begin = performance.now();
  if (before.length === 0) for (let warm = 0; warm < 3 && performance.now() - begin < 100; warm++) run();
  const times = [...before];
  for (let spent = sum(times); times.length === 0 || (times.length < 30 && spent < 300); spent += times.at(-1)!)
    times.push(timed(run).ms);
  return Math.min(...times);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** Run something, and tell how long it took. */
export function timed<T>(run: () => T): { readonly result: T; readonly ms: number } {
  const before = performance.now();
  const result = run();
  return { result, ms: performance.now() - before };
}

/** Run something eagerly, and tell the bytes of tensors that its ops make. */
export function allocating<T>(run: () => T): { readonly result: T; readonly bytes: number } {
  const seen = new Set<Storage>();
  let bytes = 0;
  const counting: Executor = {
    ...eager,
    run(def, inputs, attrs, type) {
      const tensor = eager.run(def, inputs, attrs, type);
      const { value } = tensor;
      const given = inputs.some(input => input.value.kind === 'eager' && input.value.storage === storageOf(value));
      const storage = storageOf(value);
      if (storage !== null && !given && !seen.has(storage)) {
        seen.add(storage);
        bytes += storage.array.byteLength;
      }
      return tensor;
    },
  };
  const result = withExecutor(counting, run);
  return { result, bytes };
}

const storageOf = (value: { readonly kind: string; readonly storage?: Storage }): Storage | null =>
  value.kind === 'eager' ? value.storage! : null;
