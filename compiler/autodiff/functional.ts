/**
 * Derivatives of functions: grad, vjp, jvp, jacobian, hessian; nested to any order, on values and inside traces.
 *
 * All are made of the one reverse mode of the tape. The forward-mode product is two reverse ones: u -> vjp(u) is linear, and
 * its own vjp is the jvp (Townsend, "A new trick for calculating Jacobian vector products", 2017).
 *
 * As in PyTorch, what belongs to the inputs comes as they were given, one tensor or a list, and so does what belongs to the
 * outputs.
 */
import { fail } from '../errors.js';
import { formatShape, type Shape, sameShape } from '../ir/shape.js';
import { gradOf } from '../ops/backward.js';
import { stack } from '../ops/shape.js';
import { enableGrad, requiresGrad } from '../ops/tape.js';
import { Tensor } from '../ops/tensor.js';

type OneOrMore = Tensor | readonly Tensor[];
type Fn<O extends OneOrMore> = (...inputs: Tensor[]) => O;
/** A `T` for each: alone of one tensor, in a list of a list. */
export type ForEach<Given extends OneOrMore, T> = Given extends Tensor ? T : T[];

export interface FunctionalOptions {
  /** Keep the result differentiable. Default: false. */
  readonly createGraph?: boolean;
  /** Throw where an output does not depend on an input, instead of answering zeros. Default: false. */
  readonly strict?: boolean;
}

const listOf = (given: OneOrMore): readonly Tensor[] => (given instanceof Tensor ? [given] : given);
const asGiven = <Given extends OneOrMore, T>(given: Given, items: readonly T[]): ForEach<Given, T> =>
  (given instanceof Tensor ? items[0] : items) as ForEach<Given, T>;

/** A fresh variable with the value of `input`, still connected to what `input` depends on. */
const variable = (input: Tensor): Tensor => (input.requiresGrad ? input.clone() : input.detach().requiresGrad_());

const finish = (tensor: Tensor, keep: boolean | undefined): Tensor => (keep ? tensor : tensor.detach());

function outputsOf(what: string, output: unknown): readonly Tensor[] {
  const outputs = Array.isArray(output) ? output : [output];
  const wrong = outputs.find(item => !(item instanceof Tensor));
  if (outputs.length === 0 || wrong !== undefined)
    fail('E207', {
      problem: `${what}: the function must return a tensor or a list of tensors, but returned ${outputs.length === 0 ? 'an empty list' : `a ${typeof wrong}`}`,
    });
  return outputs;
}

function scalarOf(what: string, output: unknown): Tensor {
  const outputs = outputsOf(what, output);
  if (outputs.length !== 1)
    fail('E207', { problem: `${what}: the function must return one tensor, but returned ${outputs.length}` });
  if (outputs[0].numel() !== 1)
    fail('E207', {
      problem: `${what}: the function must return a single element, but returned shape ${formatShape(outputs[0].shape)}`,
      hint: 'reduce its result, as in .sum(), or use jacobian',
    });
  return outputs[0];
}

/** `v`, one tensor for each of `those`; ones where it is left out, which only a single element allows. */
function weightsFor(
  what: string,
  which: 'input' | 'output',
  v: OneOrMore | null | undefined,
  those: readonly Tensor[],
): readonly Tensor[] {
  if (!v) {
    if (those.length === 1 && those[0].numel() === 1) return [those[0].detach().onesLike()];
    return fail('E207', {
      problem: `${what}: v can only be left out if the function has a single ${which} with a single element`,
      hint: `pass v, of the shape of each ${which}`,
    });
  }
  const vs = listOf(v);
  if (vs.length !== those.length)
    fail('E207', { problem: `${what}: v has ${vs.length} tensors, but there are ${those.length} ${which}s` });
  for (const [i, one] of those.entries()) {
    if (!sameShape(one.shape, vs[i].shape))
      fail('E207', {
        problem: `${what}: v has shape ${formatShape(vs[i].shape)} where ${which} ${i} has shape ${formatShape(one.shape)}`,
      });
  }
  return vs;
}

/** Weighted sums of the gradients of those outputs that have one; null where an input has none. */
function pull(
  outputs: readonly (Tensor | null)[],
  inputs: readonly Tensor[],
  weights: readonly Tensor[],
  createGraph: boolean,
): readonly (Tensor | null)[] {
  const followed = outputs.flatMap((output, i) => (output !== null && requiresGrad(output) ? [i] : []));
  if (followed.length === 0) return inputs.map(() => null);
  return gradOf(
    followed.map(i => outputs[i]!),
    inputs,
    { gradOutputs: followed.map(i => weights[i]), createGraph, retainGraph: true, allowUnused: true },
  );
}

/** What was found for each input; where nothing was, zeros, or with `strict` an error. */
function found(
  what: string,
  grads: readonly (Tensor | null)[],
  those: readonly Tensor[],
  { strict, createGraph }: FunctionalOptions,
): Tensor[] {
  return grads.map((grad, i) => {
    if (grad === null && strict)
      fail('E207', { problem: `${what}: the result is independent of input ${i}, which strict mode does not allow` });
    return finish(grad ?? those[i].zerosLike(), createGraph);
  });
}

