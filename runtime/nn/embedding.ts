/** A table of vectors, looked up by index. */
import { fail } from '../../compiler/errors.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import * as F from '../functional.js';
import { normal_ } from './init.js';
import { positional, UnaryLayer } from './layer.js';
import { Parameter } from './parameter.js';

export interface EmbeddingOptions {
  /** The index whose vector stays as it is. */
  readonly paddingIdx?: number | null;
}

export class Embedding extends UnaryLayer {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, { paddingIdx = null, ...others }: EmbeddingOptions = {}) {
    super();
    const unsupported = Object.entries(others).find(
      ([, value]) => value !== null && value !== undefined && value !== false && value !== 2,
    );
    if (unsupported) fail('E208', { problem: `Embedding does not support the option ${unsupported[0]}` });
    if (paddingIdx !== null && (paddingIdx >= numEmbeddings || paddingIdx < -numEmbeddings)) {
      fail('E208', { problem: `Padding_idx must be within num_embeddings: ${paddingIdx} and ${numEmbeddings}` });
    }
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIdx = paddingIdx !== null && paddingIdx < 0 ? paddingIdx + numEmbeddings : paddingIdx;
    this.weight = new Parameter(normal_(empty(numEmbeddings, embeddingDim)));
    const padding = this.paddingIdx;
    if (padding !== null) noGrad(() => this.weight.select(0, padding).zero_());
  }
  override forward(input: Tensor): Tensor {
    return F.embedding(input, this.weight, this.paddingIdx);
  }
  override extraRepr(): string {
    return positional([this.numEmbeddings, this.embeddingDim], { paddingIdx: this.paddingIdx ?? undefined });
  }
}
