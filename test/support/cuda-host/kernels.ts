/** Kernels in the plain form, built by hand: what lowering writes for the operations named, at odd sizes. */
import { computeType, type DType, isFloat, isInt } from '../../../compiler/ir/dtype.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  cast,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  type Kernel,
  load,
  makeIter,
  mulIndex,
  reduce,
  type Stmt,
  select,
  store,
  subIndex,
  when,
} from '../../../compiler/ir/kernel.js';
import { type ReduceFn, type ScalarFn, scalarFns } from '../../../compiler/ir/scalar.js';
import { nest, param } from '../plain-kernels.js';

export { nest, param };

const register = (name: string, dtype: DType = 'float32'): Buffer => ({ name, dtype, size: 1, scope: 'register' });
const zero = index(0);
const f32 = (value: number): Expr => constant('float32', value);

/** A kernel that reads `reads` and writes `writes`. */
export function kernelOf(
  name: string,
  reads: readonly Buffer[],
  writes: readonly Buffer[],
  body: readonly Stmt[],
): Kernel {
  const params = [
    ...reads.map(buffer => ({ buffer, access: 'read' as const })),
    ...writes.map(buffer => ({ buffer, access: 'write' as const })),
  ];
  return { name, params, body, doc: name };
}

/** Row-major position. */
export const at = (iters: readonly Iter[], sizes: readonly number[] = iters.map(iter => iter.extent)): Expr =>
  iters.reduce<Expr>((sum, iter, d) => addIndex(mulIndex(sum, sizes[d]), iterOf(iter)), zero);

const itersOf = (prefix: string, shape: readonly number[]): Iter[] =>
  shape.map((size, d) => makeIter(`${prefix}${d}`, size));

/** out = fn(x), element by element. */
export function unary(fn: ScalarFn, shape: readonly number[], dtype: DType): Kernel {
  const iters = itersOf('i', shape);
  const size = shape.reduce((a, b) => a * b, 1);
  const [x, out] = [param('x', size, dtype), param('out', size, dtype)];
  return kernelOf(
    `${fn}_${dtype}`,
    [x],
    [out],
    nest(iters, 'parallel', [store(out, at(iters), call(fn, load(x, at(iters))))]),
  );
}

export function binary(fn: ScalarFn, size: number, dtype: DType): Kernel {
  const [a, b] = [param('a', size, dtype), param('b', size, dtype)];
  const i = makeIter('i', size);
  const value = call(fn, load(a, iterOf(i)), load(b, iterOf(i)));
  const out = param('out', size, value.dtype as DType);
  return kernelOf(`${fn}_${dtype}`, [a, b], [out], nest([i], 'parallel', [store(out, iterOf(i), value)]));
}

/** out[i, j] = x[i, j] * scale[j] + shift[i]. */
export function broadcast(rows: number, columns: number): Kernel {
  const [x, scale, shift, out] = [
    param('x', rows * columns),
    param('scale', columns),
    param('shift', rows),
    param('out', rows * columns),
  ];
  const iters = [makeIter('row', rows), makeIter('column', columns)];
  const value = call(
    'add',
    call('mul', load(x, at(iters)), load(scale, iterOf(iters[1]))),
    load(shift, iterOf(iters[0])),
  );
  return kernelOf('broadcast', [x, scale, shift], [out], nest(iters, 'parallel', [store(out, at(iters), value)]));
}

/** An accumulator over `inner` and what comes after it. */
function accumulate(
  acc: Buffer,
  fn: ReduceFn,
  start: Expr,
  inner: readonly Iter[],
  value: Expr,
  rest: readonly Stmt[],
): Stmt {
  return alloc(acc, [store(acc, zero, start), ...nest(inner, 'serial', [reduce(acc, zero, fn, value)]), ...rest]);
}

/** out[r] = fn over c of x[r, c]. */
export function rowReduce(fn: ReduceFn, rows: number, columns: number, dtype: DType, start: Expr): Kernel {
  const [x, out, acc] = [param('x', rows * columns, dtype), param('out', rows, dtype), register('acc', dtype)];
  const [r, c] = [makeIter('row', rows), makeIter('column', columns)];
  const body = accumulate(acc, fn, start, [c], load(x, at([r, c])), [store(out, iterOf(r), load(acc, zero))]);
  return kernelOf(`row_${fn}_${dtype}_${rows}_${columns}`, [x], [out], nest([r], 'parallel', [body]));
}

