/**
 * Kernels in the plain form that lowering writes, built by hand: contractions of all kinds, rows, pointwise.
 */
import { arith as s } from '../../compiler/ir/arith.js';
import type { DType } from '../../compiler/ir/dtype.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mulIndex,
  reduce,
  type Stmt,
  select,
  store,
} from '../../compiler/ir/kernel.js';

export const param = (name: string, size: number, dtype: DType = 'float32'): Buffer => ({
  name,
  dtype,
  size,
  scope: 'param',
});
export const register = (name: string, size = 1): Buffer => ({ name, dtype: 'float32', size, scope: 'register' });

export function kernelOf(
  name: string,
  inputs: readonly Buffer[],
  outputs: readonly Buffer[],
  body: readonly Stmt[],
): Kernel {
  const params = [
    ...inputs.map(buffer => ({ buffer, access: 'read' as const })),
    ...outputs.map(buffer => ({ buffer, access: 'readwrite' as const })),
  ];
  return { name, params, body, doc: '' };
}

export const nest = (iters: readonly Iter[], map: 'parallel' | 'serial', body: readonly Stmt[]): Stmt[] =>
  iters.reduceRight<Stmt[]>((inner, iter) => (iter.extent === 1 ? inner : [loop(iter, map, inner)]), [...body]);

/** Row-major position of some indices. */
export const flat = (shape: readonly number[], at: readonly Expr[]): Expr =>
  shape.reduce<Expr>((sum, extent, d) => addIndex(mulIndex(sum, extent), at[d]), index(0));

/** parallel loops around: an accumulator, the sum of `term`, and a store of `epilogue(sum)`. */
export function contraction(
  parallel: readonly Iter[],
  summed: readonly Iter[],
  term: Expr,
  out: Buffer,
  at: Expr,
  epilogue: (sum: Expr) => Expr = sum => sum,
): Stmt[] {
  const acc = register('acc');
  return nest(parallel, 'parallel', [
    alloc(acc, [
      store(acc, index(0), constant('float32', 0)),
      ...nest(summed, 'serial', [reduce(acc, index(0), 'add', term)]),
      store(out, at, epilogue(load(acc, index(0)))),
    ]),
  ]);
}

const zero = constant('float32', 0);

export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly batch?: number;
  /** relu(a) as prologue, bias and relu as epilogue. */
  readonly fused?: boolean;
  /** A function of many instructions in the epilogue. */
  readonly long?: boolean;
}
export function matmul(
  m: number,
  k: number,
  n: number,
  { transposeA = false, transposeB = false, batch = 1, fused = false, long = false }: MatmulOptions = {},
): Kernel {
  const [a, b, bias, out] = [
    param('a', batch * m * k),
    param('b', batch * k * n),
    param('bias', n),
    param('out', batch * m * n),
  ];
  const [pb, pm, pn, pk] = [makeIter('b', batch), makeIter('m', m), makeIter('n', n), makeIter('k', k)];
  const [ib, im, inn, ik] = [pb, pm, pn, pk].map(iterOf);
  const left = load(a, transposeA ? flat([batch, k, m], [ib, ik, im]) : flat([batch, m, k], [ib, im, ik]));
  const right = load(b, transposeB ? flat([batch, n, k], [ib, inn, ik]) : flat([batch, k, n], [ib, ik, inn]));
  const term = call('mul', fused ? call('max', left, zero) : left, right);
  const body = contraction([pb, pm, pn], [pk], term, out, flat([batch, m, n], [ib, im, inn]), sum => {
    const finished = long ? call('tanh', sum) : sum;
    return fused ? call('max', call('add', finished, load(bias, inn)), zero) : finished;
  });
  return kernelOf('matmul', fused ? [a, b, bias] : [a, b], [out], body);
}

export interface ConvShape {
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly filters: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}
export const outputSize = ({ size, kernel, stride, padding }: ConvShape): number =>
  Math.floor((size + 2 * padding - kernel) / stride) + 1;

/** `value` where lo <= at < hi for all positions, else 0; conditions that cannot fail vanish. */
const guarded = (positions: readonly [at: Expr, size: number][], value: Expr): Expr =>
  positions.reduceRight((inner, [at, size]) => select(s.and(s.ge(at, 0), s.lt(at, size)), inner, zero), value);

