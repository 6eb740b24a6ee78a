/** What schedulers are made with: numbers for each group of parameters, and numbers as tensors. */
import { fail } from '../../compiler/errors.js';
import { full } from '../../compiler/ops/define.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import type { Optimizer } from './optimizer.js';

// biome-ignore lint/suspicious/noExplicitAny: any optimizer has groups with a learning rate
export type AnyOptimizer = Optimizer<any>;

export const scalar = (value: number): Tensor => full([], value, { dtype: 'float64' });

/** A value per parameter group: given as a list, or one for all. */
export function perGroup<T>(optimizer: AnyOptimizer, name: string, value: T | readonly T[]): readonly T[] {
  if (!Array.isArray(value)) return optimizer.paramGroups.map(() => value as T);
  if (value.length !== optimizer.paramGroups.length) {
    fail('E208', {
      problem: `expected ${optimizer.paramGroups.length} values for ${name}, one per parameter group, but got ${value.length}`,
    });
  }
  return value;
}
