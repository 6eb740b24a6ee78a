/** Whether the gradient of a function is what differences of its values say: for functions with a gradient of their own. */
import { fail } from '../compiler/errors.js';
import { gradOf } from '../compiler/ops/backward.js';
import { enableGrad, noGrad } from '../compiler/ops/tape.js';
import type { Tensor } from '../compiler/ops/tensor.js';
import { elementsOf } from './bridge.js';
import { valuesAs } from './draws.js';

type Outputs = Tensor | readonly Tensor[];
type Fn = (...inputs: Tensor[]) => Outputs;

export interface GradcheckOptions {
  /** Step of the differences. Default: 1e-6, meant for float64. */
  readonly eps?: number;
  /** Default: 1e-5. */
  readonly atol?: number;
  /** Default: 1e-3. */
  readonly rtol?: number;
  /** Throw where they differ, instead of returning false. Default: true. */
  readonly raiseException?: boolean;
}

const listOf = (outputs: Outputs): readonly Tensor[] => (Array.isArray(outputs) ? outputs : [outputs as Tensor]);
const numbersOf = (tensor: Tensor): number[] => elementsOf(tensor, 'gradcheck').map(Number);
const perElement = <T>(tensor: Tensor, f: (at: number) => T): T[] =>
  Array.from({ length: tensor.numel() }, (_, at) => f(at));

/** d output element / d input element by central differences: a row for each element of the input. */
function differences(fn: Fn, inputs: readonly Tensor[], i: number, o: number, eps: number): number[][] {
  const values = numbersOf(inputs[i]);
  const outputAt = (at: number, by: number): number[] => {
    const moved = valuesAs(Float64Array.from(values.with(at, values[at] + by)), inputs[i].shape, inputs[i].dtype);
    return numbersOf(noGrad(() => listOf(fn(...inputs.with(i, moved)))[o]));
  };
  return values.map((_, at) => {
    const [above, below] = [outputAt(at, eps), outputAt(at, -eps)];
    return above.map((value, k) => (value - below[k]) / (2 * eps));
  });
}

/** The same from the tape: a row for each element of the output. */
function gradients(output: Tensor, input: Tensor): number[][] {
  const flat = output.reshape([-1]);
  return perElement(output, at => {
    const [grad] = flat.requiresGrad
      ? gradOf(flat.select(0, at), [input], { retainGraph: true, allowUnused: true })
      : [null];
    return grad === null ? perElement(input, () => 0) : numbersOf(grad);
  });
}

/** Throws, or returns false, unless the gradients of `fn` are those of its values. */
export function gradcheck(fn: Fn, inputs: Tensor | readonly Tensor[], options: GradcheckOptions = {}): boolean {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, raiseException = true } = options;
  const given = listOf(inputs);
  if (!given.some(input => input.requiresGrad)) {
    fail('E207', {
      problem:
        'gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.',
      hint: 'make inputs of float64 and call requiresGrad_() on them',
    });
  }
  const leaves = given.map(input => (input.requiresGrad ? input.detach().clone().requiresGrad_() : input));
  const fixed = leaves.map(leaf => leaf.detach());
  for (const [o, output] of enableGrad(() => listOf(fn(...leaves))).entries()) {
    for (const [i, leaf] of leaves.entries()) {
      if (!leaf.requiresGrad) continue;
      const numerical = differences(fn, fixed, i, o, eps);
      const analytical = gradients(output, leaf);
      const place = mismatch(numerical, analytical, atol, rtol);
      if (place === null) continue;
      if (!raiseException) return false;
      const [at, k] = place;
      fail('E207', {
        problem: `Jacobian mismatch for output ${o} with respect to input ${i}: numerical ${numerical[at][k]}, analytical ${analytical[k][at]} (element ${k} of the output by element ${at} of the input)`,
        hint: 'inputs of float64 give differences precise enough for this check',
      });
    }
  }
  return true;
}

function mismatch(
  numerical: readonly (readonly number[])[],
  analytical: readonly (readonly number[])[],
  atol: number,
  rtol: number,
): [at: number, k: number] | null {
  for (const [at, row] of numerical.entries()) {
    const k = row.findIndex((value, o) => !(Math.abs(value - analytical[o][at]) <= atol + rtol * Math.abs(value)));
    if (k >= 0) return [at, k];
  }
  return null;
}

/**
 * The same of the gradients themselves, with respect to the inputs and to the gradients of the outputs; where these are not
 * given, each element has one of its own.
 */
export function gradgradcheck(
  fn: Fn,
  inputs: Tensor | readonly Tensor[],
  gradOutputs: Tensor | readonly Tensor[] | null = null,
  options: GradcheckOptions = {},
): boolean {
  const given = listOf(inputs);
  const outputs = listOf(fn(...given));
  const weights = gradOutputs
    ? listOf(gradOutputs)
    : outputs.map(output =>
        valuesAs(Float64Array.from(perElement(output, at => Math.cos(at + 1))), output.shape, output.dtype),
      );
  const tracked = weights.map(weight => weight.detach().clone().requiresGrad_());
  const gradientsOf: Fn = (...all) =>
    enableGrad(() => {
      const own = all.slice(0, given.length).map((input, i) => followed(input, given[i]));
      const wanted = own.filter((_, i) => given[i].requiresGrad);
      const found = gradOf(listOf(fn(...own)), wanted, {
        gradOutputs: all.slice(given.length),
        createGraph: true,
        allowUnused: true,
      });
      return found.map((grad, i) => grad ?? wanted[i].zerosLike());
    });
  return gradcheck(gradientsOf, [...given, ...tracked], options);
}

/** An input as one that requires a gradient, where the original does. */
const followed = (input: Tensor, original: Tensor): Tensor =>
  original.requiresGrad && !input.requiresGrad ? input.detach().clone().requiresGrad_() : input;
