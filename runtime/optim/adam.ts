/**
 * Adam and its relatives. Kingma and Ba, "Adam" (2014), with its Adamax; Loshchilov and Hutter, "Decoupled weight decay
 * regularization" (2017), for AdamW; Dozat, "Incorporating Nesterov momentum into Adam" (2016); Liu et al., "On the variance
 * of the adaptive learning rate" (2019), for RAdam.
 */
import { where } from '../../compiler/ops/pointwise.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { byName, type InOrder } from '../in-order.js';
import { pythonFloat, pythonValue } from '../numerals.js';
import { complement, liveValue, track } from './live-settings.js';
import {
  checkSetting,
  type GroupSettings,
  type Numbers,
  Optimizer,
  type Parameters,
  type ParamGroup,
  type Tensors,
} from './optimizer.js';

export interface MomentSettings extends GroupSettings {
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
}
export interface AdamSettings extends MomentSettings {
  amsgrad: boolean;
  maximize: boolean;
}

function checkMoments({ betas, eps, weightDecay }: MomentSettings): void {
  checkSetting(eps >= 0, () => `Invalid epsilon value: ${pythonValue(eps)}`);
  for (const [i, beta] of betas.entries()) {
    checkSetting(beta >= 0 && beta < 1, () => `Invalid beta parameter at index ${i}: ${pythonFloat(beta)}`);
  }
  checkSetting(weightDecay >= 0, () => `Invalid weight_decay value: ${pythonValue(weightDecay)}`);
}

/** The first beta is the momentum, which a scheduler may move. */
const betasOf = (group: ParamGroup<MomentSettings>): readonly [number | Tensor, number] => [
  liveValue(group, 'betas'),
  group.betas[1],
];
const decayed = (grad: Tensor, param: Tensor, weightDecay: number): Tensor =>
  weightDecay === 0 ? grad : grad.add(param, { alpha: weightDecay });

/** Running averages of the gradient and its square, with step counters and the powers that correct their bias. */
abstract class MomentOptimizer<S extends MomentSettings> extends Optimizer<S> {
  protected override readonly savedClock: readonly string[] = ['step'];

  protected check(settings: S): void {
    checkMoments(settings);
  }
  protected slots(_group: ParamGroup<S>): Numbers {
    return { exp_avg: 0, exp_avg_sq: 0 };
  }
  protected override clockAt(saved: Numbers | null, { betas }: ParamGroup<S>): Numbers {
    const step = saved?.step ?? 0;
    return { step, beta1_power: betas[0] ** step, beta2_power: betas[1] ** step };
  }
  protected tick({ step, beta1_power, beta2_power }: Tensors, group: ParamGroup<S>): void {
    const [beta1, beta2] = betasOf(group);
    step.add_(1);
    if (typeof beta1 === 'number') beta1_power.mul_(beta1);
    else beta1_power.copy_(beta1.pow(step));
    beta2_power.mul_(beta2);
  }
  protected average({ exp_avg, exp_avg_sq }: Tensors, grad: Tensor, group: ParamGroup<S>): void {
    const [beta1, beta2] = betasOf(group);
    track(exp_avg, grad, beta1);
    track(exp_avg_sq, grad.mul(grad), beta2);
  }
}

/** What Adam and AdamW share; they differ in where the weights decay. */
abstract class AdamBase extends MomentOptimizer<AdamSettings> {
  protected override readonly fixedSettings: Readonly<Record<string, unknown>> = { foreach: null, capturable: false };

  protected override slots({ amsgrad }: AdamSettings): Numbers {
    return { exp_avg: 0, exp_avg_sq: 0, ...(amsgrad ? { max_exp_avg_sq: 0 } : {}) };
  }
  protected override advance(clock: Tensors, lr: Tensor, group: ParamGroup<AdamSettings>): Tensors {
    this.tick(clock, group);
    return { stepSize: lr.div(complement(clock.beta1_power)), correction: complement(clock.beta2_power).sqrt() };
  }
  protected move(
    param: Tensor,
    grad: Tensor,
    slots: Tensors,
    { stepSize, correction }: Tensors,
    group: ParamGroup<AdamSettings>,
  ): void {
    this.average(slots, grad, group);
    let square = slots.exp_avg_sq;
    if (slots.max_exp_avg_sq !== undefined) square = slots.max_exp_avg_sq.copy_(slots.max_exp_avg_sq.maximum(square));
    const root = square.sqrt().div(correction).add(group.eps);
    param.sub_(slots.exp_avg.div(root).mul(stepSize));
  }
}

