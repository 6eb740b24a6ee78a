/**
 * Activation functions that can overwrite their input, as in PyTorch: by `inplace`, or by their twin whose name ends in `_`.
 *
 *   relu(x, { inplace: true })     relu_(x)
 *
 * What the derivative needs of the old values is kept before they are gone.
 */
import * as plain from '../compiler/ops/activation.js';
import type { Op } from '../compiler/ops/define.js';
import { relu as plainRelu } from '../compiler/ops/extrema.js';
import { bindArguments, type Param, parseSignature } from '../compiler/ops/signature.js';
import { computeInPlace } from '../compiler/ops/tape.js';
import type { Tensor } from '../compiler/ops/tensor.js';

export interface InplaceOptions {
  /** Overwrite the input with the result. */
  readonly inplace?: boolean;
}

/** An activation function whose arguments after the input are `A`, one or more of them also by name. */
export interface Activation<A extends readonly unknown[]> {
  (input: Tensor, ...args: A): Tensor;
  (input: Tensor, ...args: [...A, InplaceOptions]): Tensor;
  (input: Tensor, options: InplaceOptions & Readonly<Record<string, unknown>>): Tensor;
  readonly params: readonly Param[];
}

const [inplaceParam] = parseSignature('inplace: bool = false');

function activation<A extends readonly unknown[]>(op: Op<(input: Tensor, ...args: A) => Tensor>): Activation<A> {
  const params = [...op.params, inplaceParam];
  const call = (...given: unknown[]): Tensor => {
    const bound = bindArguments(op.def.name, params, given);
    const [input, ...args] = op.params.map(({ name }) => bound[name]) as [Tensor, ...A];
    return bound.inplace ? computeInPlace(input, args, self => op(self, ...args)) : op(input, ...args);
  };
  return Object.assign(call, { params });
}

const overwriting =
  <A extends readonly unknown[]>(op: Op<(input: Tensor, ...args: A) => Tensor>) =>
  (input: Tensor, ...args: A): Tensor =>
    computeInPlace(input, args, self => op(self, ...args));

export const celu = activation(plain.celu);
export const elu = activation(plain.elu);
export const hardsigmoid = activation(plain.hardsigmoid);
export const hardswish = activation(plain.hardswish);
export const hardtanh = activation(plain.hardtanh);
export const leakyRelu = activation(plain.leakyRelu);
export const mish = activation(plain.mish);
export const relu = activation(plainRelu);
export const relu6 = activation(plain.relu6);
export const selu = activation(plain.selu);
export const silu = activation(plain.silu);
export const threshold = activation(plain.threshold);

export const celu_ = overwriting(plain.celu);
export const elu_ = overwriting(plain.elu);
export const hardtanh_ = overwriting(plain.hardtanh);
export const leakyRelu_ = overwriting(plain.leakyRelu);
export const relu_ = overwriting(plainRelu);
export const selu_ = overwriting(plain.selu);
export const threshold_ = overwriting(plain.threshold);
