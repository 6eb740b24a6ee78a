/** Distances between vectors, and losses that compare several inputs. Each hands its settings on to the functional form. */
import type { Distance } from '../../compiler/ops/ranking-loss.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { Layer } from './layer.js';
import type { LossOptions, WeightedLossOptions } from './loss.js';

export interface CosineSimilarityOptions {
  readonly dim?: number;
  readonly eps?: number;
}
export class CosineSimilarity extends Layer {
  readonly dim: number;
  readonly eps: number;
  constructor(...given: InOrder<CosineSimilarityOptions, ['dim', 'eps']>) {
    super();
    const { dim = 1, eps = 1e-8 }: CosineSimilarityOptions = byName('CosineSimilarity', ['dim', 'eps'], given);
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
const distanceOrder = ['p', 'eps', 'keepdim'] as const;
export class PairwiseDistance extends Layer {
  readonly options: PairwiseDistanceOptions;
  constructor(...given: InOrder<PairwiseDistanceOptions, typeof distanceOrder>) {
    super();
    this.options = byName<PairwiseDistanceOptions, typeof distanceOrder>('PairwiseDistance', distanceOrder, given);
  }
  override forward(x1: Tensor, x2: Tensor): Tensor {
    return F.pairwiseDistance(x1, x2, this.options);
  }
}

/** A loss whose settings are those of its functional form. */
abstract class SettingsLoss<O> extends Layer {
  readonly options: O & LossOptions;
  constructor(options: O & LossOptions) {
    super();
    this.options = options;
  }
}
export interface MarginOptions {
  readonly margin?: number;
}
/** With a margin that comes first. */
abstract class MarginLoss extends SettingsLoss<MarginOptions> {
  constructor(...given: InOrder<MarginOptions & LossOptions, ['margin']>) {
    super(byName<MarginOptions & LossOptions, ['margin']>(new.target.name, ['margin'], given, ['reduction']));
  }
}
/** With nothing to set but how it is reduced. */
abstract class PlainLoss extends SettingsLoss<unknown> {
  constructor(...given: InOrder<LossOptions, []>) {
    super(byName<LossOptions, []>(new.target.name, [], given, ['reduction']));
  }
}
export class CosineEmbeddingLoss extends MarginLoss {
  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return F.cosineEmbeddingLoss(input1, input2, target, this.options);
  }
}
export class MarginRankingLoss extends MarginLoss {
  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return F.marginRankingLoss(input1, input2, target, this.options);
  }
}
export class HingeEmbeddingLoss extends MarginLoss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.hingeEmbeddingLoss(input, target, this.options);
  }
}
export class SoftMarginLoss extends PlainLoss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.softMarginLoss(input, target, this.options);
  }
}
export interface TripletOptions extends MarginOptions, LossOptions {
  readonly p?: number;
  readonly eps?: number;
  readonly swap?: boolean;
}
const tripletOrder = ['margin', 'p', 'eps', 'swap'] as const;
export class TripletMarginLoss extends SettingsLoss<TripletOptions> {
  constructor(...given: InOrder<TripletOptions, typeof tripletOrder>) {
    super(byName<TripletOptions, typeof tripletOrder>('TripletMarginLoss', tripletOrder, given, ['reduction']));
  }
  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return F.tripletMarginLoss(anchor, positive, negative, this.options);
  }
}
export interface TripletWithDistanceOptions extends MarginOptions, LossOptions {
  readonly distanceFunction?: Distance | null;
  readonly swap?: boolean;
}
/** A triplet loss for any distance; by default the Euclidean one. */
export class TripletMarginWithDistanceLoss extends SettingsLoss<TripletWithDistanceOptions> {
  constructor(...given: InOrder<TripletWithDistanceOptions, []>) {
    const names = ['distanceFunction', 'margin', 'swap', 'reduction'] as const;
    super(byName<TripletWithDistanceOptions, []>('TripletMarginWithDistanceLoss', [], given, names));
  }
  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return F.tripletMarginWithDistanceLoss(anchor, positive, negative, this.options);
  }
}
export class MultiLabelMarginLoss extends PlainLoss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.multilabelMarginLoss(input, target, this.options);
  }
}
export interface GaussianOptions extends LossOptions {
  readonly full?: boolean;
  readonly eps?: number;
}
export class GaussianNLLLoss extends SettingsLoss<GaussianOptions> {
  constructor(...given: InOrder<GaussianOptions, []>) {
    super(byName<GaussianOptions, []>('GaussianNLLLoss', [], given, ['full', 'eps', 'reduction']));
  }
  override forward(input: Tensor, target: Tensor, variance: Tensor): Tensor {
    return F.gaussianNllLoss(input, target, variance, this.options);
  }
}
export interface PoissonOptions extends GaussianOptions {
  readonly logInput?: boolean;
}
export class PoissonNLLLoss extends SettingsLoss<PoissonOptions> {
  constructor(...given: InOrder<PoissonOptions, ['logInput', 'full']>) {
    const named: PoissonOptions = byName('PoissonNLLLoss', ['logInput', 'full'], given, ['eps', 'reduction']);
    super(named);
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.poissonNllLoss(input, target, this.options);
  }
}

/** Losses with weights per class, which are a buffer. */
abstract class WeightedSettingsLoss<O> extends SettingsLoss<O> {
  weight: Tensor | null;
  constructor({ weight = null, ...options }: O & LossOptions & { readonly weight?: Tensor | null }) {
    super(options as unknown as O & LossOptions);
    this.weight = this.registerBuffer('weight', weight);
  }
}
export interface MultiMarginOptions extends WeightedLossOptions, MarginOptions {
  readonly p?: number;
}
const multiMarginOrder = ['p', 'margin', 'weight'] as const;
export class MultiMarginLoss extends WeightedSettingsLoss<Omit<MultiMarginOptions, 'weight'>> {
  constructor(...given: InOrder<MultiMarginOptions, typeof multiMarginOrder>) {
    super(
      byName<MultiMarginOptions, typeof multiMarginOrder>('MultiMarginLoss', multiMarginOrder, given, ['reduction']),
    );
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.multiMarginLoss(input, target, { ...this.options, weight: this.weight });
  }
}
export class MultiLabelSoftMarginLoss extends WeightedSettingsLoss<unknown> {
  constructor(...given: InOrder<WeightedLossOptions, ['weight']>) {
    super(byName<WeightedLossOptions, ['weight']>('MultiLabelSoftMarginLoss', ['weight'], given, ['reduction']));
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.multilabelSoftMarginLoss(input, target, { ...this.options, weight: this.weight });
  }
}
