/** Attention over several heads: Vaswani et al., "Attention is all you need" (2017). */
import { fail } from '../../compiler/errors.js';
import { cat } from '../../compiler/ops/shape.js';
import { type Bound, bindArguments, parseSignature } from '../../compiler/ops/signature.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty, zeros } from '../creation.js';
import { dropout as drop } from '../dropout.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { constant_, xavierNormal_, xavierUniform_ } from './init.js';
import { Layer } from './layer.js';
import { Linear } from './linear.js';
import { Parameter } from './parameter.js';

/** A Linear under the name that PyTorch prints for attention's output projection. */
class NonDynamicallyQuantizableLinear extends Linear {}

export interface AttentionOptions {
  readonly dropout?: number;
  readonly bias?: boolean;
  readonly addBiasKv?: boolean;
  readonly addZeroAttn?: boolean;
  readonly kdim?: number | null;
  readonly vdim?: number | null;
  /** Inputs are [batch, length, features] instead of [length, batch, features]. */
  readonly batchFirst?: boolean;
}
const attentionOrder = ['dropout', 'bias', 'addBiasKv', 'addZeroAttn', 'kdim', 'vdim', 'batchFirst'] as const;

/** Arguments after query, key and value, in this order or by name. Bool masks are true where attention is forbidden. */
export interface AttentionCall {
  readonly keyPaddingMask?: Tensor | null;
  readonly needWeights?: boolean;
  readonly attnMask?: Tensor | null;
  readonly averageAttnWeights?: boolean;
}
const attentionParams = parseSignature(
  'query: tensor, key: tensor, value: tensor, keyPaddingMask: tensor = null, needWeights: bool = true, attnMask: tensor = null, averageAttnWeights: bool = true',
);

export class MultiheadAttention extends Layer {
  readonly embedDim: number;
  readonly numHeads: number;
  readonly dropout: number;
  readonly batchFirst: boolean;
  readonly addZeroAttn: boolean;
  readonly headDim: number;
  inProjWeight: Parameter | null = null;
  qProjWeight: Parameter | null = null;
  kProjWeight: Parameter | null = null;
  vProjWeight: Parameter | null = null;
  inProjBias: Parameter | null;
  outProj: Linear;
  biasK: Parameter | null;
  biasV: Parameter | null;

  constructor(embedDim: number, numHeads: number, ...given: InOrder<AttentionOptions, typeof attentionOrder>) {
    super();
    const options = byName<AttentionOptions, typeof attentionOrder>('MultiheadAttention', attentionOrder, given);
    const { dropout = 0, bias = true, addBiasKv = false, addZeroAttn = false, batchFirst = false } = options;
    const [kdim, vdim] = [options.kdim ?? embedDim, options.vdim ?? embedDim];
    if (embedDim % numHeads !== 0)
      fail('E208', { problem: `embed_dim must be divisible by num_heads: ${embedDim} and ${numHeads}` });
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.dropout = dropout;
    this.batchFirst = batchFirst;
    this.addZeroAttn = addZeroAttn;
    this.headDim = embedDim / numHeads;
    if (kdim === embedDim && vdim === embedDim) this.inProjWeight = new Parameter(empty(3 * embedDim, embedDim));
    else {
      this.qProjWeight = new Parameter(empty(embedDim, embedDim));
      this.kProjWeight = new Parameter(empty(embedDim, kdim));
      this.vProjWeight = new Parameter(empty(embedDim, vdim));
    }
    this.inProjBias = bias ? new Parameter(zeros(3 * embedDim)) : null;
    this.outProj = new NonDynamicallyQuantizableLinear(embedDim, embedDim, { bias });
    this.biasK = addBiasKv ? new Parameter(empty(1, 1, embedDim)) : null;
    this.biasV = addBiasKv ? new Parameter(empty(1, 1, embedDim)) : null;
    for (const weight of [this.inProjWeight, this.qProjWeight, this.kProjWeight, this.vProjWeight])
      if (weight !== null) xavierUniform_(weight);
    if (this.outProj.bias !== null) constant_(this.outProj.bias, 0);
    for (const extra of [this.biasK, this.biasV]) if (extra !== null) xavierNormal_(extra);
  }

