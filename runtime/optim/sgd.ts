/** Stochastic gradient descent with momentum: Sutskever et al., "On the importance of initialization and momentum" (2013). */
import type { Tensor } from '../../compiler/ops/tensor.js';
import { byName, type InOrder } from '../in-order.js';
import { pythonValue } from '../numerals.js';
import { liveValue, plusScaled } from './live-settings.js';
import {
  checkSetting,
  type GroupSettings,
  type Numbers,
  Optimizer,
  type Parameters,
  type ParamGroup,
  type Tensors,
} from './optimizer.js';

export interface SGDSettings extends GroupSettings {
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  maximize: boolean;
}

const sgdOrder = ['lr', 'momentum', 'dampening', 'weightDecay', 'nesterov'] as const;
export class SGD extends Optimizer<SGDSettings> {
  protected override readonly fixedSettings = { foreach: null, differentiable: false };

  constructor(params: Parameters<SGDSettings>, ...given: InOrder<Partial<SGDSettings>, typeof sgdOrder>) {
    super(params, {
      momentum: 0,
      dampening: 0,
      weightDecay: 0,
      nesterov: false,
      maximize: false,
      ...byName<Partial<SGDSettings>, typeof sgdOrder>('SGD', sgdOrder, given, ['maximize']),
    } as SGDSettings);
  }

  protected check({ momentum, dampening, weightDecay, nesterov }: SGDSettings): void {
    checkSetting(momentum >= 0, () => `Invalid momentum value: ${pythonValue(momentum)}`);
    checkSetting(weightDecay >= 0, () => `Invalid weight_decay value: ${pythonValue(weightDecay)}`);
    checkSetting(
      !nesterov || (momentum > 0 && dampening === 0),
      () => 'Nesterov momentum requires a momentum and zero dampening',
    );
  }
  protected slots({ momentum }: SGDSettings): Numbers {
    return momentum === 0 ? {} : { momentum_buffer: 0 };
  }
  protected override clockAt(saved: Numbers | null, { momentum, dampening }: SGDSettings): Numbers {
    return momentum !== 0 && dampening !== 0 ? { undamped: saved === null ? 1 : 0 } : {};
  }

  /** The first gradient enters the buffer as it is, later ones dampened. */
  protected override advance({ undamped }: Tensors, _lr: Tensor, { dampening }: SGDSettings): Tensors {
    if (undamped === undefined) return {};
    const gain = undamped.mul(dampening).add(1 - dampening);
    undamped.zero_();
    return { gain };
  }

  protected update(
    param: Tensor,
    grad: Tensor,
    { momentum_buffer: buffer }: Tensors,
    { gain }: Tensors,
    lr: Tensor,
    group: ParamGroup<SGDSettings>,
  ): void {
    const { weightDecay, nesterov, maximize } = group;
    const momentum = liveValue(group, 'momentum');
    let direction = maximize ? grad.neg() : grad;
    if (weightDecay !== 0) direction = direction.add(param, { alpha: weightDecay });
    if (buffer !== undefined) {
      buffer.copy_(buffer.mul(momentum).add(gain === undefined ? direction : direction.mul(gain)));
      direction = nesterov ? plusScaled(direction, buffer, momentum) : buffer;
    }
    param.sub_(direction.mul(lr));
  }
}