export function softmax(rows: number, columns: number): Kernel {
  const [x, out, highest, sum] = [
    param('x', rows * columns),
    param('out', rows * columns),
    register('highest'),
    register('sum'),
  ];
  const [r, c, c2, c3] = [
    makeIter('row', rows),
    makeIter('c', columns),
    makeIter('c', columns),
    makeIter('c', columns),
  ];
  const shifted = (column: Iter): Expr => call('exp', call('sub', load(x, at([r, column])), load(highest, zero)));
  const last = nest([c3], 'parallel', [store(out, at([r, c3]), call('div', shifted(c3), load(sum, zero)))]);
  const second = accumulate(sum, 'add', f32(0), [c2], shifted(c2), last);
  const first = accumulate(highest, 'max', f32(-Infinity), [c], load(x, at([r, c])), [second]);
  return kernelOf(`softmax_${rows}_${columns}`, [x], [out], nest([r], 'parallel', [first]));
}

/** out = relu(a @ b + bias), batched. */
export function matmul(batch: number, rows: number, columns: number, inner: number): Kernel {
  const [a, b, bias, out, acc] = [
    param('a', batch * rows * inner),
    param('b', batch * inner * columns),
    param('bias', columns),
    param('out', batch * rows * columns),
    register('acc'),
  ];
  const [z, m, n, k] = [makeIter('z', batch), makeIter('m', rows), makeIter('n', columns), makeIter('k', inner)];
  const result = call('max', call('add', load(acc, zero), load(bias, iterOf(n))), f32(0));
  const product = call('mul', load(a, at([z, m, k])), load(b, at([z, k, n])));
  const body = accumulate(acc, 'add', f32(0), [k], product, [store(out, at([z, m, n]), result)]);
  return kernelOf(
    `matmul_${batch}_${rows}_${columns}_${inner}`,
    [a, b, bias],
    [out],
    nest([z, m, n], 'parallel', [body]),
  );
}

export interface ConvSizes {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly o: number;
  readonly k: number;
  readonly pad: number;
}
const outputSize = ({ h, w, k, pad }: ConvSizes): readonly [number, number] => [
  h + 2 * pad - k + 1,
  w + 2 * pad - k + 1,
];

/** 0 <= value < size, or null where that is certain. */
const inside = (value: Expr, size: number): Expr =>
  call('and', call('ge', value, zero), call('lt', value, index(size)));
const guarded = (conditions: readonly Expr[], value: Expr): Expr =>
  select(
    conditions.reduce((a, b) => call('and', a, b)),
    value,
    f32(0),
  );

/** The loops of a convolution, and the element of its padded input that lies under one of the weights. */
function convolving(sizes: ConvSizes) {
  const { n, c, h, w, o, k, pad } = sizes;
  const [oh, ow] = outputSize(sizes);
  const [b, co, y0, x0] = [makeIter('n', n), makeIter('o', o), makeIter('oh', oh), makeIter('ow', ow)];
  const [ci, kh, kw] = [makeIter('c', c), makeIter('kh', k), makeIter('kw', k)];
  const ih = subIndex(addIndex(iterOf(y0), iterOf(kh)), pad);
  const iw = subIndex(addIndex(iterOf(x0), iterOf(kw)), pad);
  const place = addIndex(mulIndex(addIndex(mulIndex(at([b, ci]), h), ih), w), iw);
  const under = (x: Buffer): Expr => guarded([inside(ih, h), inside(iw, w)], load(x, place));
  return { b, co, y0, x0, ci, kh, kw, under };
}

export function convForward(sizes: ConvSizes): Kernel {
  const { n, c, h, w, o, k } = sizes;
  const [oh, ow] = outputSize(sizes);
  const [x, weight, out, acc] = [
    param('x', n * c * h * w),
    param('weight', o * c * k * k),
    param('y', n * o * oh * ow),
    register('acc'),
  ];
  const { b, co, y0, x0, ci, kh, kw, under } = convolving(sizes);
  const product = call('mul', under(x), load(weight, at([co, ci, kh, kw])));
  const body = accumulate(acc, 'add', f32(0), [ci, kh, kw], product, [
    store(out, at([b, co, y0, x0]), load(acc, zero)),
  ]);
  return kernelOf('conv_forward', [x, weight], [out], nest([b, co, y0, x0], 'parallel', [body]));
}

