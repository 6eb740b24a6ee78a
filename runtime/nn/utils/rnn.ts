/** Sequences of different lengths in one tensor. */
import { fail } from '../../../compiler/errors.js';
import { stack } from '../../../compiler/ops/shape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import * as F from '../../functional.js';

export interface SequenceOptions {
  /** The batch is the first dim, the steps the second; otherwise the other way round. */
  readonly batchFirst?: boolean;
}

/**
 * Sequences, each [length, ...], padded at their ends to the longest: [longest, count, ...], or with `batchFirst` [count,
 * longest, ...].
 */
export function padSequence(
  sequences: Iterable<Tensor>,
  { batchFirst = false, paddingValue = 0 }: SequenceOptions & { readonly paddingValue?: number } = {},
): Tensor {
  const all = [...sequences];
  if (all.length === 0) fail('E208', { problem: 'padSequence: expected at least one sequence' });
  const longest = Math.max(...all.map(({ shape }) => shape[0]));
  const padded = all.map(sequence => {
    const atTheEnd = [...sequence.shape.slice(1).flatMap(() => [0, 0]), 0, longest - sequence.shape[0]];
    return F.pad(sequence, atTheEnd, { value: paddingValue });
  });
  return stack(padded, batchFirst ? 0 : 1);
}

/** The sequences of a padded tensor, each cut to its length. */
export function unpadSequence(
  padded: Tensor,
  lengths: Tensor | readonly number[],
  { batchFirst = false }: SequenceOptions = {},
): Tensor[] {
  const counts = (Array.isArray(lengths) ? lengths : (lengths as Tensor).tolist()) as number[];
  const batch = batchFirst ? 0 : 1;
  if (counts.length !== padded.shape[batch]) {
    fail('E208', {
      problem: `unpadSequence: ${counts.length} lengths were given for ${padded.shape[batch]} sequences`,
      hint: 'give one length for each sequence, and batchFirst as the tensor was padded',
    });
  }
  return counts.map((count, i) => padded.select(batch, i).narrow(0, 0, count));
}
