/** Transformers: Vaswani et al., "Attention is all you need" (2017). */
import { fail } from '../../compiler/errors.js';
import { type Bound, bindArguments, parseSignature } from '../../compiler/ops/signature.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { full } from '../creation.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { type AttentionCall, MultiheadAttention } from './attention.js';
import { ModuleList } from './containers.js';
import { Dropout } from './dropout.js';
import { xavierUniform_ } from './init.js';
import { Layer } from './layer.js';
import { Linear } from './linear.js';
import type { Module } from './module.js';
import { LayerNorm } from './normalization.js';

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
const layerOrder = ['dimFeedforward', 'dropout', 'activation', 'layerNormEps', 'batchFirst', 'normFirst'] as const;
type LayerSettings = InOrder<TransformerLayerOptions, typeof layerOrder>;

/**
 * Attention to the sequence itself, in decoders also to another, and a feed-forward net; each added to what it was given, and
 * normalised. The parts have PyTorch's names and are made in its order, so that initial values are the same.
 */
abstract class TransformerLayer extends Layer {
  readonly normFirst: boolean;
  selfAttn: MultiheadAttention;
  multiheadAttn: MultiheadAttention | null = null;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  norm3: LayerNorm | null = null;
  dropout1: Dropout;
  dropout2: Dropout;
  dropout3: Dropout | null = null;
  readonly activation: (input: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions, readsMemory: boolean) {
    super();
    const { dimFeedforward = 2048, dropout = 0.1, activation = 'relu', layerNormEps: eps = 1e-5 } = options;
    const { batchFirst = false, normFirst = false } = options;
    const attention = (): MultiheadAttention => new MultiheadAttention(dModel, nhead, { dropout, batchFirst });
    const norm = (): LayerNorm => new LayerNorm(dModel, { eps });
    this.normFirst = normFirst;
    this.selfAttn = attention();
    if (readsMemory) this.multiheadAttn = attention();
    this.linear1 = new Linear(dModel, dimFeedforward);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel);
    [this.norm1, this.norm2] = [norm(), norm()];
    if (readsMemory) this.norm3 = norm();
    [this.dropout1, this.dropout2] = [new Dropout(dropout), new Dropout(dropout)];
    if (readsMemory) this.dropout3 = new Dropout(dropout);
    this.activation = activationOf(activation);
  }

  protected attend(attention: MultiheadAttention, x: Tensor, memory: Tensor, call: AttentionCall): Tensor {
    return attention.forward(x, memory, memory, { ...call, needWeights: false })[0];
  }

  protected feedForward(x: Tensor): Tensor {
    return this.linear2.forward(this.dropout.forward(this.activation(this.linear1.forward(x))));
  }

  /** Steps one after another, each beside a way around it. */
  protected inSteps(
    input: Tensor,
    steps: readonly (readonly [norm: LayerNorm, dropout: Dropout, step: (x: Tensor) => Tensor])[],
  ): Tensor {
    return steps.reduce((x, [norm, dropout, step]) => {
      const added = (given: Tensor): Tensor => x.add(dropout.forward(step(given)));
      return this.normFirst ? added(norm.forward(x)) : norm.forward(added(x));
    }, input);
  }
}

export interface EncoderCall {
  readonly srcMask?: Tensor | null;
  readonly srcKeyPaddingMask?: Tensor | null;
}
const encoderLayerParams = parseSignature('src: tensor, srcMask: tensor = null, srcKeyPaddingMask: tensor = null');

export class TransformerEncoderLayer extends TransformerLayer {
  constructor(dModel: number, nhead: number, ...given: LayerSettings) {
    super(dModel, nhead, byName('TransformerEncoderLayer', layerOrder, given), false);
  }

  override forward(src: Tensor, ...rest: readonly (EncoderCall | Tensor | null)[]): Tensor {
    const bound: Bound = bindArguments('TransformerEncoderLayer', encoderLayerParams, [src, ...rest]);
    const masks = { attnMask: bound.srcMask, keyPaddingMask: bound.srcKeyPaddingMask };
    return this.inSteps(src, [
      [this.norm1, this.dropout1, x => this.attend(this.selfAttn, x, x, masks)],
      [this.norm2, this.dropout2, x => this.feedForward(x)],
    ]);
  }
}

export interface DecoderCall {
  readonly tgtMask?: Tensor | null;
  readonly memoryMask?: Tensor | null;
  readonly tgtKeyPaddingMask?: Tensor | null;
  readonly memoryKeyPaddingMask?: Tensor | null;
}
const decoderParams = parseSignature(
  'tgt: tensor, memory: tensor, tgtMask: tensor = null, memoryMask: tensor = null, ' +
    'tgtKeyPaddingMask: tensor = null, memoryKeyPaddingMask: tensor = null',
);

export class TransformerDecoderLayer extends TransformerLayer {
  declare multiheadAttn: MultiheadAttention;
  declare norm3: LayerNorm;
  declare dropout3: Dropout;

