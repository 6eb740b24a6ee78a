/** Rates that a JavaScript function of the epoch gives: eagerly it is asked at each step, for an entry beforehand. */
import { fail } from '../../compiler/errors.js';
import { isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { tensor } from '../creation.js';
import { scalar } from './per-group.js';

export type EpochFunction = (epoch: number) => number;

export interface AskedOptions {
  /**
   * How many steps an entry may take: the function is asked for the epochs up to this one beforehand, since a compiled entry
   * has no JavaScript to ask; after that the last answer stands. Needed only where `step()` is called in an entry.
   */
  readonly steps?: number | null;
}

/** A function of the epoch as one of tensors. Throws E304 for an epoch that is known only when a compiled entry runs. */
export function asked(scheduler: string, fn: EpochFunction, steps: number | null = null): (epoch: Tensor) => Tensor {
  let table: readonly number[] | null = null;
  return epoch => {
    if (isConstant(epoch)) return scalar(fn(epoch.item()));
    if (steps === null)
      fail('E304', {
        problem: `${scheduler} asks a JavaScript function for the rate of an epoch that is only known when the compiled entry runs`,
        hint: 'say for how many steps it may be asked beforehand, { steps: 10000 }; or call step() outside the entry, between calls: the learning rate is part of the state',
      });
    table ??= Array.from({ length: steps + 1 }, (_, i) => fn(i));
    const at = epoch.clamp(0, steps).to('int64').reshape([1]);
    return tensor(table, { dtype: 'float64' }).indexSelect(0, at).reshape([]);
  };
}