/** The gradient of a scalar function with respect to its first argument, as a function. `grad(grad(f))` is the second. */
export function grad<R extends readonly unknown[]>(
  fn: (input: Tensor, ...rest: R) => Tensor,
  options: FunctionalOptions = {},
): (input: Tensor, ...rest: R) => Tensor {
  return (input, ...rest) =>
    enableGrad(() => {
      const x = variable(input);
      const [result] = gradOf(scalarOf('grad', fn(x, ...rest)), x, { createGraph: true, allowUnused: true });
      return finish(result ?? x.zerosLike(), options.createGraph ?? input.requiresGrad);
    });
}

/** The output of `fn` and the product of `v` with its Jacobian, for each input. `v` may be left out for a scalar. */
export function vjp<I extends OneOrMore, O extends OneOrMore>(
  fn: Fn<O>,
  inputs: I,
  v?: OneOrMore | null,
  options: FunctionalOptions = {},
): [output: ForEach<O, Tensor>, grads: ForEach<I, Tensor>] {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const given = fn(...xs);
    const outputs = outputsOf('vjp', given);
    const grads = pull(outputs, xs, weightsFor('vjp', 'output', v, outputs), true);
    return [
      asGiven(
        given,
        outputs.map(output => finish(output, options.createGraph)),
      ),
      asGiven(inputs, found('vjp', grads, xs, options)),
    ];
  });
}

/** The output of `fn` and the product of its Jacobian with `v`, which has the shapes of the inputs, for each output. */
export function jvp<I extends OneOrMore, O extends OneOrMore>(
  fn: Fn<O>,
  inputs: I,
  v?: OneOrMore | null,
  options: FunctionalOptions = {},
): [output: ForEach<O, Tensor>, product: ForEach<O, Tensor>] {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const vs = weightsFor('jvp', 'input', v, xs);
    const given = fn(...xs);
    const outputs = outputsOf('jvp', given);
    const us = outputs.map(output => output.detach().zerosLike().requiresGrad_());
    const products = pull(pull(outputs, xs, us, true), us, vs, true);
    return [
      asGiven(
        given,
        outputs.map(output => finish(output, options.createGraph)),
      ),
      asGiven(given, found('jvp', products, outputs, options)),
    ];
  });
}

/** d output / d x for each x, of shape [...output.shape, ...x.shape]: a row of products for each element of the output. */
function jacobianOf(output: Tensor, index: number, xs: readonly Tensor[], options: FunctionalOptions): Tensor[] {
  const { createGraph = false, strict } = options;
  if (strict && !requiresGrad(output))
    fail('E207', { problem: `jacobian: output ${index} does not require gradients, which strict mode does not allow` });
  const flat = output.reshape([-1]);
  const rows = Array.from({ length: flat.numel() }, (_, i) => {
    const element = flat.select(0, i);
    return found(
      `jacobian, output ${index}`,
      pull([element], xs, [element.detach().onesLike()], createGraph),
      xs,
      options,
    );
  });
  return xs.map((x, k) => {
    const shape: Shape = [...output.shape, ...x.shape];
    if (rows.length === 0) return x.detach().zerosLike().reshape([-1]).narrow(0, 0, 0).reshape(shape);
    return stack(rows.map(row => row[k])).reshape(shape);
  });
}

/** d output / d input, of shape [...output.shape, ...input.shape], for each output and of those for each input. */
export function jacobian<I extends OneOrMore, O extends OneOrMore>(
  fn: Fn<O>,
  inputs: I,
  options: FunctionalOptions = {},
): ForEach<O, ForEach<I, Tensor>> {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const given = fn(...xs);
    const outputs = outputsOf('jacobian', given);
    const matrices = outputs.map((output, i) => asGiven(inputs, jacobianOf(output, i, xs, options)));
    return asGiven(given, matrices);
  });
}

/** Second derivatives of a scalar function, of shape [...x.shape, ...y.shape], for each input x and of those for each y. */
export function hessian<I extends OneOrMore>(
  fn: Fn<Tensor>,
  inputs: I,
  options: FunctionalOptions = {},
): ForEach<I, ForEach<I, Tensor>> {
  const gradients = (...xs: Tensor[]): Tensor[] => {
    const output = scalarOf('hessian', fn(...xs));
    return found('hessian', pull([output], xs, [output.detach().onesLike()], true), xs, {
      createGraph: true,
      strict: options.strict,
    });
  };
  const rows = jacobian(gradients, listOf(inputs), options);
  return asGiven(
    inputs,
    rows.map(row => asGiven(inputs, row)),
  );
}

/** The output of a scalar function and the product of its Hessian with `v`, for each input. */
export function hvp<I extends OneOrMore>(
  fn: Fn<Tensor>,
  inputs: I,
  v?: OneOrMore | null,
  options: FunctionalOptions = {},
): [output: Tensor, product: ForEach<I, Tensor>] {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const vs = weightsFor('hvp', 'input', v, xs);
    const output = scalarOf('hvp', fn(...xs));
    const first = pull([output], xs, [output.detach().onesLike()], true);
    const second = pull(first, xs, vs, options.createGraph ?? false);
    return [finish(output, options.createGraph), asGiven(inputs, found('hvp', second, xs, options))];
  });
}

/** The output of a scalar function and the product of `v` with its Hessian: the same numbers, Hessians being symmetric. */
export const vhp: typeof hvp = hvp;
