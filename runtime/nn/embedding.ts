/** A table of vectors, looked up by index, one by one or in bags. */
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { BagMode } from '../../compiler/ops/embedding-bag.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { normal_ } from './init.js';
import { Layer, positional, Unquoted } from './layer.js';
import { Parameter } from './parameter.js';

export interface EmbeddingOptions {
  /** The index whose vector stays as it is. */
  readonly paddingIdx?: number | null;
  /** Vectors looked up that are longer than this are shortened in the table first. */
  readonly maxNorm?: number | null;
  /** The p of that norm. Default: 2. */
  readonly normType?: number;
  readonly dtype?: DType;
}
const tableOrder = ['paddingIdx', 'maxNorm', 'normType'] as const;

/** What tables share: their size, their options, their first values. */
abstract class Table extends Layer {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  readonly maxNorm: number | null;
  readonly normType: number;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions) {
    super();
    const { paddingIdx = null, maxNorm = null, normType = 2, dtype } = options;
    if (paddingIdx !== null && (paddingIdx >= numEmbeddings || paddingIdx < -numEmbeddings)) {
      fail('E208', { problem: `Padding_idx must be within num_embeddings: ${paddingIdx} and ${numEmbeddings}` });
    }
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIdx = paddingIdx !== null && paddingIdx < 0 ? paddingIdx + numEmbeddings : paddingIdx;
    this.maxNorm = maxNorm;
    this.normType = normType;
    this.weight = new Parameter(normal_(empty(numEmbeddings, embeddingDim, { dtype })));
    const padding = this.paddingIdx;
    if (padding !== null) noGrad(() => this.weight.select(0, padding).zero_());
  }

  protected settings(): Readonly<Record<string, unknown>> {
    return {
      paddingIdx: this.paddingIdx ?? undefined,
      maxNorm: this.maxNorm ?? undefined,
      normType: this.normType === 2 ? undefined : this.normType,
    };
  }
}

export class Embedding extends Table {
  constructor(numEmbeddings: number, embeddingDim: number, ...given: InOrder<EmbeddingOptions, typeof tableOrder>) {
    super(
      numEmbeddings,
      embeddingDim,
      byName<EmbeddingOptions, typeof tableOrder>('Embedding', tableOrder, given, ['dtype']),
    );
  }
  override forward(input: Tensor): Tensor {
    const { weight, paddingIdx, maxNorm, normType } = this;
    return F.embedding(input, weight, { paddingIdx, maxNorm, normType });
  }
  override extraRepr(): string {
    return positional([this.numEmbeddings, this.embeddingDim], this.settings());
  }
}

export interface EmbeddingBagOptions extends EmbeddingOptions {
  /** Default: mean. */
  readonly mode?: BagMode;
  /** Is the last offset the end of the last bag? */
  readonly includeLastOffset?: boolean;
}
const bagOrder = ['maxNorm', 'normType'] as const;
const bagOthers = ['mode', 'includeLastOffset', 'paddingIdx', 'dtype'] as const;

/** The sum, mean or maximum of the vectors in each bag of indices. */
export class EmbeddingBag extends Table {
  readonly mode: BagMode;
  readonly includeLastOffset: boolean;

  constructor(numEmbeddings: number, embeddingDim: number, ...given: InOrder<EmbeddingBagOptions, typeof bagOrder>) {
    const named: EmbeddingBagOptions = byName('EmbeddingBag', bagOrder, given, bagOthers);
    const { mode = 'mean', includeLastOffset = false, ...options } = named;
    super(numEmbeddings, embeddingDim, options);
    this.mode = mode;
    this.includeLastOffset = includeLastOffset;
  }
  override forward(input: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    const { weight, mode, includeLastOffset, paddingIdx, maxNorm, normType } = this;
    const options = { mode, includeLastOffset, paddingIdx, maxNorm, normType, perSampleWeights };
    return F.embeddingBag(input, weight, offsets, options);
  }
  override extraRepr(): string {
    const { paddingIdx, ...others } = this.settings();
    return positional([this.numEmbeddings, this.embeddingDim], {
      ...others,
      mode: new Unquoted(this.mode),
      paddingIdx,
    });
  }
}
