/**
 * Attention as `nn.functional` has it (Vaswani et al., 2017), with dropout of its weights; several heads of the query may
 * share one of key and value (Ainslie et al., "GQA", 2023).
 */
import { fail } from '../compiler/errors.js';
import { attentionWeights, type WeightOptions } from '../compiler/ops/attention.js';
import { type Bound, bindArguments, type Param, parseSignature } from '../compiler/ops/signature.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { dropout } from './dropout.js';

export interface AttentionOptions extends WeightOptions {
  /** How probable it is that a weight is zeroed; whether or not something trains. */
  readonly dropoutP?: number;
  /** Heads of the query share those of key and value, which are fewer. */
  readonly enableGqa?: boolean;
}
/** The arguments after `value` in PyTorch's order, or by name. */
export interface ScaledDotProductAttention {
  (
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attnMask?: Tensor | null | AttentionOptions,
    dropoutP?: number | AttentionOptions,
    isCausal?: boolean | AttentionOptions,
    options?: AttentionOptions,
  ): Tensor;
  readonly params: readonly Param[];
}

const op = 'scaledDotProductAttention';
const params = parseSignature(
  'query: tensor, key: tensor, value: tensor, attnMask: tensor = null, dropoutP: number = 0, isCausal: bool = false, *, scale: number = null, enableGqa: bool = false',
);

/** softmax(query · keyᵀ · scale + mask) · value. */
export const scaledDotProductAttention: ScaledDotProductAttention = Object.assign(
  (...args: unknown[]): Tensor => {
    const bound: Bound = bindArguments(op, params, args);
    const { query, attnMask, isCausal, scale } = bound;
    if (isCausal && attnMask !== null)
      fail('E110', {
        op,
        problem: 'attnMask and isCausal cannot both be given',
        hint: 'leave isCausal out and forbid later places in the mask, too',
      });
    const [key, value] = [bound.key, bound.value].map(t => (bound.enableGqa ? forEachHeadOf(query, t) : t));
    return dropout(attentionWeights(query, key, { attnMask, isCausal, scale }), bound.dropoutP).matmul(value);
  },
  { params },
);

/** Heads, which are the third dim from the end, repeated so that each of the query's has its own. */
function forEachHeadOf(query: Tensor, shared: Tensor): Tensor {
  const [wanted, given] = [query, shared].map(({ shape, ndim }) => shape[ndim - 3]);
  if (!(wanted % given === 0))
    fail('E107', {
      op,
      problem: `the heads of key and value must divide those of the query, but there are ${given} and ${wanted}`,
      hint: 'with enableGqa, query, key and value are [..., heads, places, features]',
    });
  return shared.repeatInterleave(wanted / given, -3);
}
