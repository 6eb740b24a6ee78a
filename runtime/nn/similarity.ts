/** Distances between vectors, and losses that compare several inputs. Each hands its settings on to the functional form. */
import type { Distance } from '../../compiler/ops/ranking-loss.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { Layer } from './layer.js';
import type { LossOptions } from './loss.js';

export interface CosineSimilarityOptions {
  readonly dim?: number;
  readonly eps?: number;
}
export class CosineSimilarity extends Layer {
  readonly dim: number;
  readonly eps: number;
  constructor({ dim = 1, eps = 1e-8 }: CosineSimilarityOptions = {}) {
    super();
    this.dim = dim;
    this.eps = eps;
  }
  override forward(x1: Tensor, x2: Tensor): Tensor {
    return F.cosineSimilarity(x1, x2, this.dim, this.eps);
  }
}

export interface PairwiseDistanceOptions {
  readonly p?: number;
  readonly eps?: number;
  readonly keepdim?: boolean;
}
export class PairwiseDistance extends Layer {
  readonly options: PairwiseDistanceOptions;
  constructor(options: PairwiseDistanceOptions = {}) {
    super();
    this.options = options;
  }
  override forward(x1: Tensor, x2: Tensor): Tensor {
    return F.pairwiseDistance(x1, x2, this.options);
  }
}

/** A loss whose settings are those of its functional form. */
abstract class SettingsLoss<O> extends Layer {
  readonly options: O & LossOptions;
  constructor(options: O & LossOptions = {} as O & LossOptions) {
    super();
    this.options = options;
  }
}
export interface MarginOptions {
  readonly margin?: number;
}
export class CosineEmbeddingLoss extends SettingsLoss<MarginOptions> {
  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return F.cosineEmbeddingLoss(input1, input2, target, this.options);
  }
}
export class MarginRankingLoss extends SettingsLoss<MarginOptions> {
  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return F.marginRankingLoss(input1, input2, target, this.options);
  }
}
export class HingeEmbeddingLoss extends SettingsLoss<MarginOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.hingeEmbeddingLoss(input, target, this.options);
  }
}
export class SoftMarginLoss extends SettingsLoss<unknown> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.softMarginLoss(input, target, this.options);
  }
}
export class TripletMarginLoss extends SettingsLoss<
  MarginOptions & { readonly p?: number; readonly eps?: number; readonly swap?: boolean }
> {
  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return F.tripletMarginLoss(anchor, positive, negative, this.options);
  }
}
/** A triplet loss for any distance; by default the Euclidean one. */
export class TripletMarginWithDistanceLoss extends SettingsLoss<
  MarginOptions & { readonly distanceFunction?: Distance | null; readonly swap?: boolean }
> {
  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return F.tripletMarginWithDistanceLoss(anchor, positive, negative, this.options);
  }
}
export class MultiLabelMarginLoss extends SettingsLoss<unknown> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.multilabelMarginLoss(input, target, this.options);
  }
}
export class GaussianNLLLoss extends SettingsLoss<{ readonly full?: boolean; readonly eps?: number }> {
  override forward(input: Tensor, target: Tensor, variance: Tensor): Tensor {
    return F.gaussianNllLoss(input, target, variance, this.options);
  }
}
export class PoissonNLLLoss extends SettingsLoss<{
  readonly logInput?: boolean;
  readonly full?: boolean;
  readonly eps?: number;
}> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.poissonNllLoss(input, target, this.options);
  }
}

/** Losses with weights per class, which are a buffer. */
abstract class WeightedSettingsLoss<O> extends SettingsLoss<O> {
  weight: Tensor | null;
  constructor({ weight = null, ...options }: O & LossOptions & { readonly weight?: Tensor | null } = {} as never) {
    super(options as unknown as O & LossOptions);
    this.weight = this.registerBuffer('weight', weight);
  }
}
export class MultiMarginLoss extends WeightedSettingsLoss<MarginOptions & { readonly p?: number }> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.multiMarginLoss(input, target, { ...this.options, weight: this.weight });
  }
}
export class MultiLabelSoftMarginLoss extends WeightedSettingsLoss<unknown> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.multilabelSoftMarginLoss(input, target, { ...this.options, weight: this.weight });
  }
}
