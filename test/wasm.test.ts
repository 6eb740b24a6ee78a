/**
 * The WASM emitter: scalar functions, element types, loops and vectors, each kernel built by hand and run both as WASM
 * and by the js backend, or against numbers computed here.
 */
import { describe, expect, test } from 'vitest';
import { compileKernel as compileJs } from '../backends/js/emit.js';
import { fromBfloat, fromHalf, toBfloat, toHalf } from '../backends/js/math.js';
import { compileKernel } from '../backends/wasm/compile.js';
import { schedule } from '../backends/wasm/schedule.js';
import { arith as s } from '../compiler/ir/arith.js';
import { arrayOf, type DType, type TypedArray } from '../compiler/ir/dtype.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  cast,
  constant,
  type Expr,
  index,
  iterOf,
  type Kernel,
  type LoopMap,
  load,
  loop,
  makeIter,
  mapExpr,
  mulIndex,
  reduce,
  type Stmt,
  select,
  store,
  when,
} from '../compiler/ir/kernel.js';
import { isScalarFn, type ScalarFn, scalarFns } from '../compiler/ir/scalar.js';
import { matmul } from './support/plain-kernels.js';

const param = (name: string, dtype: DType, size: number): Buffer => ({ name, dtype, size, scope: 'param' });

function kernelOf(inputs: readonly Buffer[], outputs: readonly Buffer[], body: readonly Stmt[]): Kernel {
  const params = [
    ...inputs.map(buffer => ({ buffer, access: 'read' as const })),
    ...outputs.map(buffer => ({ buffer, access: 'readwrite' as const })),
  ];
  return { name: 'test', params, body, doc: '' };
}

/** out[i] = f(inputs[i]…), in a loop of the given mapping; vector loops in groups of four and a tail. */
function pointwise(inputs: readonly Buffer[], output: Buffer, map: LoopMap, f: (...args: Expr[]) => Expr): Kernel {
  const at = (i: Expr): Stmt => store(output, i, f(...inputs.map(buffer => load(buffer, i))));
  if (map !== 'vector') {
    const i = makeIter('i', output.size);
    return kernelOf(inputs, [output], [loop(i, map, [at(iterOf(i))])]);
  }
  const [group, lane, tail] = [
    makeIter('g', Math.floor(output.size / 4)),
    makeIter('v', 4),
    makeIter('t', output.size % 4),
  ];
  const body = [
    loop(group, 'parallel', [loop(lane, 'vector', [at(addIndex(mulIndex(iterOf(group), 4), iterOf(lane)))])]),
  ];
  if (tail.extent > 0) body.push(loop(tail, 'serial', [at(addIndex(iterOf(tail), group.extent * 4))]));
  return kernelOf(inputs, [output], body);
}

const specials = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  2,
  -2,
  3,
  1e-10,
  -1e-10,
  1e10,
  -1e10,
  5e-324,
  1e-310,
  1e-40,
  Infinity,
  -Infinity,
  Number.NaN,
  88.7,
  -104,
  709,
  -745,
];
/** Values over many magnitudes, and the special ones. */
function grid(): number[] {
  const values = [...specials];
  for (let i = -300; i <= 300; i++) values.push(i / 13, i / 300, Math.sign(i) * 2 ** (i / 10));
  return values;
}

/** Error in units in the last place of the format; 0 where both are the same special value. */
function ulps(actual: number, expected: number, dtype: DType): number {
  if (Object.is(actual, expected) || actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) return 0;
  const digits = dtype === 'float32' ? 23 : 52;
  const smallest = dtype === 'float32' ? -149 : -1074;
  const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(expected))) - digits, smallest);
  const error = Math.abs(actual - expected) / unit;
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** erf by its series and the continued fraction of erfc. */
function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  const t = Math.abs(x);
  if (t > 6) return Math.sign(x);
  if (t < 2.5) {
    let [sum, term] = [x, x];
    for (let n = 1; n < 100; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 200; k > 0; k--) fraction = k / 2 / (t + fraction);
  return Math.sign(x) * (1 - Math.exp(-t * t) / Math.sqrt(Math.PI) / (t + fraction));
}