/** dw[o, c, kh, kw] = sum over n, oh, ow of g[n, o, oh, ow] * x[n, c, oh + kh - pad, ow + kw - pad]. */
export function convWeightGrad(sizes: ConvSizes): Kernel {
  const { n, c, h, w, o, k } = sizes;
  const [oh, ow] = outputSize(sizes);
  const [g, x, out, acc] = [
    param('g', n * o * oh * ow),
    param('x', n * c * h * w),
    param('dw', o * c * k * k),
    register('acc'),
  ];
  const { b, co, y0, x0, ci, kh, kw, under } = convolving(sizes);
  const product = call('mul', load(g, at([b, co, y0, x0])), under(x));
  const body = accumulate(acc, 'add', f32(0), [b, y0, x0], product, [
    store(out, at([co, ci, kh, kw]), load(acc, zero)),
  ]);
  return kernelOf('conv_weight_grad', [g, x], [out], nest([co, ci, kh, kw], 'parallel', [body]));
}

/** dx[n, c, ih, iw] = sum over o, kh, kw of g[n, o, ih - kh + pad, iw - kw + pad] * w[o, c, kh, kw]. */
export function convDataGrad(sizes: ConvSizes): Kernel {
  const { n, c, h, w, o, k, pad } = sizes;
  const [oh, ow] = outputSize(sizes);
  const [g, weight, out, acc] = [
    param('g', n * o * oh * ow),
    param('weight', o * c * k * k),
    param('dx', n * c * h * w),
    register('acc'),
  ];
  const [b, ci, ih, iw] = [makeIter('n', n), makeIter('c', c), makeIter('ih', h), makeIter('iw', w)];
  const [co, kh, kw] = [makeIter('o', o), makeIter('kh', k), makeIter('kw', k)];
  const y0 = addIndex(subIndex(iterOf(ih), iterOf(kh)), pad);
  const x0 = addIndex(subIndex(iterOf(iw), iterOf(kw)), pad);
  const place = addIndex(mulIndex(addIndex(mulIndex(at([b, co]), oh), y0), ow), x0);
  const product = call(
    'mul',
    guarded([inside(y0, oh), inside(x0, ow)], load(g, place)),
    load(weight, at([co, ci, kh, kw])),
  );
  const body = accumulate(acc, 'add', f32(0), [co, kh, kw], product, [
    store(out, at([b, ci, ih, iw]), load(acc, zero)),
  ]);
  return kernelOf('conv_data_grad', [g, weight], [out], nest([b, ci, ih, iw], 'parallel', [body]));
}

/** out[index[i], d] += x[i, d], after a fill with zeros. */
export function scatterAdd(count: number, width: number, rows: number): Kernel {
  const [x, indices, out] = [param('x', count * width), param('indices', count, 'int64'), param('out', rows * width)];
  const [f, i, d] = [makeIter('f', rows * width), makeIter('i', count), makeIter('d', width)];
  const target = addIndex(mulIndex(cast('index', load(indices, iterOf(i))), width), iterOf(d));
  return kernelOf(
    'scatter_add',
    [x, indices],
    [out],
    [
      ...nest([f], 'parallel', [store(out, iterOf(f), f32(0))]),
      ...nest([i, d], 'serial', [reduce(out, target, 'add', load(x, at([i, d])))]),
    ],
  );
}

/** Running sums along rows. */
export function cumsum(rows: number, columns: number): Kernel {
  const [x, out, sum] = [param('x', rows * columns), param('out', rows * columns), register('sum')];
  const [r, c] = [makeIter('row', rows), makeIter('column', columns)];
  const step = [reduce(sum, zero, 'add', load(x, at([r, c]))), store(out, at([r, c]), load(sum, zero))];
  const body = alloc(sum, [store(sum, zero, f32(0)), ...nest([c], 'serial', step)]);
  return kernelOf('cumsum', [x], [out], nest([r], 'parallel', [body]));
}

/** out[i] = out[i - 1] + x[i] along the first dim: serial along it, independent across columns. */
export function runningSum(rows: number, columns: number): Kernel {
  const [x, out] = [param('x', rows * columns), param('out', rows * columns)];
  const [i, j] = [makeIter('i', rows), makeIter('j', columns)];
  const before = subIndex(at([i, j]), columns);
  const add = store(out, at([i, j]), call('add', load(out, before), load(x, at([i, j]))));
  const step = when(call('gt', iterOf(i), zero), [add], [store(out, at([i, j]), load(x, at([i, j])))]);
  const params = [
    { buffer: x, access: 'read' as const },
    { buffer: out, access: 'readwrite' as const },
  ];
  return { name: `running_sum_${columns}`, params, body: nest([i, j], 'serial', step), doc: 'running sum' };
}

