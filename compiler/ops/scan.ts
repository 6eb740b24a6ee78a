/** Running reductions along a dim, and what is built from them. Each step needs the one before: programs, not maps. */
import { fail } from '../errors.js';
import { arith } from '../ir/arith.js';
import { computeType, type DType, isFloat } from '../ir/dtype.js';
import {
  call,
  cast,
  constant,
  type Expr,
  index,
  iterOf,
  loop,
  makeIter,
  type Stmt,
  select,
  subIndex,
  when,
} from '../ir/kernel.js';
import { normalizeDim, type Shape } from '../ir/shape.js';
import { iota } from './creation.js';
import { composite, define, type Op } from './define.js';
import { needsFloat, needsNumber } from './elementwise.js';
import { Cell, declare } from './matrix-program.js';
import { type Picked, picked } from './reduction.js';
import { exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import { cat } from './shape.js';
import type { Tensor } from './tensor.js';

export interface ScanOptions {
  readonly dtype?: DType | null;
}
type Scan = Op<(input: Tensor, dim: number, options?: ScanOptions) => Tensor>;

/** Loops over all dims, the scanned one innermost and in order; `around` is put about that one. */
function overLines(
  shape: Shape,
  dim: number,
  body: (at: readonly Expr[]) => readonly Stmt[],
  around: (line: Stmt) => readonly Stmt[] = line => [line],
): readonly Stmt[] {
  const iters = shape.map((extent, d) => makeIter(`i${d}`, extent));
  return iters
    .filter((_, d) => d !== dim)
    .reduceRight<readonly Stmt[]>(
      (inner, iter) => [loop(iter, 'parallel', inner)],
      around(loop(iters[dim], 'serial', body(iters.map(iterOf)))),
    );
}
const before = (at: readonly Expr[], dim: number): Expr[] => at.map((i, d) => (d === dim ? subIndex(i, 1) : i));

/** Single precision is carried on in double, so that long lines do not drift. */
const carriedIn = (dtype: DType): DType => (dtype === 'float32' ? 'float64' : computeType(dtype));

/** out[i] = step(out[i - 1], input[i]), starting from `start`. */
const scan = (
  name: string,
  doc: string,
  start: number,
  step: (previous: Expr, next: Expr) => Expr,
  spec: Pick<Parameters<typeof define>[0], 'vjp' | 'gradName' | 'samples' | 'infer'>,
): Op<(input: Tensor, dim: number) => Tensor> =>
  define({
    name,
    doc,
    signature: 'input: tensor, dim: int',
    fusion: 'opaque',
    prepare: ({ input, dim }) => ({ inputs: [input], attrs: { dim: normalizeDim(name, dim, input.ndim) } }),
    lower: {
      kind: 'program',
      build({ inputs: [input], attrs, type, out }) {
        const carried = carriedIn(type.dtype);
        const state = new Cell('state', carried);
        const advance = (at: readonly Expr[]): readonly Stmt[] => [
          state.set(step(state.get(), cast(carried, input.at(at)))),
          out.store(at, cast(computeType(type.dtype), state.get())),
        ];
        return overLines(type.shape, attrs.dim as number, advance, line =>
          declare([state], [state.set(constant(carried, start)), line]),
        );
      },
    },
    ...spec,
  });

type Infer = Parameters<typeof define>[0]['infer'];
const keepType =
  (check: (dtype: DType) => void): Infer =>
  ([input]) => {
    check(input.dtype);
    return input;
  };

/** Sums of what comes at and after each place. */
const reverseSum = (input: Tensor, dim: number): Tensor => runningSum(input.flip([dim]), dim).flip([dim]);

const runningSum: Op<(input: Tensor, dim: number) => Tensor> = scan(
  'runningSum',
  'Sums of all elements up to each, along a dim.',
  0,
  (sum, x) => arith.add(sum, x),
  {
    infer: keepType(needsNumber('runningSum')),
    vjp: c => [reverseSum(c.grad, c.attrs.dim as number)],
    samples: [sample(random([2, 3]), 1), sample(random([4]), 0)],
  },
);

const runningProduct: Op<(input: Tensor, dim: number) => Tensor> = scan(
  'runningProduct',
  'Products of all elements up to each, along a dim.',
  1,
  (product, x) => arith.mul(product, x),
  {
    infer: keepType(needsNumber('runningProduct')),
    vjp: c => {
      // ∂out[j]/∂x[i] = out[j] / x[i] for j >= i; with zeros on the way by summing over pairs.
      const [x, dim] = [c.in(0), c.attrs.dim as number];
      return [productGradient(x, c.grad, dim)];
    },
    samples: [sample(random([2, 3], 0.5, 2), 1), sample(exactly([2, 4], [1, 0, 2, 3, 2, 0, 0, 1]), 1)],
  },
);

/** Σ over j >= i of grad[j] · Π of x[k], k <= j, k ≠ i: exact also where elements are zero. */
function productGradient(x: Tensor, grad: Tensor, dim: number): Tensor {
  const extent = x.shape[dim];
  const parts = Array.from({ length: extent }, (_, i) => {
    const others = x.slice(dim, i + 1);
    const ahead =
      i === 0 ? x.slice(dim, 0, 1).onesLike() : runningProduct(x.slice(dim, 0, i), dim).slice(dim, i - 1, i);
    const tail = i + 1 < extent ? cat([ahead, runningProduct(others, dim).mul(ahead)], dim) : ahead;
    return tail.mul(grad.slice(dim, i)).sum(dim, { keepdim: true });
  });
  return cat(parts, dim);
}
const wide = (input: Tensor, dtype: DType | null): Tensor =>
  input.to(dtype ?? (isFloat(input.dtype) ? input.dtype : 'int64'));

/** A 0-d tensor is scanned as a line of one. */
const along = (name: string, input: Tensor, dim: number, run: (line: Tensor, d: number) => Tensor): Tensor =>
  input.ndim === 0 ? run(input.reshape([1]), 0).reshape([]) : run(input, normalizeDim(name, dim, input.ndim));

export const cumsum: Scan = composite({
  name: 'cumsum',
  doc: 'Sums of all elements up to each, along a dim. Integers and bools sum to int64.',
  signature: 'input: tensor, dim: int, *, dtype: dtype = null',
  gradName: 'CumsumBackward0',
  compute: ({ input, dim, dtype }) => along('cumsum', wide(input, dtype), dim, runningSum),
  samples: [sample(random([2, 3]), -1), sampleWithoutGradient(integers([4], -3, 3), 0)],
});

export const cumprod: Scan = composite({
  name: 'cumprod',
  doc: 'Products of all elements up to each, along a dim. Integers and bools multiply to int64.',
  signature: 'input: tensor, dim: int, *, dtype: dtype = null',
  gradName: 'CumprodBackward0',
  compute: ({ input, dim, dtype }) => along('cumprod', wide(input, dtype), dim, runningProduct),
  samples: [sample(random([2, 3], 0.5, 2), -1)],
});

export const logcumsumexp: Op<(input: Tensor, dim: number) => Tensor> = composite({
  name: 'logcumsumexp',
  doc: 'log of the running sums of e^input, safe for large inputs.',
  signature: 'input: tensor, dim: int',
  compute: ({ input, dim }) => along('logcumsumexp', input, dim, runningLogSum),
  samples: [sample(random([2, 3]), 1), sample(exactly([3], [1000, 1001, 999]), 0)],
  errors: [{ args: [integers([3], 0, 4), 0], message: /logcumsumexp: is defined on floats, not on int64/ }],
});

const runningLogSum: Op<(input: Tensor, dim: number) => Tensor> = scan(
  'runningLogSum',
  'log of the running sums of e^input.',
  Number.NEGATIVE_INFINITY,
  logAddExp,
  {
    gradName: 'LogcumsumexpBackward0',
    infer: keepType(needsFloat('logcumsumexp')),
    vjp: c => {
      // Σ over j >= i of grad[j] · e^(x[i] - out[j]), pair by pair so that nothing overflows.
      const dim = c.attrs.dim as number;
      const [x, out] = [c.in(0).unsqueeze(dim + 1), c.out.unsqueeze(dim)];
      const rank = x.ndim;
      const position = (d: number): Tensor =>
        iota(c.types[0].shape[dim]).reshape(x.shape.map((_, e) => (e === d ? -1 : 1)));
      const later = position(dim + 1).ge(position(dim));
      const share = x.sub(out).exp().mul(c.grad.unsqueeze(dim)).maskedFill(later.logicalNot(), 0);
      return [share.sum(dim + 1 - rank)];
    },
    samples: [sample(random([2, 3]), 1)],
  },
);

function logAddExp(a: Expr, b: Expr): Expr {
  const gap = arith.neg(arith.abs(arith.sub(a, b)));
  return select(arith.eq(a, b), arith.add(a, Math.LN2), arith.add(arith.max(a, b), arith.log1p(arith.exp(gap))));
}

/** Where the running extreme stands: the last of equal ones; NaN stays. */
const runningPosition = (name: string, beats: 'ge' | 'le'): Op<(input: Tensor, dim: number) => Tensor> =>
  define({
    name,
    doc: 'Position of the extreme among all elements up to each, along a dim.',
    signature: 'input: tensor, dim: int',
    fusion: 'opaque',
    differentiable: false,
    infer: ([input]) => ({ dtype: 'int64', shape: input.shape }),
    lower: {
      kind: 'program',
      build({ inputs: [input], attrs, type, out }) {
        const dim = attrs.dim as number;
        return overLines(type.shape, dim, at => {
          const here = cast('int64', at[dim]);
          const last = out.load(before(at, dim));
          const best = input.at(at.map((i, d) => (d === dim ? cast('index', last) : i)));
          const value = input.at(at);
          const wins = arith.or(arith.isNan(value), arith.and(arith[beats](value, best), arith.not(arith.isNan(best))));
          return when(
            call('gt', at[dim], index(0)),
            [out.store(at, select(wins, here, last))],
            [out.store(at, constant('int64', 0))],
          );
        });
      },
    },
    samples: [sampleWithoutGradient(random([2, 4]), 1), sampleWithoutGradient(exactly([4], [1, 3, 3, 2]), 0)],
  });
const runningMaxPosition = runningPosition('runningMaxPosition', 'ge');
const runningMinPosition = runningPosition('runningMinPosition', 'le');

type RunningExtreme = Op<(input: Tensor, dim: number) => Picked>;
const runningExtreme = (name: string, doc: string, position: (input: Tensor, dim: number) => Tensor): RunningExtreme =>
  composite({
    name,
    doc: `${doc} of all elements up to each along a dim, as [values, indices]; of equal ones the last.`,
    gradName: `${name[0].toUpperCase()}${name.slice(1)}Backward0`,
    signature: 'input: tensor, dim: int',
    compute({ input, dim }) {
      if (input.ndim === 0) return picked(input.clone(), input.zerosLike({ dtype: 'int64' }));
      const indices = position(input.detach(), normalizeDim(name, dim, input.ndim));
      return picked(input.gather(dim, indices), indices);
    },
    samples: [sample(random([2, 4]), 1)],
  });
export const cummax: RunningExtreme = runningExtreme('cummax', 'The largest', (x, d) => runningMaxPosition(x, d));
export const cummin: RunningExtreme = runningExtreme('cummin', 'The smallest', (x, d) => runningMinPosition(x, d));

interface DiffBound {
  readonly input: Tensor;
  readonly n: number;
  readonly dim: number;
  readonly prepend: Tensor | null;
  readonly append: Tensor | null;
}

interface DiffOptions {
  readonly n?: number;
  readonly dim?: number;
  readonly prepend?: Tensor | null;
  readonly append?: Tensor | null;
}

export const diff: Op<(input: Tensor, n?: number | DiffOptions, dim?: number | DiffOptions) => Tensor> = composite({
  name: 'diff',
  doc: 'Differences between neighbours along a dim, n times over.',
  signature: 'input: tensor, n: int = 1, dim: int = -1, prepend: tensor = null, append: tensor = null',
  compute({ input, n, dim, prepend, append }: DiffBound): Tensor {
    if (input.ndim === 0) fail('E107', { op: 'diff', problem: 'expects input to be at least one-dimensional' });
    if (n < 0) fail('E110', { op: 'diff', problem: `order must be non-negative but got ${n}` });
    const d = normalizeDim('diff', dim, input.ndim);
    let line = cat(
      [prepend, input, append].filter(part => part !== null),
      d,
    );
    for (let order = 0; order < n; order++) {
      const [later, earlier] = [line.slice(d, 1), line.slice(d, 0, -1)];
      line = line.dtype === 'bool' ? later.logicalXor(earlier) : later.sub(earlier);
    }
    return line;
  },
  samples: [sample(random([5])), sample(random([4, 2]), 2, 0)],
});

/** The area between each two neighbours along a dim. */
function trapezoids(y: Tensor, x: Tensor | null, dx: number, dim: number): Tensor {
  const middle = y
    .slice(dim, 1)
    .add(y.slice(dim, 0, -1))
    .div(2);
  if (x === null) return middle.mul(dx);
  if (x.ndim !== 1 && x.ndim !== y.ndim) {
    fail('E107', { op: 'trapz', problem: 'x must have one dim, or as many as y' });
  }
  return middle.mul(x.ndim === 1 ? diff(x).reshape(y.shape.map((_, d) => (d === dim ? -1 : 1))) : diff(x, 1, dim));
}

interface TrapezoidOptions {
  readonly x?: Tensor | null;
  readonly dx?: number;
  readonly dim?: number;
}
type Trapezoid = Op<(y: Tensor, x?: Tensor | null | TrapezoidOptions, options?: TrapezoidOptions) => Tensor>;

export const cumulativeTrapezoid: Trapezoid = composite({
  name: 'cumulativeTrapezoid',
  doc: 'Running areas under a curve by the trapezoidal rule.',
  signature: 'y: tensor, x: tensor = null, *, dx: number = 1, dim: int = -1',
  compute: ({ y, x, dx, dim }) => cumsum(trapezoids(y, x, dx, normalizeDim('cumulativeTrapezoid', dim, y.ndim)), dim),
  samples: [sample(random([5])), sample(random([2, 5]), random([5]))],
});

export const trapz: Trapezoid = composite({
  name: 'trapz',
  doc: 'Area under a curve by the trapezoidal rule.',
  signature: 'y: tensor, x: tensor = null, *, dx: number = 1, dim: int = -1',
  compute({ y, x, dx, dim }) {
    const d = normalizeDim('trapz', dim, y.ndim);
    return trapezoids(y, x, dx, d).sum(d);
  },
  samples: [sample(random([5])), sample(random([2, 5]), random([5]))],
});