const roundEven = (x: number): number => {
  const r = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && r % 2 !== 0 ? r - 1 : r;
};
const unaryFns: Partial<Record<ScalarFn, (x: number) => number>> = {
  neg: x => -x,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  round: x => (Math.abs(x) > 2 ** 52 ? x : roundEven(x)),
  trunc: Math.trunc,
  sqrt: Math.sqrt,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  log10: Math.log10,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  sigmoid: x => 1 / (1 + Math.exp(-x)),
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
};
/** C's pow: 1 to anything and -1 to infinity are 1. */
const cPow = (a: number, b: number): number => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b);
const binaryFns: Partial<Record<ScalarFn, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  rem: (a, b) => a % b,
  min: Math.min,
  max: Math.max,
  pow: cPow,
  atan2: Math.atan2,
  copysign: (a, b) => (Object.is(Math.sign(b), -0) || b < 0 ? -Math.abs(a) : Math.abs(a)),
};

/** Largest error allowed, in ulps; of float32 as bench/vector-functions.ts states it. JavaScript's own are off by up to 1. */
const tolerance: Partial<Record<ScalarFn, { float32: number; float64: number }>> = {
  exp: { float32: 1, float64: 2 },
  expm1: { float32: 1.5, float64: 3 },
  log: { float32: 1, float64: 2 },
  log1p: { float32: 2.5, float64: 4 },
  log2: { float32: 1.5, float64: 3 },
  log10: { float32: 1, float64: 3 },
  sin: { float32: 2, float64: 2 },
  cos: { float32: 2, float64: 2 },
  tan: { float32: 3, float64: 4 },
  asin: { float32: 2.5, float64: 4 },
  acos: { float32: 1.5, float64: 4 },
  atan: { float32: 2.5, float64: 3 },
  sinh: { float32: 3, float64: 4 },
  cosh: { float32: 3, float64: 4 },
  tanh: { float32: 2.5, float64: 5 },
  sigmoid: { float32: 2.5, float64: 1 },
  asinh: { float32: 3, float64: 5 },
  acosh: { float32: 2.5, float64: 5 },
  atanh: { float32: 3, float64: 5 },
  erf: { float32: 4.5, float64: 20 },
  pow: { float32: 3.5, float64: 3 },
  atan2: { float32: 1, float64: 3 },
};

describe('scalar functions', () => {
  const values = grid();
  const covered = Object.keys(scalarFns).filter(isScalarFn);
  const floatFns = covered.filter(
    fn => ['float', 'number'].includes(scalarFns[fn].domain) && scalarFns[fn].rule === 'same',
  );

  test('all functions on floats have a JavaScript meaning here', () => {
    expect(floatFns.filter(fn => !unaryFns[fn] && !binaryFns[fn])).toEqual([]);
  });

  for (const fn of floatFns) {
    for (const dtype of ['float32', 'float64'] as const) {
      for (const map of ['serial', 'vector'] as const) {
        test(`${fn} ${dtype} ${map}`, () => {
          const unary = unaryFns[fn];
          const pairs = unary
            ? values.map(x => [x, 0])
            : specials
                .concat(values.filter((_, i) => i % 41 === 0))
                .flatMap(a => specials.concat([7.25, -3]).map(b => [a, b]));
          const array = arrayOf(dtype);
          const [a, b, out] = [0, 1, 2].map(() => new array(pairs.length) as Float32Array);
          pairs.forEach(([x, y], i) => {
            a[i] = x;
            b[i] = y;
          });
          const buffers = ['a', 'b', 'out'].map(name => param(name, dtype, pairs.length));
          const inputs = unary ? [buffers[0]] : [buffers[0], buffers[1]];
          compileKernel(pointwise(inputs, buffers[2], map, (...args) => call(fn, ...args)))(
            ...(unary ? [a, out] : [a, b, out]),
          );
          let worst = { error: 0, at: '' };
          for (let i = 0; i < pairs.length; i++) {
            const exact = unary ? unary(a[i]) : binaryFns[fn]!(a[i], b[i]);
            const error = dtype === 'float32' && Math.fround(exact) === out[i] ? 0 : ulps(out[i], exact, dtype);
            if (error > worst.error)
              worst = { error, at: `${fn}(${a[i]}${unary ? '' : `, ${b[i]}`}) = ${out[i]}, expected ${exact}` };
          }
          expect(worst.error, worst.at).toBeLessThanOrEqual(tolerance[fn]?.[dtype] ?? 0.5000001);
        });
      }
    }
  }
});