/** One value after another, each chosen by a condition: what shares what under which of them. */
export const choices = {
  byItself: (v: Expr) => select(call('lt', v, f32(0.25)), call('mul', v, f32(0.75)), call('sub', v, f32(0.125))),
  inBothBranches: (v: Expr, i: Expr) =>
    select(call('lt', i, index(29)), call('mul', v, f32(0.75)), call('sub', v, f32(0.125))),
  besides: (v: Expr, i: Expr) => call('mul', f32(0.5), call('sub', select(call('lt', i, index(29)), v, f32(0.5)), v)),
  underOne: (v: Expr) => call('mul', v, call('sub', v, f32(0.5))),
  inLoads: (v: Expr, i: Expr) =>
    select(call('lt', i, index(29)), call('mul', v, call('sub', v, f32(0.5))), constant('float32', 0.25)),
} satisfies Record<string, (value: Expr, counter: Expr) => Expr>;

/** out = a choice of a choice … of x, under two conditions of which only the inner one is of use. */
export function chosen(kind: keyof typeof choices, count: number): Kernel {
  const [x, out, i] = [param('x', 61), param('out', 61), makeIter('i', 61)];
  let value = load(x, iterOf(i));
  for (let n = 0; n < count; n++) value = choices[kind](value, iterOf(i));
  const guarded = select(call('lt', iterOf(i), index(50)), value, f32(1));
  const twice = select(call('lt', iterOf(i), index(60)), guarded, f32(2));
  return kernelOf(`${kind}_${count}`, [x], [out], nest([i], 'parallel', [store(out, iterOf(i), twice)]));
}

/** state = state² + x, then out = state³, which must see the new state. */
export function inPlace(size: number): Kernel {
  const [state, x, out, i] = [param('state', size), param('x', size), param('out', size), makeIter('i', size)];
  const old = load(state, iterOf(i));
  const square = store(state, iterOf(i), call('add', call('mul', old, old), load(x, iterOf(i))));
  const cube = store(out, iterOf(i), call('mul', call('mul', old, old), old));
  const params = [
    { buffer: state, access: 'readwrite' as const },
    { buffer: x, access: 'read' as const },
    { buffer: out, access: 'write' as const },
  ];
  return { name: `in_place_${size}`, params, body: nest([i], 'parallel', [square, cube]), doc: 'in place' };
}

/** Steps that read, across a row, what the step before wrote: next[c] = state[last - c] + 1, then state[c] = next[c] / 2. */
export function recurrence(rows: number, columns: number, steps: number): Kernel {
  const [state, next] = [param('state', rows * columns), param('next', rows * columns)];
  const [r, t, c, c2] = [makeIter('row', rows), makeIter('t', steps), makeIter('c', columns), makeIter('c', columns)];
  const mirrored = addIndex(mulIndex(iterOf(r), columns), subIndex(index(columns - 1), iterOf(c)));
  const body = nest([t], 'serial', [
    ...nest([c], 'parallel', [store(next, at([r, c]), call('add', load(state, mirrored), f32(1)))]),
    ...nest([c2], 'parallel', [store(state, at([r, c2]), call('mul', load(next, at([r, c2])), f32(0.5)))]),
  ]);
  const params = [
    { buffer: state, access: 'readwrite' as const },
    { buffer: next, access: 'write' as const },
  ];
  return { name: 'recurrence', params, body: nest([r], 'parallel', body), doc: 'recurrence' };
}

/** Every scalar function that is defined on a dtype, of the same two inputs; shifts by less than the width. */
export function everyFunction(dtype: DType, size = 64): Kernel {
  const [a, b, i] = [param('a', size, dtype), param('b', size, dtype), makeIter('i', size)];
  const results = (Object.keys(scalarFns) as ScalarFn[])
    .filter(fn => isDefined(fn, dtype))
    .map(fn => {
      const [x, y] = [a, b].map(buffer => cast(computeType(dtype), load(buffer, iterOf(i))));
      const distance = fn.startsWith('sh') ? call('and', y, constant(dtype, 7)) : y;
      const value = scalarFns[fn].arity === 1 ? call(fn, x) : call(fn, x, distance);
      const out = param(fn, size, value.dtype === 'bool' ? 'bool' : dtype);
      return { out, value: cast(out.dtype, value) };
    });
  const stores = results.map(({ out, value }) => store(out, iterOf(i), value));
  return kernelOf(
    `every_${dtype}`,
    [a, b],
    results.map(result => result.out),
    nest([i], 'parallel', stores),
  );
}

function isDefined(fn: ScalarFn, dtype: DType): boolean {
  if (fn === 'mulHiU') return dtype === 'int32';
  const { domain } = scalarFns[fn];
  if (domain === 'float') return isFloat(dtype);
  if (domain === 'bits') return !isFloat(dtype);
  if (domain === 'int') return isInt(dtype);
  return domain === 'any' || dtype !== 'bool';
}
