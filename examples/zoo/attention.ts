/** Scaled dot-product attention of several heads, as the GPT and the encoder share it. */
import type { Tensor } from 'gradc';

/** Queries, keys and values [batch, time, width] to the same shape; `mask` is added to the scores. */
export function attend(q: Tensor, k: Tensor, v: Tensor, heads: number, mask: Tensor | null = null): Tensor {
  const [batch, time, width] = q.shape;
  const size = width / heads;
  const split = (x: Tensor): Tensor => x.reshape([batch, time, heads, size]).transpose(1, 2);
  let scores = split(q)
    .matmul(split(k).transpose(-2, -1))
    .mul(1 / Math.sqrt(size));
  if (mask !== null) scores = scores.add(mask);
  return scores.softmax(-1).matmul(split(v)).transpose(1, 2).reshape([batch, time, width]);
}
