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

/** Milliseconds of a call once it is warm: the least of up to 30 calls within 300 ms, since a machine only adds to it. */
export function leastTime(run: () => unknown): number {
  const begin = performance.now();
  for (let warm = 0; warm < 3 && performance.now() - begin < 100; warm++) run();
  let least = Number.POSITIVE_INFINITY;
  const start = performance.now();
  for (let calls = 0; calls === 0 || (calls < 30 && performance.now() - start < 300); calls++) {
    const before = performance.now();
    run();
    least = Math.min(least, performance.now() - before);
  }
  return least;
}

/** Bytes of tensors that ops make while `run` runs eagerly. */
export function allocatedBytes(run: () => unknown): number {
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
  withExecutor(counting, run);
  return bytes;
}

const storageOf = (value: { readonly kind: string; readonly storage?: Storage }): Storage | null =>
  value.kind === 'eager' ? value.storage! : null;
