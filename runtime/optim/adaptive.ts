/**
 * Optimizers with a step size per element. Hinton's lecture 6e (2012) for RMSprop; Duchi et al., "Adaptive subgradient
 * methods" (2011), for Adagrad; Zeiler, "ADADELTA" (2012); Riedmiller and Braun, "A direct adaptive method: the RPROP
 * algorithm" (1993); Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992), for ASGD.
 */
import { where } from '../../compiler/ops/pointwise.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { byName, type InOrder } from '../in-order.js';
import { pythonValue } from '../numerals.js';
import { liveValue, track } from './live-settings.js';
import {
  checkSetting,
  type GroupSettings,
  type Numbers,
  Optimizer,
  type Parameters,
  type ParamGroup,
  type Tensors,
} from './optimizer.js';

interface DecaySettings extends GroupSettings {
  weightDecay: number;
  maximize: boolean;
}
const checkDecay = ({ weightDecay }: DecaySettings): void =>
  checkSetting(weightDecay >= 0, () => `Invalid weight_decay value: ${pythonValue(weightDecay)}`);

/** The gradient to descend along: decayed, and turned round for maximisation. */
function directionOf(param: Tensor, given: Tensor, { weightDecay, maximize }: DecaySettings): Tensor {
  const grad = maximize ? given.neg() : given;
  return weightDecay === 0 ? grad : grad.add(param, { alpha: weightDecay });
}

/** Optimizers whose clock is only a counter. */
abstract class CountingOptimizer<S extends GroupSettings> extends Optimizer<S> {
  protected override readonly savedClock: readonly string[] = ['step'];
  protected override readonly fixedSettings: Readonly<Record<string, unknown>> = { foreach: null };
  protected override clockAt(saved: Numbers | null, _group: ParamGroup<S>): Numbers {
    return { step: saved?.step ?? 0 };
  }
  protected override advance({ step }: Tensors, _lr: Tensor, _group: ParamGroup<S>): Tensors {
    step.add_(1);
    return {};
  }
}

export interface RMSpropSettings extends DecaySettings {
  alpha: number;
  eps: number;
  momentum: number;
  centered: boolean;
}
const rmspropOrder = ['lr', 'alpha', 'eps', 'weightDecay', 'momentum', 'centered'] as const;
export class RMSprop extends CountingOptimizer<RMSpropSettings> {
  protected override readonly fixedSettings = { foreach: null, differentiable: false };
  protected override readonly stepIsNumber = true;
  constructor(params: Parameters<RMSpropSettings>, ...given: InOrder<Partial<RMSpropSettings>, typeof rmspropOrder>) {
    super(params, {
      lr: 1e-2,
      alpha: 0.99,
      eps: 1e-8,
      weightDecay: 0,
      momentum: 0,
      centered: false,
      maximize: false,
      ...byName<Partial<RMSpropSettings>, typeof rmspropOrder>('RMSprop', rmspropOrder, given, ['maximize']),
    });
  }
  protected check(settings: RMSpropSettings): void {
    checkSetting(settings.eps >= 0, () => `Invalid epsilon value: ${pythonValue(settings.eps)}`);
    checkSetting(settings.momentum >= 0, () => `Invalid momentum value: ${pythonValue(settings.momentum)}`);
    checkSetting(settings.alpha >= 0, () => `Invalid alpha value: ${pythonValue(settings.alpha)}`);
    checkDecay(settings);
  }
  protected slots({ momentum, centered }: RMSpropSettings): Numbers {
    return { square_avg: 0, ...(momentum > 0 ? { momentum_buffer: 0 } : {}), ...(centered ? { grad_avg: 0 } : {}) };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    slots: Tensors,
    _scalars: Tensors,
    lr: Tensor,
    group: ParamGroup<RMSpropSettings>,
  ): void {
    const grad = directionOf(param, given, group);
    const { square_avg, momentum_buffer: buffer, grad_avg } = slots;
    track(square_avg, grad.mul(grad), group.alpha);
    let square = square_avg;
    if (grad_avg !== undefined) {
      track(grad_avg, grad, group.alpha);
      square = square_avg.sub(grad_avg.mul(grad_avg));
    }
    let direction = grad.div(square.sqrt().add(group.eps));
    if (buffer !== undefined) direction = buffer.copy_(buffer.mul(liveValue(group, 'momentum')).add(direction));
    param.sub_(direction.mul(lr));
  }
}

