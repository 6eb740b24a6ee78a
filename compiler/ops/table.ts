/**
 * The op table: every op, and the methods of Tensor that follow from it.
 *
 * An op in one of the modules under `methods` that takes a tensor first is also a method, of its argument `input` or else of
 * the first, with the others as arguments; each pointwise op has an in-place form with a trailing underscore. A new op needs
 * no line here; a new file of ops needs one. The modules imported without a name hold ops without a method: layers, windows
 * and losses, as in PyTorch's `nn.functional`.
 */
import { fail } from '../errors.js';
import { categoryOf, categoryRank } from '../ir/dtype.js';
import { hardshrink, prelu } from './activation.js';
import * as aliases from './aliases.js';
import './attention.js';
import './backward.js';
import * as bits from './bits.js';
import './complex/index.js';
import './brackets.js';
import * as contraction from './contraction.js';
import './control.js';
import * as conversion from './conversion.js';
import './convolution.js';
import { histogram, indexReduce, narrowCopy } from './counting.js';
import * as creation from './creation.js';
import './ctc-loss.js';
import type { OpDef } from './define.js';
import './embedding-bag.js';
import './fft/short-time.js';
import { igamma, igammac, mvlgamma } from './incomplete-gamma.js';
import * as indexing from './indexing.js';
import './joining.js';
import { cholesky, det, inv as inverse, logdet, slogdet } from './linalg.js';
import './loss.js';
import { luSolve } from './lu.js';
import './normal-distribution.js';
import './normalization.js';
import * as matrixExponential from './matrix-exponential.js';
import * as olderLinalg from './older-linalg.js';
import './orthogonal-polynomials.js';
import * as pointwise from './pointwise.js';
import './padding.js';
import './pooling.js';
import * as quantiles from './quantile.js';
import './random.js';
import './ranking-loss.js';
import * as realNumbers from './real-numbers.js';
import * as reduction from './reduction.js';
import * as scan from './scan.js';
import * as shape from './shape.js';
import * as sorting from './sorting.js';
import * as special from './special.js';
import * as splitting from './splitting.js';
import * as strided from './strided.js';
import { computeInPlace } from './tape.js';
import { Tensor } from './tensor.js';
import { choleskyInverse, choleskySolve, triangularSolve } from './triangular.js';
import * as view from './view.js';
import './grid-sample.js';
import './vision.js';

const likeMethods = { fullLike: creation.fullLike, zerosLike: creation.zerosLike, onesLike: creation.onesLike };
const { polygamma: _takesItsOrderFirst, ...unarySpecial } = special;
/** Methods from modules that hold other functions too. */
const singleMethods = {
  cholesky,
  choleskyInverse,
  choleskySolve,
  det,
  hardshrink,
  histogram,
  igamma,
  igammac,
  indexReduce,
  inverse,
  logdet,
  luSolve,
  mvlgamma,
  narrowCopy,
  prelu,
  slogdet,
  triangularSolve,
};
const methodModules = {
  ...aliases,
  ...pointwise,
  ...conversion,
  ...reduction,
  ...view,
  ...shape,
  ...contraction,
  ...indexing,
  ...scan,
  ...sorting,
  ...unarySpecial,
  ...splitting,
  ...strided,
  ...matrixExponential,
  ...realNumbers,
  ...bits,
  ...olderLinalg,
  ...quantiles,
  ...singleMethods,
  ...likeMethods,
};
type MethodModules = typeof aliases &
  typeof pointwise &
  typeof conversion &
  typeof reduction &
  typeof view &
  typeof shape &
  typeof contraction &
  typeof indexing &
  typeof scan &
  typeof sorting &
  typeof unarySpecial &
  typeof splitting &
  typeof strided &
  typeof matrixExponential &
  typeof realNumbers &
  typeof bits &
  typeof olderLinalg &
  typeof quantiles &
  typeof singleMethods &
  typeof likeMethods;
type Typed<T> = { [K in keyof T]: T[K] extends { readonly method: infer M } ? M : never };
/** Only ops have a `def`; helpers that a module exports beside them are no methods. */
type OpNames<T> = { [K in keyof T]: T[K] extends { readonly def: unknown } ? K : never }[keyof T];
type Methods<T> = Typed<Pick<T, OpNames<T>>>;
type InPlace<T> = { [K in OpNames<T> as `${K & string}_`]: T[K] extends { readonly method: infer M } ? M : never };

/** Methods of Tensor that come from the op table. */
export interface TensorMethods
  extends Methods<MethodModules>,
    InPlace<Omit<typeof pointwise, 'where'> & typeof aliases> {}

type Callable = ((...args: unknown[]) => Tensor) & Pick<OpDef, 'params'> & { readonly def: OpDef };
const isOp = (value: unknown): value is Callable => typeof value === 'function' && 'def' in value;
/** `cat` takes a list and `einsum` a string first: they are functions only. */
const actsOnTensor = (op: Callable): boolean => ['tensor', 'operand'].includes(op.params[0].kind);

/**
 * Where the tensor whose method it is stands among the arguments: `x.where(condition, other)` is `where(condition, x,
 * other)`.
 */
const selfPosition = ({ params }: Callable): number =>
  Math.max(
    0,
    params.findIndex(({ name }) => name === 'input'),
  );

/** An in-place op may not lose the category of its result: complex numbers do not fit floats, nor those integers. */
export function checkResult(name: string, target: Tensor, value: Tensor): Tensor {
  const fits = categoryRank[categoryOf(value.dtype)] <= categoryRank[categoryOf(target.dtype)];
  if (!fits) {
    const problem = `result type ${value.dtype} can't be cast to the desired output type ${target.dtype}`;
    fail('E108', { op: `${name}_`, problem, hint: `convert the tensor first, or use ${name}() and keep its result` });
  }
  return value;
}

const prototype = Tensor.prototype as unknown as Record<string, unknown>;
for (const [name, op] of Object.entries(methodModules)) {
  if (!isOp(op) || !actsOnTensor(op)) continue;
  const self = selfPosition(op);
  prototype[name] = function (this: Tensor, ...args: unknown[]): Tensor {
    return op(...args.slice(0, self), this, ...args.slice(self));
  };
}
for (const [name, op] of Object.entries({ ...aliases, ...pointwise })) {
  if (!isOp(op) || !actsOnTensor(op) || selfPosition(op) > 0) continue;
  prototype[`${name}_`] = function (this: Tensor, ...args: unknown[]): Tensor {
    return computeInPlace(this, args, self => checkResult(name, this, op(self, ...args)));
  };
}