const convParts = (shape: ConvShape) => {
  const { batch, channels, size, filters, kernel, stride, padding } = shape;
  const outer = outputSize(shape);
  const iters = {
    n: makeIter('n', batch),
    o: makeIter('o', filters),
    y: makeIter('oh', outer),
    x: makeIter('ow', outer),
    c: makeIter('c', channels),
    kh: makeIter('kh', kernel),
    kw: makeIter('kw', kernel),
    h: makeIter('h', size),
    w: makeIter('w', size),
  };
  const at = Object.fromEntries(Object.entries(iters).map(([name, iter]) => [name, iterOf(iter)])) as Record<
    keyof typeof iters,
    Expr
  >;
  const row = addIndex(addIndex(mulIndex(at.y, stride), at.kh), -padding);
  const column = addIndex(addIndex(mulIndex(at.x, stride), at.kw), -padding);
  const buffers = {
    input: param('x', batch * channels * size * size),
    weight: param('w', filters * channels * kernel * kernel),
    output: param('y', batch * filters * outer * outer),
    inputGrad: param('dx', batch * channels * size * size),
    weightGrad: param('dw', filters * channels * kernel * kernel),
  };
  const xAt = guarded(
    [
      [row, size],
      [column, size],
    ],
    load(buffers.input, flat([batch, channels, size, size], [at.n, at.c, row, column])),
  );
  const weightAt = flat([filters, channels, kernel, kernel], [at.o, at.c, at.kh, at.kw]);
  const outAt = flat([batch, filters, outer, outer], [at.n, at.o, at.y, at.x]);
  return { iters, at, buffers, xAt, weightAt, outAt, outer };
};

/** relu(conv2d(x, w) + bias). */
export function conv(shape: ConvShape): Kernel {
  const { iters, at, buffers, xAt, weightAt, outAt } = convParts(shape);
  const bias = param('bias', shape.filters);
  const body = contraction(
    [iters.n, iters.o, iters.y, iters.x],
    [iters.c, iters.kh, iters.kw],
    call('mul', xAt, load(buffers.weight, weightAt)),
    buffers.output,
    outAt,
    sum => call('max', call('add', sum, load(bias, at.o)), zero),
  );
  return kernelOf('conv', [buffers.input, buffers.weight, bias], [buffers.output], body);
}

export function convWeightGrad(shape: ConvShape): Kernel {
  const { iters, buffers, xAt, weightAt, outAt } = convParts(shape);
  const term = call('mul', xAt, load(buffers.output, outAt));
  const body = contraction(
    [iters.o, iters.c, iters.kh, iters.kw],
    [iters.n, iters.y, iters.x],
    term,
    buffers.weightGrad,
    weightAt,
  );
  return kernelOf('weightGrad', [buffers.input, buffers.output], [buffers.weightGrad], body);
}

/** dx[n, c, h, w] = Σ dy[n, o, (h + padding - kh) / stride, …] · w[o, c, kh, kw], where the division comes out even. */
export function convInputGrad(shape: ConvShape): Kernel {
  const { iters, at, buffers, weightAt, outer } = convParts(shape);
  const { batch, channels, size, filters, stride, padding } = shape;
  const from = (position: Expr, offset: Expr): { at: Expr; even: Expr } => {
    const shifted = s.sub(s.add(position, index(padding)), offset);
    return { at: s.floorDiv(shifted, index(stride)), even: s.eq(s.mod(shifted, index(stride)), index(0)) };
  };
  const [row, column] = [from(at.h, at.kh), from(at.w, at.kw)];
  const dy = load(buffers.output, flat([batch, filters, outer, outer], [at.n, at.o, row.at, column.at]));
  const inside = guarded(
    [
      [row.at, outer],
      [column.at, outer],
    ],
    dy,
  );
  const term = call('mul', select(s.and(row.even, column.even), inside, zero), load(buffers.weight, weightAt));
  const body = contraction(
    [iters.n, iters.c, iters.h, iters.w],
    [iters.o, iters.kh, iters.kw],
    term,
    buffers.inputGrad,
    flat([batch, channels, size, size], [at.n, at.c, at.h, at.w]),
  );
  return kernelOf('inputGrad', [buffers.output, buffers.weight], [buffers.inputGrad], body);
}

/** Softmax over rows. */
export function softmax(rows: number, columns: number): Kernel {
  const [x, out] = [param('x', rows * columns), param('out', rows * columns)];
  const [r, c1, c2, c3] = [makeIter('r', rows), makeIter('c', columns), makeIter('c', columns), makeIter('c', columns)];
  const at = (c: Iter): Expr => flat([rows, columns], [iterOf(r), iterOf(c)]);
  const [m, sum] = [register('m'), register('s')];
  const power = (c: Iter): Expr => call('exp', call('sub', load(x, at(c)), load(m, index(0))));
  const body = nest([r], 'parallel', [
    alloc(m, [
      store(m, index(0), constant('float32', Number.NEGATIVE_INFINITY)),
      loop(c1, 'serial', [reduce(m, index(0), 'max', load(x, at(c1)))]),
      alloc(sum, [
        store(sum, index(0), zero),
        loop(c2, 'serial', [reduce(sum, index(0), 'add', power(c2))]),
        loop(c3, 'parallel', [store(out, at(c3), call('div', power(c3), load(sum, index(0))))]),
      ]),
    ]),
  ]);
  return kernelOf('softmax', [x], [out], body);
}