const adamOrder = ['lr', 'betas', 'eps', 'weightDecay', 'amsgrad'] as const;
export class Adam extends AdamBase {
  protected override readonly fixedSettings = { foreach: null, capturable: false, differentiable: false, fused: false };
  constructor(params: Parameters<AdamSettings>, ...given: InOrder<Partial<AdamSettings>, typeof adamOrder>) {
    super(params, {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      amsgrad: false,
      maximize: false,
      ...byName<Partial<AdamSettings>, typeof adamOrder>('Adam', adamOrder, given, ['maximize']),
    });
  }
  protected update(
    param: Tensor,
    grad: Tensor,
    slots: Tensors,
    scalars: Tensors,
    _lr: Tensor,
    group: ParamGroup<AdamSettings>,
  ): void {
    this.move(param, decayed(group.maximize ? grad.neg() : grad, param, group.weightDecay), slots, scalars, group);
  }
}

export class AdamW extends AdamBase {
  constructor(params: Parameters<AdamSettings>, ...given: InOrder<Partial<AdamSettings>, typeof adamOrder>) {
    super(params, {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 1e-2,
      amsgrad: false,
      maximize: false,
      ...byName<Partial<AdamSettings>, typeof adamOrder>('AdamW', adamOrder, given, ['maximize']),
    });
  }
  /** The weights themselves decay, before the step. */
  protected update(
    param: Tensor,
    grad: Tensor,
    slots: Tensors,
    scalars: Tensors,
    lr: Tensor,
    group: ParamGroup<AdamSettings>,
  ): void {
    if (group.weightDecay !== 0) param.mul_(complement(lr.mul(group.weightDecay)));
    this.move(param, group.maximize ? grad.neg() : grad, slots, scalars, group);
  }
}

export interface AdamaxSettings extends MomentSettings {
  maximize: boolean;
}
const adamaxOrder = ['lr', 'betas', 'eps', 'weightDecay'] as const;
/** Adam with the largest recent gradient in place of the mean square. */
export class Adamax extends MomentOptimizer<AdamaxSettings> {
  protected override readonly fixedSettings = { foreach: null };
  constructor(params: Parameters<AdamaxSettings>, ...given: InOrder<Partial<AdamaxSettings>, typeof adamaxOrder>) {
    super(params, {
      lr: 2e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      maximize: false,
      ...byName<Partial<AdamaxSettings>, typeof adamaxOrder>('Adamax', adamaxOrder, given, ['maximize']),
    });
  }
  protected override slots(): Numbers {
    return { exp_avg: 0, exp_inf: 0 };
  }
  protected override advance(clock: Tensors, lr: Tensor, group: ParamGroup<AdamaxSettings>): Tensors {
    this.tick(clock, group);
    return { stepSize: lr.div(complement(clock.beta1_power)) };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    { exp_avg, exp_inf }: Tensors,
    { stepSize }: Tensors,
    _lr: Tensor,
    group: ParamGroup<AdamaxSettings>,
  ): void {
    const [beta1, beta2] = betasOf(group);
    const grad = decayed(group.maximize ? given.neg() : given, param, group.weightDecay);
    track(exp_avg, grad, beta1);
    exp_inf.copy_(exp_inf.mul(beta2).maximum(grad.abs().add(group.eps)));
    param.sub_(exp_avg.div(exp_inf).mul(stepSize));
  }
}