  constructor(dModel: number, nhead: number, ...given: LayerSettings) {
    super(dModel, nhead, byName('TransformerDecoderLayer', layerOrder, given), true);
  }

  override forward(tgt: Tensor, memory: Tensor, ...rest: readonly (DecoderCall | Tensor | null)[]): Tensor {
    const bound: Bound = bindArguments('TransformerDecoderLayer', decoderParams, [tgt, memory, ...rest]);
    const own = { attnMask: bound.tgtMask, keyPaddingMask: bound.tgtKeyPaddingMask };
    const across = { attnMask: bound.memoryMask, keyPaddingMask: bound.memoryKeyPaddingMask };
    return this.inSteps(tgt, [
      [this.norm1, this.dropout1, x => this.attend(this.selfAttn, x, x, own)],
      [this.norm2, this.dropout2, x => this.attend(this.multiheadAttn, x, memory, across)],
      [this.norm3, this.dropout3, x => this.feedForward(x)],
    ]);
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
  constructor(layer: M, numLayers: number, ...given: InOrder<StackOptions, ['norm']>) {
    super();
    const { norm = null } = byName<StackOptions, ['norm']>(new.target.name, ['norm'], given);
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

export interface TransformerOptions extends TransformerLayerOptions {
  readonly dModel?: number;
  readonly nhead?: number;
  readonly numEncoderLayers?: number;
  readonly numDecoderLayers?: number;
  /** Modules to use in place of the stacks; they are called as these are. */
  readonly customEncoder?: Module | null;
  readonly customDecoder?: Module | null;
}
const transformerOrder = [
  'dModel',
  'nhead',
  'numEncoderLayers',
  'numDecoderLayers',
  'dimFeedforward',
  'dropout',
  'activation',
  'customEncoder',
  'customDecoder',
  'layerNormEps',
  'batchFirst',
  'normFirst',
] as const;
export interface TransformerCall extends EncoderCall, DecoderCall {}
const transformerParams = parseSignature(
  'src: tensor, tgt: tensor, srcMask: tensor = null, tgtMask: tensor = null, memoryMask: tensor = null, ' +
    'srcKeyPaddingMask: tensor = null, tgtKeyPaddingMask: tensor = null, memoryKeyPaddingMask: tensor = null',
);

/** An encoder and a decoder that reads what the encoder made. */
export class Transformer extends Layer {
  encoder: Module;
  decoder: Module;
  readonly dModel: number;
  readonly nhead: number;
  readonly batchFirst: boolean;

  constructor(...given: InOrder<TransformerOptions, typeof transformerOrder>) {
    super();
    const {
      dModel = 512,
      nhead = 8,
      numEncoderLayers = 6,
      numDecoderLayers = 6,
      customEncoder = null,
      customDecoder = null,
      ...options
    }: TransformerOptions = byName('Transformer', transformerOrder, given);
    const norm = (): LayerNorm => new LayerNorm(dModel, { eps: options.layerNormEps ?? 1e-5 });
    this.encoder =
      customEncoder ??
      new TransformerEncoder(new TransformerEncoderLayer(dModel, nhead, options), numEncoderLayers, { norm: norm() });
    this.decoder =
      customDecoder ??
      new TransformerDecoder(new TransformerDecoderLayer(dModel, nhead, options), numDecoderLayers, { norm: norm() });
    this.dModel = dModel;
    this.nhead = nhead;
    this.batchFirst = options.batchFirst ?? false;
    for (const parameter of this.parameters()) if (parameter.ndim > 1) xavierUniform_(parameter);
  }

  override forward(src: Tensor, tgt: Tensor, ...rest: readonly (TransformerCall | Tensor | null)[]): Tensor {
    const {
      srcMask: mask,
      srcKeyPaddingMask,
      ...masks
    }: Bound = bindArguments('Transformer', transformerParams, [src, tgt, ...rest]);
    this.#check(src, tgt);
    const memory = this.encoder.forward(src, { mask, srcKeyPaddingMask });
    const { tgtMask, memoryMask, tgtKeyPaddingMask, memoryKeyPaddingMask } = masks;
    return this.decoder.forward(tgt, memory, { tgtMask, memoryMask, tgtKeyPaddingMask, memoryKeyPaddingMask });
  }

  #check(src: Tensor, tgt: Tensor): void {
    const batch = this.batchFirst ? 0 : 1;
    if (src.ndim === 3 && src.shape[batch] !== tgt.shape[batch])
      fail('E208', { problem: 'the batch number of src and tgt must be equal' });
    if (src.shape[src.ndim - 1] !== this.dModel || tgt.shape[tgt.ndim - 1] !== this.dModel)
      fail('E208', { problem: 'the feature number of src and tgt must be equal to d_model' });
  }

  /** A mask [size, size] that lets each place attend to itself and to those before it. */
  static generateSquareSubsequentMask(size: number): Tensor {
    return full([size, size], Number.NEGATIVE_INFINITY, { dtype: 'float32' }).triu(1);
  }
}
