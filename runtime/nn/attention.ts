/** Attention and transformer layers: Vaswani et al., "Attention is all you need" (2017). */
import { fail } from '../../compiler/errors.js';
import { cat } from '../../compiler/ops/shape.js';
import { type Bound, bindArguments, parseSignature } from '../../compiler/ops/signature.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty, zeros } from '../creation.js';
import { dropout as drop } from '../dropout.js';
import * as F from '../functional.js';
import { ModuleList } from './containers.js';
import { Dropout } from './dropout.js';
import { constant_, xavierNormal_, xavierUniform_ } from './init.js';
import { Layer } from './layer.js';
import { Linear } from './linear.js';
import type { Module } from './module.js';
import { LayerNorm } from './normalization.js';
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

  constructor(embedDim: number, numHeads: number, options: AttentionOptions = {}) {
    super();
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

export type Activation = 'relu' | 'gelu' | ((input: Tensor) => Tensor);
const activationOf = (activation: Activation): ((input: Tensor) => Tensor) =>
  activation === 'relu' ? F.relu : activation === 'gelu' ? F.gelu : activation;

export interface TransformerLayerOptions {
  readonly dimFeedforward?: number;
  readonly dropout?: number;
  readonly activation?: Activation;
  readonly layerNormEps?: number;
  readonly batchFirst?: boolean;
  /** Normalise before attention and feed-forward instead of after. */
  readonly normFirst?: boolean;
}

export interface EncoderCall {
  readonly srcMask?: Tensor | null;
  readonly srcKeyPaddingMask?: Tensor | null;
}
const encoderLayerParams = parseSignature('src: tensor, srcMask: tensor = null, srcKeyPaddingMask: tensor = null');

export class TransformerEncoderLayer extends Layer {
  readonly normFirst: boolean;
  selfAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  readonly activation: (input: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super();
    const {
      dimFeedforward = 2048,
      dropout = 0.1,
      activation = 'relu',
      layerNormEps: eps = 1e-5,
      batchFirst = false,
      normFirst = false,
    } = options;
    this.normFirst = normFirst;
    this.selfAttn = new MultiheadAttention(dModel, nhead, { dropout, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel);
    this.norm1 = new LayerNorm(dModel, { eps });
    this.norm2 = new LayerNorm(dModel, { eps });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.activation = activationOf(activation);
  }

  override forward(src: Tensor, ...rest: readonly (EncoderCall | Tensor | null)[]): Tensor {
    const { srcMask: attnMask, srcKeyPaddingMask: keyPaddingMask }: Bound = bindArguments(
      'TransformerEncoderLayer',
      encoderLayerParams,
      [src, ...rest],
    );
    const attention = (x: Tensor): Tensor =>
      this.dropout1.forward(this.selfAttn.forward(x, x, x, { attnMask, keyPaddingMask, needWeights: false })[0]);
    const feedForward = (x: Tensor): Tensor =>
      this.dropout2.forward(this.linear2.forward(this.dropout.forward(this.activation(this.linear1.forward(x)))));
    if (this.normFirst) {
      const attended = src.add(attention(this.norm1.forward(src)));
      return attended.add(feedForward(this.norm2.forward(attended)));
    }
    const attended = this.norm1.forward(src.add(attention(src)));
    return this.norm2.forward(attended.add(feedForward(attended)));
  }
}

export interface DecoderCall {
  readonly tgtMask?: Tensor | null;
  readonly memoryMask?: Tensor | null;
  readonly tgtKeyPaddingMask?: Tensor | null;
  readonly memoryKeyPaddingMask?: Tensor | null;
}
const decoderParams = parseSignature(
  'tgt: tensor, memory: tensor, tgtMask: tensor = null, memoryMask: tensor = null, tgtKeyPaddingMask: tensor = null, memoryKeyPaddingMask: tensor = null',
);

export class TransformerDecoderLayer extends Layer {
  readonly normFirst: boolean;
  selfAttn: MultiheadAttention;
  multiheadAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  norm3: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  dropout3: Dropout;
  readonly activation: (input: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super();
    const {
      dimFeedforward = 2048,
      dropout = 0.1,
      activation = 'relu',
      layerNormEps: eps = 1e-5,
      batchFirst = false,
      normFirst = false,
    } = options;
    this.normFirst = normFirst;
    this.selfAttn = new MultiheadAttention(dModel, nhead, { dropout, batchFirst });
    this.multiheadAttn = new MultiheadAttention(dModel, nhead, { dropout, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel);
    this.norm1 = new LayerNorm(dModel, { eps });
    this.norm2 = new LayerNorm(dModel, { eps });
    this.norm3 = new LayerNorm(dModel, { eps });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.dropout3 = new Dropout(dropout);
    this.activation = activationOf(activation);
  }

  override forward(tgt: Tensor, memory: Tensor, ...rest: readonly (DecoderCall | Tensor | null)[]): Tensor {
    const bound: Bound = bindArguments('TransformerDecoderLayer', decoderParams, [tgt, memory, ...rest]);
    const own = { attnMask: bound.tgtMask, keyPaddingMask: bound.tgtKeyPaddingMask, needWeights: false };
    const across = { attnMask: bound.memoryMask, keyPaddingMask: bound.memoryKeyPaddingMask, needWeights: false };
    const steps: readonly (readonly [norm: LayerNorm, step: (x: Tensor) => Tensor])[] = [
      [this.norm1, x => this.dropout1.forward(this.selfAttn.forward(x, x, x, own)[0])],
      [this.norm2, x => this.dropout2.forward(this.multiheadAttn.forward(x, memory, memory, across)[0])],
      [
        this.norm3,
        x =>
          this.dropout3.forward(this.linear2.forward(this.dropout.forward(this.activation(this.linear1.forward(x))))),
      ],
    ];
    return steps.reduce(
      (x, [norm, step]) => (this.normFirst ? x.add(step(norm.forward(x))) : norm.forward(x.add(step(x)))),
      tgt,
    );
  }
}

export interface StackOptions {
  /** Applied after the last layer. */
  readonly norm?: Module | null;
}
abstract class TransformerStack<M extends Module> extends Layer {
  layers: ModuleList<M>;
  readonly numLayers: number;
  norm: Module | null;
  constructor(layer: M, numLayers: number, { norm = null }: StackOptions = {}) {
    super();
    this.layers = new ModuleList(Array.from({ length: numLayers }, () => layer.clone()));
    this.numLayers = numLayers;
    this.norm = norm;
  }
  protected run(input: Tensor, step: (layer: M, x: Tensor) => Tensor): Tensor {
    const output = [...this.layers].reduce((x, layer) => step(layer, x), input);
    return this.norm === null ? output : this.norm.forward(output);
  }
}

const encoderParams = parseSignature('src: tensor, mask: tensor = null, srcKeyPaddingMask: tensor = null');
/** Copies of one encoder layer, one after another. */
export class TransformerEncoder extends TransformerStack<TransformerEncoderLayer> {
  override forward(
    src: Tensor,
    ...rest: readonly ({ readonly mask?: Tensor | null; readonly srcKeyPaddingMask?: Tensor | null } | Tensor | null)[]
  ): Tensor {
    const { mask, srcKeyPaddingMask }: Bound = bindArguments('TransformerEncoder', encoderParams, [src, ...rest]);
    return this.run(src, (layer, x) => layer.forward(x, { srcMask: mask, srcKeyPaddingMask }));
  }
}
/** Copies of one decoder layer, one after another. */
export class TransformerDecoder extends TransformerStack<TransformerDecoderLayer> {
  override forward(tgt: Tensor, memory: Tensor, ...rest: readonly (DecoderCall | Tensor | null)[]): Tensor {
    return this.run(tgt, (layer, x) => layer.forward(x, memory, ...rest));
  }
}