  /** The attended values, and the attention weights unless `needWeights` is false. */
  override forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ...rest: readonly (AttentionCall | Tensor | boolean | null)[]
  ): [Tensor, Tensor | null] {
    const bound: Bound = bindArguments('MultiheadAttention', attentionParams, [query, key, value, ...rest]);
    const single = query.ndim === 2;
    const asBatch = (t: Tensor): Tensor => (single ? t.unsqueeze(0) : this.batchFirst ? t : t.transpose(0, 1));
    const [output, weights] = this.attend(asBatch(query), asBatch(key), asBatch(value), {
      ...bound,
      keyPaddingMask: single ? bound.keyPaddingMask?.unsqueeze(0) : bound.keyPaddingMask,
    });
    const given = single ? output.squeeze(0) : this.batchFirst ? output : output.transpose(0, 1);
    if (!bound.needWeights) return [given, null];
    const shown = bound.averageAttnWeights ? weights.mean(1) : weights;
    return [given, single ? shown.squeeze(0) : shown];
  }

  /** On [batch, length, features]; weights are [batch, head, to, from]. */
  private attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    { keyPaddingMask, attnMask }: AttentionCall,
  ): [Tensor, Tensor] {
    const [batch, length] = query.shape;
    let [q, k, v] = this.project(query, key, value);
    let extra = 0;
    if (this.biasK !== null && this.biasV !== null) {
      k = cat([k, this.biasK.expand(batch, 1, this.embedDim)], 1);
      v = cat([v, this.biasV.expand(batch, 1, this.embedDim)], 1);
      extra++;
    }
    if (this.addZeroAttn) {
      k = cat([k, k.newZeros(batch, 1, this.embedDim)], 1);
      v = cat([v, v.newZeros(batch, 1, this.embedDim)], 1);
      extra++;
    }
    const heads = (t: Tensor): Tensor => t.reshape([batch, t.shape[1], this.numHeads, this.headDim]).transpose(1, 2);
    let scores = heads(q.mul(1 / Math.sqrt(this.headDim))).matmul(heads(k).transpose(-2, -1));
    if (attnMask)
      scores = masked(
        scores,
        extended(attnMask.ndim === 3 ? attnMask.reshape([batch, this.numHeads, length, -1]) : attnMask, extra),
      );
    if (keyPaddingMask) scores = masked(scores, extended(keyPaddingMask, extra).unsqueeze(1).unsqueeze(2));
    const weights = drop(scores.softmax(-1), this.dropout, this.training);
    const joined = weights.matmul(heads(v)).transpose(1, 2).reshape([batch, length, this.embedDim]);
    return [this.outProj.forward(joined), weights];
  }

  private project(...inputs: readonly [Tensor, Tensor, Tensor]): Tensor[] {
    const part = (t: Tensor | null, i: number): Tensor | null => t?.narrow(0, i * this.embedDim, this.embedDim) ?? null;
    const apart = [this.qProjWeight, this.kProjWeight, this.vProjWeight];
    return inputs.map((input, i) => F.linear(input, apart[i] ?? part(this.inProjWeight, i)!, part(this.inProjBias, i)));
  }
}

/** Forbid where a bool mask is true; add a float mask. */
const masked = (scores: Tensor, mask: Tensor): Tensor =>
  mask.dtype === 'bool' ? scores.maskedFill(mask, Number.NEGATIVE_INFINITY) : scores.add(mask);
/** A mask for `extra` more keys, which are always allowed. */
const extended = (mask: Tensor, extra: number): Tensor =>
  extra === 0 ? mask : cat([mask, mask.newZeros(...mask.shape.slice(0, -1), extra)], -1);