export interface AdagradSettings extends DecaySettings {
  lrDecay: number;
  initialAccumulatorValue: number;
  eps: number;
}
const adagradOrder = ['lr', 'lrDecay', 'weightDecay', 'initialAccumulatorValue', 'eps'] as const;
export class Adagrad extends CountingOptimizer<AdagradSettings> {
  constructor(params: Parameters<AdagradSettings>, ...given: InOrder<Partial<AdagradSettings>, typeof adagradOrder>) {
    super(params, {
      lr: 1e-2,
      lrDecay: 0,
      weightDecay: 0,
      initialAccumulatorValue: 0,
      eps: 1e-10,
      maximize: false,
      ...byName<Partial<AdagradSettings>, typeof adagradOrder>('Adagrad', adagradOrder, given, ['maximize']),
    });
  }
  protected check(settings: AdagradSettings): void {
    checkSetting(settings.lrDecay >= 0, () => `Invalid lr_decay value: ${pythonValue(settings.lrDecay)}`);
    checkSetting(
      settings.initialAccumulatorValue >= 0,
      () => `Invalid initial_accumulator_value value: ${pythonValue(settings.initialAccumulatorValue)}`,
    );
    checkSetting(settings.eps >= 0, () => `Invalid epsilon value: ${pythonValue(settings.eps)}`);
    checkDecay(settings);
  }
  protected slots({ initialAccumulatorValue }: AdagradSettings): Numbers {
    return { sum: initialAccumulatorValue };
  }
  protected override advance({ step }: Tensors, lr: Tensor, { lrDecay }: AdagradSettings): Tensors {
    const stepSize = lr.div(step.mul(lrDecay).add(1));
    step.add_(1);
    return { stepSize };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    { sum }: Tensors,
    { stepSize }: Tensors,
    _lr: Tensor,
    group: ParamGroup<AdagradSettings>,
  ): void {
    const grad = directionOf(param, given, group);
    sum.add_(grad.mul(grad));
    param.sub_(grad.div(sum.sqrt().add(group.eps)).mul(stepSize));
  }
}

export interface AdadeltaSettings extends DecaySettings {
  rho: number;
  eps: number;
}
const adadeltaOrder = ['lr', 'rho', 'eps', 'weightDecay'] as const;
export class Adadelta extends CountingOptimizer<AdadeltaSettings> {
  protected override readonly stepIsNumber = true;
  constructor(
    params: Parameters<AdadeltaSettings>,
    ...given: InOrder<Partial<AdadeltaSettings>, typeof adadeltaOrder>
  ) {
    super(params, {
      lr: 1,
      rho: 0.9,
      eps: 1e-6,
      weightDecay: 0,
      maximize: false,
      ...byName<Partial<AdadeltaSettings>, typeof adadeltaOrder>('Adadelta', adadeltaOrder, given, ['maximize']),
    });
  }
  protected check(settings: AdadeltaSettings): void {
    checkSetting(settings.rho >= 0 && settings.rho <= 1, () => `Invalid rho value: ${pythonValue(settings.rho)}`);
    checkSetting(settings.eps >= 0, () => `Invalid epsilon value: ${pythonValue(settings.eps)}`);
    checkDecay(settings);
  }
  protected slots(): Numbers {
    return { square_avg: 0, acc_delta: 0 };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    { square_avg, acc_delta }: Tensors,
    _scalars: Tensors,
    lr: Tensor,
    group: ParamGroup<AdadeltaSettings>,
  ): void {
    const { rho, eps } = group;
    const grad = directionOf(param, given, group);
    track(square_avg, grad.mul(grad), rho);
    const delta = acc_delta.add(eps).sqrt().div(square_avg.add(eps).sqrt()).mul(grad);
    track(acc_delta, delta.mul(delta), rho);
    param.sub_(delta.mul(lr));
  }
}

