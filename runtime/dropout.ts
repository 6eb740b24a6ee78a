/**
 * Dropout (Srivastava et al., 2014) and its kin, and leaky slopes drawn at random: where their random numbers come from.
 *
 * Masks are `bernoulli_`, so they follow what `random.ts` says. How many slopes PyTorch draws depends on the values, so in a
 * trace, where those do not exist, they always come from the counter-based generator.
 */
import { fail } from '../compiler/errors.js';
import type { Shape } from '../compiler/ir/shape.js';
import { leakyRelu } from '../compiler/ops/activation.js';
import { where } from '../compiler/ops/pointwise.js';
import { counterUniform } from '../compiler/ops/random.js';
import { bindArguments, type Param, parseSignature } from '../compiler/ops/signature.js';
import { computeInPlace, noGrad } from '../compiler/ops/tape.js';
import { isConstant, type Tensor, tensorOver } from '../compiler/ops/tensor.js';
import { elementsOf } from './bridge.js';
import { zeros } from './creation.js';
import { store } from './elements.js';
import { defaultGenerator } from './generator.js';

/** 1 with probability `keep`, else 0. */
function maskOf(shape: Shape, keep: number, like: Tensor): Tensor {
  return noGrad(() => zeros(shape, { dtype: like.dtype }).bernoulli_(keep));
}

/** Of what size the mask is: one value per element, or one per channel. */
const wholeMask = (input: Tensor): Shape => input.shape;
function channelMask(input: Tensor): Shape {
  if (input.ndim < 2)
    fail('E107', { op: 'featureDropout', problem: 'Feature dropout requires at least 2 dimensions in the input' });
  return input.shape.map((dim, d) => (d < 2 ? dim : 1));
}

function scaledDropout(input: Tensor, p: number, shape: Shape): Tensor {
  if (p === 1) return input.mul(0);
  return input.mul(maskOf(shape, 1 - p, input).div(1 - p));
}

/** What SELU saturates at: dropped elements take this value instead of 0 (Klambauer et al., 2017). */
const saturation = 1.7580993408473766;
/** Keeps mean and variance of SELU's outputs. */
function selfNormalizingDropout(input: Tensor, p: number, shape: Shape): Tensor {
  if (p === 1) return input.mul(0);
  const scale = 1 / Math.sqrt((saturation * saturation * p + 1) * (1 - p));
  const mask = maskOf(shape, 1 - p, input);
  const shift = mask
    .sub(1)
    .mul(saturation * scale)
    .add(saturation * scale * p);
  return input.mul(mask.mul(scale)).add(shift);
}

export interface DropoutOptions {
  readonly p?: number;
  readonly training?: boolean;
  readonly inplace?: boolean;
}
/** `dropout(x, 0.1, this.training)`, or with options by name. */
export interface DropoutFunction {
  (input: Tensor, p?: number | DropoutOptions, training?: boolean | DropoutOptions, inplace?: boolean): Tensor;
  readonly params: readonly Param[];
}

function dropoutFunction(
  name: string,
  p: number,
  compute: (input: Tensor, p: number, shape: Shape) => Tensor,
  maskShape: (input: Tensor) => Shape,
): DropoutFunction {
  const params = parseSignature(`input: tensor, p: number = ${p}, training: bool = true, inplace: bool = false`);
  const call = (...args: unknown[]): Tensor => {
    const bound = bindArguments(name, params, args);
    const probability = Number(bound.p);
    if (!(probability >= 0 && probability <= 1))
      fail('E110', { op: name, problem: `dropout probability has to be between 0 and 1, but got ${probability}` });
    if (!bound.training || probability === 0) return bound.input;
    const drop = (input: Tensor): Tensor => compute(input, probability, maskShape(input));
    return bound.inplace ? computeInPlace(bound.input, [], drop) : drop(bound.input);
  };
  return Object.assign(call, { params });
}

/** Elements zeroed with probability p, the others scaled up to keep the mean. */
export const dropout = dropoutFunction('dropout', 0.5, scaledDropout, wholeMask);
/** Whole channels zeroed. */
export const featureDropout = dropoutFunction('featureDropout', 0.5, scaledDropout, channelMask);
export const dropout1d = dropoutFunction('dropout1d', 0.5, scaledDropout, channelMask);
export const dropout2d = dropoutFunction('dropout2d', 0.5, scaledDropout, channelMask);
export const dropout3d = dropoutFunction('dropout3d', 0.5, scaledDropout, channelMask);
export const alphaDropout = dropoutFunction('alphaDropout', 0.5, selfNormalizingDropout, wholeMask);
export const featureAlphaDropout = dropoutFunction('featureAlphaDropout', 0.5, selfNormalizingDropout, channelMask);

export interface RReLUOptions {
  readonly lower?: number;
  readonly upper?: number;
  readonly training?: boolean;
  readonly inplace?: boolean;
}
const rreluParams = parseSignature(
  `input: tensor, lower: number = ${1 / 8}, upper: number = ${1 / 3}, training: bool = false, inplace: bool = false`,
);

/**
 * A leaky rectifier whose slope is drawn per element while training, and halfway between the bounds otherwise (Xu et al.,
 * 2015).
 */
function randomRelu(...args: unknown[]): Tensor {
  const { input, lower, upper, training, inplace } = bindArguments('rrelu', rreluParams, args);
  if (!(lower <= upper)) fail('E110', { op: 'rrelu', problem: `lower (${lower}) must not be above upper (${upper})` });
  const activate = (x: Tensor): Tensor =>
    training ? x.mul(slopesOf(x, Number(lower), Number(upper))) : leakyRelu(x, (Number(lower) + Number(upper)) / 2);
  return inplace ? computeInPlace(input, [], activate) : activate(input);
}
export const rrelu = Object.assign(
  randomRelu as (
    input: Tensor,
    lower?: number | RReLUOptions,
    upper?: number | RReLUOptions,
    training?: boolean,
    inplace?: boolean,
  ) => Tensor,
  { params: rreluParams },
);

/** 1 for positive elements, a random slope for the others. */
function slopesOf(input: Tensor, lower: number, upper: number): Tensor {
  return noGrad(() => {
    if (!defaultGenerator.isSetHere || !isConstant(input)) {
      const slopes = counterUniform(input.shape)
        .mul(upper - lower)
        .add(lower);
      return where(input.gt(0), 1, slopes.to(input.dtype));
    }
    const values = (elementsOf(input, 'rrelu') as number[]).map(x =>
      x > 0 ? 1 : defaultGenerator.uniform(53) * (upper - lower) + lower,
    );
    return tensorOver(store(input.dtype, values), input.type);
  });
}
