/**
 * Derivatives of functions: grad, vjp, jvp, jacobian, hessian; nested to any order, on values and inside traces.
 *
 * All are made of the one reverse mode of the tape. The forward-mode product is two reverse ones: u -> vjp(u) is linear, and
 * its own vjp is the jvp (Townsend, "A new trick for calculating Jacobian vector products", 2017).
 */
import { fail } from '../errors.js';
import { formatShape, sameShape } from '../ir/shape.js';
import { stack } from '../ops/shape.js';
import { enableGrad, gradOf } from '../ops/tape.js';
import { Tensor } from '../ops/tensor.js';

type Inputs = Tensor | readonly Tensor[];
type Fn = (...inputs: Tensor[]) => Tensor;

export interface FunctionalOptions {
  /** Keep the result differentiable. Default: false. */
  readonly createGraph?: boolean;
}

const listOf = (inputs: Inputs): readonly Tensor[] => (inputs instanceof Tensor ? [inputs] : inputs);

/** A fresh variable with the value of `input`, still connected to what `input` depends on. */
const variable = (input: Tensor): Tensor => (input.requiresGrad ? input.clone() : input.detach().requiresGrad_());

const finish = (tensor: Tensor, keep: boolean | undefined): Tensor => (keep ? tensor : tensor.detach());

function scalarOf(what: string, output: Tensor): Tensor {
  if (output.numel() !== 1)
    fail('E207', {
      problem: `${what}: the function must return a single element, but returned shape ${formatShape(output.shape)}`,
      hint: 'reduce its result, as in .sum(), or use jacobian',
    });
  return output;
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

/** The output of `fn` and the product of `v` with its Jacobian, one gradient per input. `v` may be left out for a scalar. */
export function vjp(
  fn: Fn,
  inputs: Inputs,
  v?: Tensor | null,
  options: FunctionalOptions = {},
): [output: Tensor, grads: Tensor[]] {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const output = fn(...xs);
    const grads = gradOf(output, xs, { gradOutputs: v ?? null, createGraph: true, allowUnused: true });
    return [
      finish(output, options.createGraph),
      grads.map((g, i) => finish(g ?? xs[i].zerosLike(), options.createGraph)),
    ];
  });
}

/** The output of `fn` and the product of its Jacobian with `v`, which has the shapes of the inputs. */
export function jvp(
  fn: Fn,
  inputs: Inputs,
  v?: Inputs | null,
  options: FunctionalOptions = {},
): [output: Tensor, product: Tensor] {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const vs = v ? listOf(v) : xs.map(x => x.onesLike());
    for (const [i, x] of xs.entries()) {
      if (!sameShape(x.shape, vs[i].shape))
        fail('E207', {
          problem: `jvp: v has shape ${formatShape(vs[i].shape)} where input ${i} has shape ${formatShape(x.shape)}`,
        });
    }
    const output = fn(...xs);
    const u = output.detach().zerosLike().requiresGrad_();
    const pulled = gradOf(output, xs, { gradOutputs: u, createGraph: true, allowUnused: true });
    const parts = pulled.map((p, i) =>
      p === null || !p.requiresGrad
        ? null
        : gradOf(p, u, { gradOutputs: vs[i], createGraph: true, allowUnused: true })[0],
    );
    const product = parts.reduce<Tensor | null>(
      (sum, part) => (part === null ? sum : sum === null ? part : sum.add(part)),
      null,
    );
    return [finish(output, options.createGraph), finish(product ?? output.zerosLike(), options.createGraph)];
  });
}

/** d output[i] / d input[j], of shape [...output.shape, ...input.shape]; one per input if a list was given. */
export function jacobian(fn: Fn, inputs: Tensor, options?: FunctionalOptions): Tensor;
export function jacobian(fn: Fn, inputs: readonly Tensor[], options?: FunctionalOptions): Tensor[];
export function jacobian(fn: Fn, inputs: Inputs, options: FunctionalOptions = {}): Tensor | Tensor[] {
  return enableGrad(() => {
    const xs = listOf(inputs).map(variable);
    const output = fn(...xs);
    const flat = output.reshape([-1]);
    const rows = Array.from({ length: flat.numel() }, (_, i) =>
      flat.requiresGrad
        ? gradOf(flat.select(0, i), xs, { createGraph: options.createGraph, retainGraph: true, allowUnused: true })
        : xs.map(() => null),
    );
    const matrices = xs.map((x, k) => {
      const shape = [...output.shape, ...x.shape];
      return finish(stack(rows.map(row => row[k] ?? x.zerosLike())).reshape(shape), options.createGraph);
    });
    return inputs instanceof Tensor ? matrices[0] : matrices;
  });
}

/** Second derivatives of a scalar function of one tensor, of shape [...input.shape, ...input.shape]. */
export function hessian(fn: Fn, input: Tensor, options: FunctionalOptions = {}): Tensor {
  return jacobian(x => grad(fn, { createGraph: true })(x), input, options);
}

/** The output of a scalar function and the product of its Hessian with `v`. */
export function hvp(
  fn: Fn,
  input: Tensor,
  v: Tensor,
  options: FunctionalOptions = {},
): [output: Tensor, product: Tensor] {
  return enableGrad(() => {
    const x = variable(input);
    const output = scalarOf('hvp', fn(x));
    const [first] = gradOf(output, x, { createGraph: true });
    const [product] = gradOf(first!, x, { gradOutputs: v, createGraph: options.createGraph, allowUnused: true });
    return [finish(output, options.createGraph), finish(product ?? x.zerosLike(), options.createGraph)];
  });
}

/** The output of a scalar function and the product of `v` with its Hessian: the same numbers, Hessians being symmetric. */
export const vhp: typeof hvp = hvp;
