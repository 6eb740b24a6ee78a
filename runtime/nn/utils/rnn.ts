/** Sequences of different lengths in one tensor. */
import { fail } from '../../../compiler/errors.js';
import { stack } from '../../../compiler/ops/shape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import * as F from '../../functional.js';
import { type Lengths, PackedSequence, pack } from './packed-sequence.js';

export { type Lengths, PackedSequence };

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
  lengths: Lengths,
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

export interface PackOptions {
  /** The longest sequence comes first; without it they are sorted while they are packed. */
  readonly enforceSorted?: boolean;
}

/** Pack a padded batch, [longest, batch, ...] or with `batchFirst` [batch, longest, ...]. Throws E208 for bad lengths. */
export function packPaddedSequence(
  input: Tensor,
  lengths: Lengths,
  { batchFirst = false, enforceSorted = true }: SequenceOptions & PackOptions = {},
): PackedSequence {
  if (input.ndim < 2)
    fail('E208', { problem: `packPaddedSequence: expected at least two dims, but got a ${input.ndim}-d tensor` });
  return pack(batchFirst ? input.transpose(0, 1) : input, lengths, enforceSorted);
}

/** Pack sequences, each [length, ...]. */
export function packSequence(sequences: Iterable<Tensor>, { enforceSorted = true }: PackOptions = {}): PackedSequence {
  const all = [...sequences];
  const lengths = all.map(({ shape }) => shape[0]);
  return pack(padSequence(all), lengths, enforceSorted);
}

export interface UnpackOptions extends SequenceOptions {
  readonly paddingValue?: number;
  /** To how many steps sequences are padded, if not to the longest. Needed where lengths are an input of a compiled entry. */
  readonly totalLength?: number | null;
}

/** The steps of a packed batch, padded, and the lengths (int64), both in the order in which the batch was given. */
export function padPackedSequence(
  sequence: PackedSequence,
  { batchFirst = false, paddingValue = 0, totalLength = null }: UnpackOptions = {},
): [padded: Tensor, lengths: Tensor] {
  const { longest } = sequence;
  if (totalLength === null && sequence.hasOpenLengths) {
    fail('E304', {
      problem: 'padPackedSequence: how long the longest sequence is will be known only when the compiled entry runs',
      hint: `say to how many steps to pad: { totalLength: ${longest} }`,
    });
  }
  if (totalLength !== null && totalLength < longest) {
    fail('E208', {
      problem: `padPackedSequence: totalLength must be at least the length of the longest sequence, but is ${totalLength} where that is ${longest}`,
    });
  }
  const steps = sequence.padded(paddingValue);
  const missing = (totalLength ?? longest) - longest;
  const padded =
    missing === 0
      ? steps
      : F.pad(steps, [...steps.shape.slice(1).flatMap(() => [0, 0]), 0, missing], { value: paddingValue });
  return [batchFirst ? padded.transpose(0, 1) : padded, sequence.lengths];
}

/** The sequences of a packed batch, in the order in which they were given. Their lengths must be known. */
export function unpackSequence(sequence: PackedSequence): Tensor[] {
  const [padded, lengths] = padPackedSequence(sequence);
  return unpadSequence(padded, lengths);
}