export interface NAdamSettings extends MomentSettings {
  momentumDecay: number;
}
const nadamOrder = ['lr', 'betas', 'eps', 'weightDecay', 'momentumDecay'] as const;
/** Adam with Nesterov's look ahead, under a momentum that warms up. */
export class NAdam extends MomentOptimizer<NAdamSettings> {
  protected override readonly fixedSettings = { foreach: null };
  protected override readonly savedClock = ['step', 'mu_product'];
  constructor(params: Parameters<NAdamSettings>, ...given: InOrder<Partial<NAdamSettings>, typeof nadamOrder>) {
    super(params, {
      lr: 2e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      momentumDecay: 4e-3,
      ...byName<Partial<NAdamSettings>, typeof nadamOrder>('NAdam', nadamOrder, given),
    });
  }
  protected override clockAt(saved: Numbers | null, group: ParamGroup<NAdamSettings>): Numbers {
    return {
      ...super.clockAt(saved, group),
      mu_product: saved?.mu_product ?? 1,
      warmup: 0.96 ** (group.momentumDecay * (saved?.step ?? 0)),
    };
  }
  protected override advance(clock: Tensors, lr: Tensor, group: ParamGroup<NAdamSettings>): Tensors {
    this.tick(clock, group);
    const [beta1] = betasOf(group);
    const perStep = 0.96 ** group.momentumDecay;
    const momentumAt = (warmup: Tensor): Tensor => warmup.mul(-0.5).add(1).mul(beta1);
    clock.warmup.mul_(perStep);
    const momentum = momentumAt(clock.warmup);
    const next = momentumAt(clock.warmup.mul(perStep));
    clock.mu_product.mul_(momentum);
    // PyTorch 1.13 multiplies the present momentum in a second time for the average.
    return {
      correction: complement(clock.beta2_power),
      ofGrad: lr.mul(complement(momentum)).div(complement(clock.mu_product)),
      ofAverage: lr.mul(next).div(complement(clock.mu_product.mul(momentum).mul(next))),
    };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    slots: Tensors,
    { correction, ofGrad, ofAverage }: Tensors,
    _lr: Tensor,
    group: ParamGroup<NAdamSettings>,
  ): void {
    const grad = decayed(given, param, group.weightDecay);
    this.average(slots, grad, group);
    const root = slots.exp_avg_sq.div(correction).sqrt().add(group.eps);
    param.sub_(grad.div(root).mul(ofGrad).add(slots.exp_avg.div(root).mul(ofAverage)));
  }
}

const radamOrder = ['lr', 'betas', 'eps', 'weightDecay'] as const;
/** Adam that trusts its second moment only once enough steps have been averaged. */
export class RAdam extends MomentOptimizer<MomentSettings> {
  protected override readonly fixedSettings = { foreach: null };
  constructor(params: Parameters<MomentSettings>, ...given: InOrder<Partial<MomentSettings>, typeof radamOrder>) {
    super(params, {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      ...byName<Partial<MomentSettings>, typeof radamOrder>('RAdam', radamOrder, given),
    });
  }
  protected override advance(clock: Tensors, lr: Tensor, group: ParamGroup<MomentSettings>): Tensors {
    this.tick(clock, group);
    const limit = 2 / (1 - group.betas[1]) - 1;
    const correction = complement(clock.beta2_power);
    const length = clock.step.mul(clock.beta2_power).mul(-2).div(correction).add(limit);
    const variance = length
      .sub(4)
      .mul(length.sub(2))
      .mul(limit / ((limit - 4) * (limit - 2)))
      .div(length);
    return {
      trusted: length.gt(5),
      rectified: variance.mul(correction).sqrt(),
      stepSize: lr.div(complement(clock.beta1_power)),
    };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    slots: Tensors,
    { trusted, rectified, stepSize }: Tensors,
    _lr: Tensor,
    group: ParamGroup<MomentSettings>,
  ): void {
    const grad = decayed(given, param, group.weightDecay);
    this.average(slots, grad, group);
    const average = slots.exp_avg.mul(stepSize);
    const adapted = average.mul(rectified).div(slots.exp_avg_sq.sqrt().add(group.eps));
    param.sub_(where(trusted, adapted, average));
  }
}