/** Largest element of windows of 2×2 in steps of 2, and where in the image it is. */
export function maxPool(batch: number, size: number): Kernel {
  const outer = Math.floor(size / 2);
  const [x, places, out] = [
    param('x', batch * size * size),
    param('places', batch * outer * outer, 'int32'),
    param('out', batch * outer * outer),
  ];
  const [n, i, j, r, c, r2, c2] = [batch, outer, outer, 2, 2, 2, 2].map((extent, d) => makeIter('nijrcrc'[d], extent));
  const [largest, place] = [register('m'), { ...register('p'), dtype: 'int32' as const }];
  const at = (row: Iter, column: Iter): { inImage: Expr; value: Expr } => {
    const inImage = flat(
      [size, size],
      [addIndex(mulIndex(iterOf(i), 2), iterOf(row)), addIndex(mulIndex(iterOf(j), 2), iterOf(column))],
    );
    return { inImage, value: load(x, addIndex(mulIndex(iterOf(n), size * size), inImage)) };
  };
  const first = at(r2, c2);
  const outAt = flat([batch, outer, outer], [n, i, j].map(iterOf));
  const body = nest([n, i, j], 'parallel', [
    alloc(largest, [
      store(largest, index(0), constant('float32', Number.NEGATIVE_INFINITY)),
      ...nest([r, c], 'serial', [reduce(largest, index(0), 'max', at(r, c).value)]),
      alloc(place, [
        store(place, index(0), constant('int32', 2 ** 31 - 1)),
        ...nest([r2, c2], 'serial', [
          reduce(
            place,
            index(0),
            'min',
            select(
              s.eq(first.value, load(largest, index(0))),
              s.cast('int32', first.inImage),
              constant('int32', 2 ** 31 - 1),
            ),
          ),
        ]),
        store(places, outAt, load(place, index(0))),
        store(out, outAt, load(largest, index(0))),
      ]),
    ]),
  ]);
  return kernelOf('maxPool', [x], [places, out], body);
}

/** The gradient of windows of `kernel` in steps of `stride`: each element collects from the windows it lies in. */
export function windowGrad(batch: number, size: number, kernel: number, stride: number): Kernel {
  const outer = Math.floor((size - kernel) / stride) + 1;
  const [dy, dx] = [param('dy', batch * outer * outer), param('dx', batch * size * size)];
  const [n, i, j, r, c] = [batch, size, size, kernel, kernel].map((extent, d) => makeIter('nijrc'[d], extent));
  const acc = register('acc');
  const window = (position: Iter, offset: Iter): { at: Expr; inside: Expr } => {
    const shifted = s.sub(iterOf(position), iterOf(offset));
    const at = s.floorDiv(shifted, index(stride));
    return {
      at,
      inside: s.and(s.eq(s.mod(shifted, index(stride)), index(0)), s.and(s.ge(at, index(0)), s.lt(at, index(outer)))),
    };
  };
  const [row, column] = [window(i, r), window(j, c)];
  const value = load(dy, flat([batch, outer, outer], [iterOf(n), row.at, column.at]));
  const body = nest([n, i, j], 'parallel', [
    alloc(acc, [
      store(acc, index(0), zero),
      ...nest([r, c], 'serial', [reduce(acc, index(0), 'add', select(s.and(row.inside, column.inside), value, zero))]),
      store(dx, flat([batch, size, size], [n, i, j].map(iterOf)), load(acc, index(0))),
    ]),
  ]);
  return kernelOf('windowGrad', [dy], [dx], body);
}

/** Sum over the rows or the columns of a matrix. */
export function sums(rows: number, columns: number, over: 'rows' | 'columns'): Kernel {
  const [x, out] = [param('x', rows * columns), param('out', over === 'rows' ? columns : rows)];
  const [r, c] = [makeIter('r', rows), makeIter('c', columns)];
  const [kept, summed] = over === 'rows' ? [c, r] : [r, c];
  const body = contraction([kept], [summed], load(x, flat([rows, columns], [iterOf(r), iterOf(c)])), out, iterOf(kept));
  return kernelOf('sums', [x], [out], body);
}

/** out[c, r] = tanh(x[r, c]) + y[c]: a pointwise nest that transposes and broadcasts. */
export function transposed(rows: number, columns: number): Kernel {
  const [x, y, out] = [param('x', rows * columns), param('y', columns), param('out', rows * columns)];
  const [c, r] = [makeIter('c', columns), makeIter('r', rows)];
  const value = call('add', call('tanh', load(x, flat([rows, columns], [iterOf(r), iterOf(c)]))), load(y, iterOf(c)));
  return kernelOf(
    'transposed',
    [x, y],
    [out],
    nest([c, r], 'parallel', [store(out, flat([columns, rows], [iterOf(c), iterOf(r)]), value)]),
  );
}
