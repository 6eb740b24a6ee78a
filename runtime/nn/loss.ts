/** Losses as modules. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { Layer } from './layer.js';

export type Reduction = 'none' | 'mean' | 'sum';
export interface LossOptions {
  readonly reduction?: Reduction;
}

abstract class Loss extends Layer {
  readonly reduction: Reduction;
  constructor({ reduction = 'mean' }: LossOptions = {}) {
    super();
    this.reduction = reduction;
  }
  abstract override forward(input: Tensor, target: Tensor): Tensor;
}

export class MSELoss extends Loss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target, { reduction: this.reduction });
  }
}
export class L1Loss extends Loss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.l1Loss(input, target, { reduction: this.reduction });
  }
}
export class SmoothL1Loss extends Loss {
  readonly beta: number;
  constructor({ beta = 1, ...options }: LossOptions & { readonly beta?: number } = {}) {
    super(options);
    this.beta = beta;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, { reduction: this.reduction, beta: this.beta });
  }
}
export class HuberLoss extends Loss {
  readonly delta: number;
  constructor({ delta = 1, ...options }: LossOptions & { readonly delta?: number } = {}) {
    super(options);
    this.delta = delta;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.huberLoss(input, target, { reduction: this.reduction, delta: this.delta });
  }
}
export interface KLDivOptions {
  /** `batchmean`, the sum over the size of the batch, is what the name of the loss means. */
  readonly reduction?: Reduction | 'batchmean';
  readonly logTarget?: boolean;
}
export class KLDivLoss extends Layer {
  readonly reduction: Reduction | 'batchmean';
  readonly logTarget: boolean;
  constructor({ reduction = 'mean', logTarget = false }: KLDivOptions = {}) {
    super();
    this.reduction = reduction;
    this.logTarget = logTarget;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.klDiv(input, target, { reduction: this.reduction, logTarget: this.logTarget });
  }
}

export interface WeightedLossOptions extends LossOptions {
  readonly weight?: Tensor | null;
}
/** Losses with weights per class or element, which are a buffer. */
abstract class WeightedLoss extends Loss {
  weight: Tensor | null;
  constructor({ weight = null, ...options }: WeightedLossOptions = {}) {
    super(options);
    this.weight = this.registerBuffer('weight', weight);
  }
}
export interface ClassLossOptions extends WeightedLossOptions {
  readonly ignoreIndex?: number;
}
export class NLLLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  constructor({ ignoreIndex = -100, ...options }: ClassLossOptions = {}) {
    super(options);
    this.ignoreIndex = ignoreIndex;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.nllLoss(input, target, { weight: this.weight, ignoreIndex: this.ignoreIndex, reduction: this.reduction });
  }
}
export class CrossEntropyLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;
  constructor({
    ignoreIndex = -100,
    labelSmoothing = 0,
    ...options
  }: ClassLossOptions & { readonly labelSmoothing?: number } = {}) {
    super(options);
    this.ignoreIndex = ignoreIndex;
    this.labelSmoothing = labelSmoothing;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction, labelSmoothing } = this;
    return F.crossEntropy(input, target, { weight, ignoreIndex, reduction, labelSmoothing });
  }
}
export class BCELoss extends WeightedLoss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, { weight: this.weight, reduction: this.reduction });
  }
}
export class BCEWithLogitsLoss extends WeightedLoss {
  posWeight: Tensor | null;
  constructor({ posWeight = null, ...options }: WeightedLossOptions & { readonly posWeight?: Tensor | null } = {}) {
    super(options);
    this.posWeight = this.registerBuffer('posWeight', posWeight);
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropyWithLogits(input, target, {
      weight: this.weight,
      reduction: this.reduction,
      posWeight: this.posWeight,
    });
  }
}

export interface CTCLossOptions extends LossOptions {
  readonly blank?: number;
  readonly zeroInfinity?: boolean;
}
export class CTCLoss extends Layer {
  readonly options: Required<CTCLossOptions>;
  constructor({ blank = 0, reduction = 'mean', zeroInfinity = false }: CTCLossOptions = {}) {
    super();
    this.options = { blank, reduction, zeroInfinity };
  }
  override forward(
    logProbs: Tensor,
    targets: Tensor,
    inputLengths: Tensor | readonly number[],
    targetLengths: Tensor | readonly number[],
  ): Tensor {
    return F.ctcLoss(logProbs, targets, inputLengths, targetLengths, this.options);
  }
}