export interface RpropSettings extends GroupSettings {
  /** Factors by which step sizes shrink and grow. */
  etas: readonly [number, number];
  /** The smallest and largest step size. */
  stepSizes: readonly [number, number];
  maximize: boolean;
}
const rpropOrder = ['lr', 'etas', 'stepSizes'] as const;
/** Steps of a size per element that grows while the sign of the gradient stays, and shrinks when it turns. */
export class Rprop extends CountingOptimizer<RpropSettings> {
  protected override readonly stepIsNumber = true;
  constructor(params: Parameters<RpropSettings>, ...given: InOrder<Partial<RpropSettings>, typeof rpropOrder>) {
    super(params, {
      lr: 1e-2,
      etas: [0.5, 1.2],
      stepSizes: [1e-6, 50],
      maximize: false,
      ...byName<Partial<RpropSettings>, typeof rpropOrder>('Rprop', rpropOrder, given, ['maximize']),
    });
  }
  protected check({ etas }: RpropSettings): void {
    checkSetting(
      etas[0] > 0 && etas[0] < 1 && etas[1] > 1,
      () => `Invalid eta values: ${pythonValue(etas[0])}, ${pythonValue(etas[1])}`,
    );
  }
  protected slots({ lr }: RpropSettings): Numbers {
    return { prev: 0, step_size: lr };
  }
  protected update(
    param: Tensor,
    given: Tensor,
    { prev, step_size }: Tensors,
    _scalars: Tensors,
    _lr: Tensor,
    group: ParamGroup<RpropSettings>,
  ): void {
    const [[shrink, grow], [smallest, largest]] = [group.etas, group.stepSizes];
    const grad = group.maximize ? given.neg() : given;
    const agreement = grad.mul(prev);
    const resized = where(
      agreement.gt(0),
      step_size.mul(grow),
      where(agreement.lt(0), step_size.mul(shrink), step_size),
    );
    step_size.copy_(resized.clamp(smallest, largest));
    prev.copy_(where(agreement.lt(0), 0, grad));
    param.sub_(prev.sign().mul(step_size));
  }
}

export interface ASGDSettings extends DecaySettings {
  lambd: number;
  alpha: number;
  /** The step after which averaging starts. */
  t0: number;
}
const asgdOrder = ['lr', 'lambd', 'alpha', 't0', 'weightDecay'] as const;
/** Gradient descent whose average over steps is kept in `ax`. */
export class ASGD extends CountingOptimizer<ASGDSettings> {
  protected override readonly savedClock = ['step', 'eta', 'mu'];
  constructor(params: Parameters<ASGDSettings>, ...given: InOrder<Partial<ASGDSettings>, typeof asgdOrder>) {
    super(params, {
      lr: 1e-2,
      lambd: 1e-4,
      alpha: 0.75,
      t0: 1e6,
      weightDecay: 0,
      maximize: false,
      ...byName<Partial<ASGDSettings>, typeof asgdOrder>('ASGD', asgdOrder, given, ['maximize']),
    });
  }
  protected check(settings: ASGDSettings): void {
    checkDecay(settings);
  }
  protected slots(): Numbers {
    return { ax: 0 };
  }
  protected override clockAt(saved: Numbers | null, { lr }: ParamGroup<ASGDSettings>): Numbers {
    return { step: saved?.step ?? 0, eta: saved?.eta ?? lr, mu: saved?.mu ?? 1 };
  }
  /** A step uses what the one before it left. */
  protected override advance({ step, eta, mu }: Tensors, lr: Tensor, { lambd, alpha, t0 }: ASGDSettings): Tensors {
    const scalars = { eta: eta.clone(), mu: mu.clone() };
    step.add_(1);
    eta.copy_(lr.div(lr.mul(step).mul(lambd).add(1).pow(alpha)));
    mu.copy_(step.sub(t0).clamp(1).reciprocal());
    return scalars;
  }
  protected update(
    param: Tensor,
    given: Tensor,
    { ax }: Tensors,
    { eta, mu }: Tensors,
    _lr: Tensor,
    group: ParamGroup<ASGDSettings>,
  ): void {
    const grad = directionOf(param, given, group);
    param.copy_(param.mul(eta.mul(-group.lambd).add(1)).sub(grad.mul(eta)));
    ax.add_(param.sub(ax).mul(mu));
  }
}
