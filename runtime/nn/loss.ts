/** Losses as modules. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { Layer } from './layer.js';

export type Reduction = 'none' | 'mean' | 'sum';
export interface LossOptions {
  readonly reduction?: Reduction;
}

abstract class Loss extends Layer {
  readonly reduction: Reduction;
  constructor(...given: InOrder<LossOptions, []>) {
    super();
    this.reduction = byName<LossOptions, []>(new.target.name, [], given, ['reduction']).reduction ?? 'mean';
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
export interface SmoothL1Options extends LossOptions {
  readonly beta?: number;
}
export class SmoothL1Loss extends Loss {
  readonly beta: number;
  constructor(...given: InOrder<SmoothL1Options, []>) {
    const { beta = 1, ...options }: SmoothL1Options = byName('SmoothL1Loss', [], given, ['reduction', 'beta']);
    super(options);
    this.beta = beta;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, { reduction: this.reduction, beta: this.beta });
  }
}
export interface HuberOptions extends LossOptions {
  readonly delta?: number;
}
const huberOrder = ['reduction', 'delta'] as const;
export class HuberLoss extends Loss {
  readonly delta: number;
  constructor(...given: InOrder<HuberOptions, typeof huberOrder>) {
    const { delta = 1, ...options }: HuberOptions = byName('HuberLoss', huberOrder, given);
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
  constructor(...given: InOrder<KLDivOptions, []>) {
    super();
    const named: KLDivOptions = byName('KLDivLoss', [], given, ['reduction', 'logTarget']);
    const { reduction = 'mean', logTarget = false } = named;
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
  constructor({ weight = null, reduction }: WeightedLossOptions) {
    super({ reduction });
    this.weight = this.registerBuffer('weight', weight);
  }
}
export interface ClassLossOptions extends WeightedLossOptions {
  readonly ignoreIndex?: number;
}
export class NLLLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  constructor(...given: InOrder<ClassLossOptions, ['weight']>) {
    const named: ClassLossOptions = byName('NLLLoss', ['weight'], given, ['ignoreIndex', 'reduction']);
    const { ignoreIndex = -100, ...options } = named;
    super(options);
    this.ignoreIndex = ignoreIndex;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.nllLoss(input, target, { weight: this.weight, ignoreIndex: this.ignoreIndex, reduction: this.reduction });
  }
}
export interface CrossEntropyOptions extends ClassLossOptions {
  readonly labelSmoothing?: number;
}
export class CrossEntropyLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;
  constructor(...given: InOrder<CrossEntropyOptions, ['weight']>) {
    const others = ['ignoreIndex', 'reduction', 'labelSmoothing'] as const;
    const named: CrossEntropyOptions = byName('CrossEntropyLoss', ['weight'], given, others);
    const { ignoreIndex = -100, labelSmoothing = 0, ...options } = named;
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
  constructor(...given: InOrder<WeightedLossOptions, ['weight']>) {
    super(byName<WeightedLossOptions, ['weight']>('BCELoss', ['weight'], given, ['reduction']));
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, { weight: this.weight, reduction: this.reduction });
  }
}
export interface LogitsLossOptions extends WeightedLossOptions {
  readonly posWeight?: Tensor | null;
}
export class BCEWithLogitsLoss extends WeightedLoss {
  posWeight: Tensor | null;
  constructor(...given: InOrder<LogitsLossOptions, ['weight']>) {
    const named: LogitsLossOptions = byName('BCEWithLogitsLoss', ['weight'], given, ['reduction', 'posWeight']);
    const { posWeight = null, ...options } = named;
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
const ctcOrder = ['blank', 'reduction', 'zeroInfinity'] as const;
export class CTCLoss extends Layer {
  readonly options: Required<CTCLossOptions>;
  constructor(...given: InOrder<CTCLossOptions, typeof ctcOrder>) {
    super();
    const { blank = 0, reduction = 'mean', zeroInfinity = false }: CTCLossOptions = byName('CTCLoss', ctcOrder, given);
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