/** Runs a kernel as WASM and by the js backend on the same arrays and compares all of them exactly. */
function expectSame(kernel: Kernel, ...arrays: TypedArray[]): TypedArray[] {
  const [ours, theirs] = [0, 1].map(() => arrays.map(array => array.slice() as TypedArray));
  compileKernel(kernel)(...ours);
  compileJs(kernel)(...theirs);
  for (const [i, { buffer }] of kernel.params.entries()) expect(ours[i], buffer.name).toEqual(theirs[i]);
  return ours;
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

/** Arrays of all sorts of values of a type. */
function sample(dtype: DType, length: number, seed: number): TypedArray {
  const next = random(seed);
  const array = new (arrayOf(dtype))(length);
  for (let i = 0; i < length; i++) {
    const value = next();
    if (dtype === 'int64')
      (array as BigInt64Array)[i] = BigInt(Math.floor((value - 0.5) * (i % 3 === 0 ? 2 ** 62 : 40)));
    else if (dtype === 'float32' || dtype === 'float64') (array as Float32Array)[i] = (value - 0.5) * 8;
    else
      (array as Int32Array)[i] =
        dtype === 'bool' ? Math.round(value) : Math.floor((value - 0.5) * (i % 3 === 0 ? 2 ** 32 : 40));
  }
  return array;
}

const integers = ['bool', 'uint8', 'int8', 'int16', 'int32', 'int64'] as const;
const maps = ['serial', 'vector', 'unroll'] as const;

describe('integers wrap, divide and shift as the js backend does', () => {
  const size = 23;
  for (const dtype of integers) {
    for (const [name, spec] of Object.entries(scalarFns)) {
      const defined = dtype === 'bool' ? ['any', 'bits'] : ['any', 'bits', 'int', 'number'];
      if (!defined.includes(spec.domain) || (name === 'mulHiU' && dtype !== 'int32')) continue;
      test(`${name} ${dtype}`, () => {
        const [a, b] = [sample(dtype, size, 1), sample(dtype, size, 2)];
        const isShift = name.startsWith('sh');
        const divisor = name.endsWith('Div') || name === 'mod' || name === 'rem';
        for (let i = 0; i < size; i++) {
          if (isShift) b[i] = (dtype === 'int64' ? BigInt(i % 7) : i % 7) as never;
          if (divisor && i % 5 === 0) b[i] = (dtype === 'int64' ? 0n : 0) as never;
          if (divisor && i % 5 === 1) b[i] = (dtype === 'int64' ? -1n : -1) as never;
        }
        const result = spec.rule === 'compare' ? 'bool' : dtype;
        const [x, y, out] = [param('a', dtype, size), param('b', dtype, size), param('out', result, size)];
        for (const map of maps) {
          const kernel = pointwise([x, y], out, map, (p, q) =>
            call(name as ScalarFn, ...(spec.arity === 1 ? [p] : [p, q])),
          );
          expectSame(kernel, a, b, new (arrayOf(result))(size));
        }
      });
    }
  }
});

describe('casts', () => {
  const types = [...integers, 'float32', 'float64'] as const;
  for (const from of types) {
    for (const to of types) {
      test(`${from} to ${to}`, () => {
        const size = 23;
        const values = sample(from, size, 3);
        if (from === 'int64') for (let i = 0; i < size; i++) (values as BigInt64Array)[i] %= 2n ** 31n;
        const [x, out] = [param('x', from, size), param('out', to, size)];
        for (const map of maps)
          expectSame(
            pointwise([x], out, map, a => cast(to, a)),
            values,
            new (arrayOf(to))(size),
          );
      });
    }
  }
});

describe('loops and buffers', () => {
  test('a guarded load reads nothing outside, in scalars and vectors', () => {
    const [x, out] = [param('x', 'float32', 10), param('out', 'float32', 15)];
    for (const map of ['serial', 'vector'] as const) {
      const shifted = (i: Expr): Expr => {
        const at = addIndex(i, -3);
        return select(s.and(s.ge(at, 0), s.lt(at, 10)), load(x, at), constant('float32', -1));
      };
      const iter = makeIter('i', 12);
      const [group, lane] = [makeIter('g', 3), makeIter('v', 4)];
      const vector = addIndex(mulIndex(iterOf(group), 4), iterOf(lane));
      const body =
        map === 'serial'
          ? loop(iter, 'serial', [store(out, iterOf(iter), shifted(iterOf(iter)))])
          : loop(group, 'serial', [loop(lane, 'vector', [store(out, vector, shifted(vector))])]);
      const [, result] = expectSame(kernelOf([x], [out], [body]), sample('float32', 10, 5), new Float32Array(15));
      expect(result[0]).toBe(-1);
    }
  });

  test('a loop with a limit runs that often, also 0 times', () => {
    const [count, out] = [param('count', 'int64', 4), param('out', 'int32', 4)];
    const [row, step] = [makeIter('r', 4), makeIter('k', 10)];
    const limit = cast('index', load(count, iterOf(row)));
    const body = loop(row, 'parallel', [
      loop(step, 'serial', [reduce(out, iterOf(row), 'add', constant('int32', 1))], limit),
    ]);
    const [, result] = expectSame(
      kernelOf([count], [out], [body]),
      BigInt64Array.of(0n, 3n, 12n, -2n),
      new Int32Array(4),
    );
    expect([...result]).toEqual([0, 3, 10, 0]);
  });

  test('stores are seen by later loads, whatever is kept in locals', () => {
    const out = param('out', 'float32', 4);
    const i = makeIter('i', 5);
    const first = load(out, index(0));
    const body = [
      store(out, index(1), s.add(first, 1)),
      loop(i, 'serial', [store(out, index(0), s.add(first, load(out, index(1)))), store(out, index(2), first)]),
      store(out, index(3), s.mul(first, first)),
    ];
    expectSame(kernelOf([], [out], body), Float32Array.of(2, 0, 0, 0));
  });

  test('register buffers: in locals, and in vectors where a vector loop indexes them', () => {
    for (const map of ['unroll', 'vector'] as const) {
      const [x, out] = [param('x', 'float32', 32), param('out', 'float32', 1)];
      const acc: Buffer = { name: 'acc', dtype: 'float32', size: 4, scope: 'register' };
      const [k, v, w, u] = [makeIter('k', 8), makeIter('v', 4), makeIter('w', 4), makeIter('u', 4)];
      const body = alloc(acc, [
        loop(w, map, [store(acc, iterOf(w), constant('float32', 0))]),
        loop(k, 'serial', [
          loop(v, map, [reduce(acc, iterOf(v), 'add', load(x, addIndex(mulIndex(iterOf(k), 4), iterOf(v))))]),
        ]),
        loop(u, 'unroll', [reduce(out, index(0), 'add', load(acc, iterOf(u)))]),
      ]);
      const result = new Float32Array(1);
      compileKernel(kernelOf([x], [out], [body]))(
        Float32Array.from({ length: 32 }, (_, i) => i),
        result,
      );
      expect(result[0]).toBe(496);
    }
  });

  test('vector loops over elements that are not next to each other, and into one element', () => {
    const [x, out] = [param('x', 'float32', 40), param('out', 'float32', 40)];
    const [g, l] = [makeIter('g', 3), makeIter('l', 4)];
    const position = addIndex(mulIndex(iterOf(g), 4), iterOf(l));
    for (const stride of [2, 3, -1]) {
      const at = stride > 0 ? mulIndex(position, stride) : s.sub(index(11), position);
      const body = loop(g, 'serial', [
        loop(l, 'vector', [
          store(out, at, load(x, position)),
          reduce(out, s.add(at, index(1)), 'max', load(x, at)),
          reduce(out, index(39), 'max', load(x, at)),
        ]),
      ]);
      expectSame(kernelOf([x], [out], [body]), sample('float32', 40, 9), new Float32Array(40));
    }
  });

  test('branches', () => {
    const [x, out] = [param('x', 'int32', 9), param('out', 'int32', 9)];
    const i = makeIter('i', 9);
    const value = load(x, iterOf(i));
    const body = loop(i, 'serial', [
      ...when(s.lt(value, 0), [store(out, iterOf(i), s.neg(value))], [reduce(out, iterOf(i), 'max', s.mul(value, 3))]),
    ]);
    expectSame(kernelOf([x], [out], [body]), sample('int32', 9, 7), new Int32Array(9));
  });

  test('what one branch has read is read again behind the branches, if the other one wrote', () => {
    const [x, out, seen] = [param('x', 'float32', 1), param('out', 'float32', 1), param('seen', 'float32', 2)];
    const next = s.add(load(out, index(0)), 1);
    const body = [
      ...when(s.gt(load(x, index(0)), 0), [store(out, index(0), load(x, index(0)))], [store(seen, index(0), next)]),
      store(seen, index(1), next),
    ];
    for (const value of [5, -5]) {
      expectSame(
        kernelOf([x], [out, seen], [...body]),
        Float32Array.of(value),
        new Float32Array(1),
        new Float32Array(2),
      );
    }
  });
});

describe('16-bit floats', () => {
  const spellings = {
    float16: { from: fromHalf, to: toHalf },
    bfloat16: { from: fromBfloat, to: toBfloat },
  };
  const run = (kernel: Kernel, ...arrays: TypedArray[]): void =>
    compileKernel(schedule.reduce((ir, pass) => pass.run(ir, { note: () => {} }), kernel))(...arrays);

  for (const [dtype, { from, to }] of Object.entries(spellings) as [DType, typeof spellings.float16][]) {
    for (const map of ['serial', 'parallel'] as const) {
      test(`all values of ${dtype}, ${map}`, () => {
        const count = 2 ** 16;
        const [x, out] = [param('x', dtype, count), param('out', 'float32', count)];
        const values = new Float32Array(count);
        run(
          pointwise([x], out, map, a => cast('float32', a)),
          Uint16Array.from({ length: count }, (_, i) => i),
          values,
        );
        for (let i = 0; i < count; i++)
          if (!Object.is(values[i], from(i))) expect(values[i], `bits ${i}`).toBe(from(i));
      });

      test(`rounding to ${dtype}, ${map}`, () => {
        const values = Float32Array.from(floatsBetween(from));
        const [x, out] = [param('x', 'float32', values.length), param('out', dtype, values.length)];
        const bits = new Uint16Array(values.length);
        run(
          pointwise([x], out, map, a => cast(dtype, a)),
          values,
          bits,
        );
        for (const [i, value] of values.entries())
          if (bits[i] !== to(value)) expect(bits[i], `${value}`).toBe(to(value));
      });

      test(`rounding to ${dtype} on the way, ${map}`, () => {
        const values = Float32Array.from(floatsBetween(from));
        const [x, out] = [param('x', 'float32', values.length), param('out', 'float32', values.length)];
        const rounded = new Float32Array(values.length);
        run(
          pointwise([x], out, map, a => cast('float32', cast(dtype, a))),
          values,
          rounded,
        );
        for (const [i, value] of values.entries())
          if (!Object.is(rounded[i], from(to(value)))) expect(rounded[i], `${value}`).toBe(from(to(value)));
      });
    }

    test(`a product of matrices of ${dtype}, its operands staged for the tile`, () => {
      const [m, k, n] = [17, 40, 24];
      const plain = matmul(m, k, n, { fused: true });
      const half = new Map(plain.params.map(({ buffer }) => [buffer, { ...buffer, dtype }]));
      const wide = (expr: Expr): Expr =>
        mapExpr(expr, part =>
          part.kind === 'load' && half.has(part.buffer)
            ? cast('float32', load(half.get(part.buffer)!, part.index))
            : null,
        );
      const narrow = (stmt: Stmt): Stmt => {
        if (stmt.kind === 'loop' || stmt.kind === 'alloc') return { ...stmt, body: stmt.body.map(narrow) };
        if (stmt.kind !== 'store' && stmt.kind !== 'reduce') return stmt;
        const buffer = half.get(stmt.buffer);
        const value = wide(stmt.value);
        return buffer ? store(buffer, stmt.index, cast(dtype, value)) : { ...stmt, value };
      };
      const kernel: Kernel = {
        ...plain,
        params: plain.params.map(({ buffer, access }) => ({ buffer: half.get(buffer)!, access })),
        body: plain.body.map(narrow),
      };
      const arrays = plain.params.map(({ buffer }, p) =>
        Uint16Array.from({ length: buffer.size }, (_, i) => to(Math.sin(i * 1.7 + p))),
      );
      const [ours, theirs] = [0, 1].map(() => arrays.map(array => array.slice()));
      run(kernel, ...ours);
      compileJs(kernel)(...theirs);
      const step = dtype === 'float16' ? 2 ** -10 : 2 ** -7;
      for (const [i, bits] of theirs.at(-1)!.entries()) {
        const expected = from(bits);
        expect(Math.abs(from(ours.at(-1)![i]) - expected)).toBeLessThanOrEqual(step * Math.abs(expected) + 1e-6);
      }
    });

    test(`sums into ${dtype} in memory`, () => {
      const [x, out] = [param('x', dtype, 8), param('out', dtype, 2)];
      const i = makeIter('i', 8);
      const body = [
        loop(i, 'serial', [reduce(out, s.mod(iterOf(i), index(2)), 'add', load(x, iterOf(i)))]),
        store(out, index(0), cast(dtype, s.exp(cast('float32', load(out, index(0)))))),
      ];
      const kernel = kernelOf([x], [out], body);
      const arrays = [Uint16Array.from({ length: 8 }, (_, k) => to(k / 7 - 0.4)), Uint16Array.of(to(0.25), to(-3))];
      const [ours, theirs] = [0, 1].map(() => arrays.map(array => array.slice()));
      run(kernel, ...ours);
      compileJs(kernel)(...theirs);
      expect(ours).toEqual(theirs);
    });
  }
});

/** Every value that 16 bits hold, what lies halfway to its neighbours, and the float32 on either side of each. */
function* floatsBetween(from: (bits: number) => number): Iterable<number> {
  const word = new DataView(new ArrayBuffer(4));
  const beside = (x: number, step: number): number => {
    word.setFloat32(0, x);
    word.setInt32(0, word.getInt32(0) + step);
    return word.getFloat32(0);
  };
  yield* grid();
  for (let bits = 0; bits < 2 ** 16; bits++) {
    const value = from(bits);
    const halfway = (value + from((bits + 1) & 0xffff)) / 2;
    for (const x of [value, halfway]) for (const step of [-1, 0, 1]) yield beside(x, step);
  }
}
