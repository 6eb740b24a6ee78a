/**
 * Rows in the WASM schedule: what several loops over a row share is computed once, nothing else is, and kernels of random
 * rows compute what the js backend computes from their plain form.
 */
import { describe, expect, test } from 'vitest';
import { compileKernel as compileJs } from '../backends/js/emit.js';
import { compileKernel } from '../backends/wasm/compile.js';
import { keepRows } from '../backends/wasm/keep-rows.js';
import { schedule } from '../backends/wasm/schedule.js';
import { arith as s } from '../compiler/ir/arith.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  constant,
  type Expr,
  expressionsOf,
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
  walkExpr,
  walkStmts,
} from '../compiler/ir/kernel.js';
import type { ReduceFn, ScalarFn } from '../compiler/ir/scalar.js';
import { printKernel } from '../compiler/ir/text.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import { shareMemory } from '../compiler/passes/in-place.js';
import { kernelOf, param, register, softmax } from './support/plain-kernels.js';

const context = { note: () => {} };
const kept = (kernel: Kernel): Kernel => keepRows.run(kernel, context);

/** How many calls of a function a kernel holds; each place counts once, however many expressions share it. */
function callsOf(kernel: Kernel, fn: ScalarFn): number {
  let count = 0;
  walkStmts(kernel.body, stmt => {
    for (const root of expressionsOf(stmt))
      walkExpr(root, expr => {
        count += expr.kind === 'call' && expr.fn === fn ? 1 : 0;
      });
  });
  return count;
}

/** A number of loops over one row, each given its place in the row; all within one iteration. */
function rowKernel(columns: number, buffers: readonly Buffer[], steps: readonly ((at: Expr) => Stmt)[]): Kernel {
  const row = makeIter('o', 3);
  const loops = steps.map((step, i) => {
    const c = makeIter(`c${i}`, columns);
    const stmt = step(addIndex(mulIndex(iterOf(row), columns), iterOf(c)));
    return loop(c, stmt.kind === 'reduce' ? 'serial' : 'parallel', [stmt]);
  });
  const body = [loop(row, 'parallel', [alloc(sum, [store(sum, index(0), constant('float32', 0)), ...loops])])];
  return kernelOf('rows', [], buffers, body);
}
const sum = register('sum');
const [x, y] = ['x', 'y'].map(name => param(name, 3 * 37));

describe('what is kept', () => {
  test('the exponentials of softmax are computed once', () => {
    const kernel = softmax(5, 64);
    expect(callsOf(kernel, 'exp')).toBe(2);
    expect(callsOf(kept(kernel), 'exp')).toBe(1);
    expect(printKernel(kept(kernel))).toContain('kept: float32[64] local');
  });

  test('the exponentials of a row that its softmax replaces, too', () => {
    const apart = softmax(5, 64);
    const [{ buffer: input }, { buffer: output }] = apart.params;
    const kernel = shareMemory(apart, input, output);
    expect(callsOf(kept(kernel), 'exp')).toBe(1);
    const values = Float32Array.from({ length: 5 * 64 }, (_, i) => Math.sin(i * 1.7));
    const [actual, expected] = [values.slice(), new Float32Array(values.length)];
    compileKernel(schedule.reduce((ir, pass) => pass.run(ir, context), kernel))(actual);
    compileJs(apart)(values, expected);
    for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i], 6);
  });

  test('of a chain, each link that a loop needs by itself', () => {
    const inner = (at: Expr): Expr => s.tanh(load(x, at));
    const outer = (at: Expr): Expr => s.exp(s.mul(inner(at), 2));
    const kernel = rowKernel(
      37,
      [x, y],
      [
        at => reduce(sum, index(0), 'add', inner(at)),
        at => reduce(sum, index(0), 'add', outer(at)),
        at => store(y, at, s.add(outer(at), load(sum, index(0)))),
      ],
    );
    expect([callsOf(kept(kernel), 'tanh'), callsOf(kept(kernel), 'exp')]).toEqual([1, 1]);
    expectSame(kernel);
  });

  test('nothing that only products and sums make', () => {
    const square = (at: Expr): Expr => s.square(s.add(load(x, at), 1));
    const kernel = rowKernel(
      37,
      [x, y],
      [at => reduce(sum, index(0), 'add', square(at)), at => store(y, at, s.mul(square(at), load(sum, index(0))))],
    );
    expect(kept(kernel)).toBe(kernel);
  });

  test('nothing whose operands are written in between', () => {
    const kernel = rowKernel(
      37,
      [x, y],
      [
        at => reduce(sum, index(0), 'add', s.exp(load(x, at))),
        at => store(x, at, s.mul(load(x, at), 0.5)),
        at => store(y, at, s.mul(s.exp(load(x, at)), load(sum, index(0)))),
      ],
    );
    expect(kept(kernel)).toBe(kernel);
    expectSame(kernel);
  });

  test('nothing that depends on a sum while it grows', () => {
    const growing = (at: Expr): Expr => s.tanh(s.add(load(x, at), load(sum, index(0))));
    const kernel = rowKernel(
      37,
      [x, y],
      [at => reduce(sum, index(0), 'add', growing(at)), at => store(y, at, growing(at))],
    );
    expect(kept(kernel)).toBe(kernel);
    expectSame(kernel);
  });

  test('nothing that only a condition makes legal to read, but the whole that holds the condition', () => {
    const before = (at: Expr): Expr => {
      const previous = s.exp(load(x, addIndex(at, -1)));
      return select(s.ge(at, 1), previous, constant('float32', 0));
    };
    const steps = (f: (at: Expr) => Expr) => [
      (at: Expr) => reduce(sum, index(0), 'add', f(at)),
      (at: Expr) => store(y, at, s.mul(f(at), load(sum, index(0)))),
    ];
    const kernel = rowKernel(37, [x, y], steps(before));
    expect(callsOf(kept(kernel), 'exp')).toBe(1);
    expectSame(kernel);
    const differing = rowKernel(37, [x, y], [steps(before)[0], at => store(y, at, s.neg(selectNext(at)))]);
    expect(kept(differing)).toBe(differing);
    expectSame(differing);
  });

  test('what a condition guards at first is kept from where it is computed in any case', () => {
    const gathered = (at: Expr): Expr => s.exp(load(x, s.cast('index', s.mul(s.abs(load(x, at)), 30))));
    const kernel = rowKernel(
      37,
      [x, y],
      [
        at => reduce(sum, index(0), 'max', select(s.ge(at, 5), gathered(at), constant('float32', 0))),
        at => reduce(sum, index(0), 'add', gathered(at)),
        at => store(y, at, s.sub(load(sum, index(0)), gathered(at))),
      ],
    );
    expect(callsOf(kept(kernel), 'exp')).toBe(2);
    expectSame(kernel);
  });
});

/** Holds what `before` guards, under another condition. */
function selectNext(at: Expr): Expr {
  return select(s.ge(at, 2), s.exp(load(x, addIndex(at, -1))), constant('float32', 1));
}

// ── random rows ─────────────────────────────────────────────────────────────────────────────────────────────────────

function expectSame(kernel: Kernel): void {
  const scheduled = schedule.reduce((ir, pass) => {
    const out = pass.run(ir, context);
    verifyKernel(out);
    return out;
  }, kernel);
  const [ours, theirs] = [0, 1].map(() =>
    kernel.params.map(({ buffer }, n) => Float32Array.from({ length: buffer.size }, (_, i) => Math.sin(i * 1.7 + n))),
  );
  compileKernel(scheduled)(...ours);
  compileJs(kernel)(...theirs);
  for (const [n, { buffer }] of kernel.params.entries()) {
    let worst = 0;
    for (const [i, value] of theirs[n].entries()) {
      const error = Math.abs(ours[n][i] - value) / (1 + Math.abs(value));
      worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
    }
    expect(worst, `${buffer.name} of\n${printKernel(kernel)}\n${printKernel(scheduled)}`).toBeLessThan(2e-5);
  }
}

type Below = (bound: number) => number;
type Element = (row: readonly Expr[]) => Expr;

/**
 * Loops over rows of one or two dims, in memory one after the other or side by side; each reduces an expression or
 * writes one, made of those before it.
 */
function randomRows(below: Below): Kernel {
  const pick = <T>(items: readonly T[]): T => items[below(items.length)];
  const extents = pick([[1 + below(70)], [1 + below(6), 1 + below(12)]]);
  const columns = extents.reduce((a, b) => a * b);
  const rows = 1 + below(9);
  const outer = makeIter('o', rows);
  const sideBySide = below(2) === 1;
  const place = (row: readonly Expr[]): Expr => {
    const inner = row.reduce<Expr>((at, i, d) => addIndex(mulIndex(at, extents[d]), i), index(0));
    return sideBySide
      ? addIndex(mulIndex(inner, rows), iterOf(outer))
      : addIndex(mulIndex(iterOf(outer), columns), inner);
  };
  const [a, b, out, between] = ['a', 'b', 'out', 'between'].map(name => param(name, rows * columns));
  const pool: Element[] = [a, b, between].map(buffer => row => load(buffer, place(row)));
  pool.push(row => select(s.ge(row[0], 1), pool[0](row.with(0, s.sub(row[0], 1))), constant('float32', 0.5)));
  const grow = (): void => {
    const [f, g] = [pick(pool), pick(pool)];
    const bounded: Element = row => s.max(s.min(f(row), 2), -2);
    const fn = pick(['exp', 'tanh', 'erf', 'sin', 'log1p'] as const);
    pool.push(
      pick<Element>([
        row => s.mul(call(fn, fn === 'log1p' ? s.abs(bounded(row)) : bounded(row)), 0.5),
        row => s.mul(s.add(f(row), g(row)), 0.5),
        row => s.mul(s.max(s.min(f(row), 1), -1), g(row)),
      ]),
    );
  };
  const stepOf = (i: number): { acc: Buffer | null; stmts: Stmt[] } => {
    for (let n = 0; n < 3; n++) grow();
    const value = pool[pool.length - 1 - below(4)];
    const iters = extents.map((extent, d) => makeIter(`c${i}${d}`, extent));
    const row = iters.map(iterOf);
    const over = (map: 'serial' | 'parallel', stmt: Stmt): Stmt[] =>
      iters.reduceRight<Stmt[]>((inner, iter) => (iter.extent === 1 ? inner : [loop(iter, map, inner)]), [stmt]);
    if (below(3) === 0)
      return { acc: null, stmts: over('parallel', store(pick([out, between]), place(row), value(row))) };
    const acc = register(`acc${i}`);
    const fn: ReduceFn = pick(['add', 'max', 'min']);
    const scaled = fn === 'add' ? s.mul(value(row), 1 / columns) : value(row);
    pool.push(() => load(acc, index(0)));
    return {
      acc,
      stmts: [store(acc, index(0), constant('float32', -1)), ...over('serial', reduce(acc, index(0), fn, scaled))],
    };
  };
  const steps = Array.from({ length: 2 + below(4) }, (_, i) => stepOf(i));
  const iters = extents.map((extent, d) => makeIter(`z${d}`, extent));
  const last = iters.reduceRight<Stmt[]>(
    (inner, iter) => (iter.extent === 1 ? inner : [loop(iter, 'parallel', inner)]),
    [store(out, place(iters.map(iterOf)), pool[pool.length - 1](iters.map(iterOf)))],
  );
  const body = steps.reduceRight<Stmt[]>((rest, { acc, stmts }) => {
    const all = stmts.concat(rest);
    return acc === null ? all : [alloc(acc, all)];
  }, last);
  return kernelOf('rows', [a, b], [out, between], rows === 1 ? body : [loop(outer, 'parallel', body)]);
}

test('a hundred and fifty kernels of random rows', () => {
  let state = 77;
  const below: Below = bound => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  let changed = 0;
  for (let i = 0; i < 150; i++) {
    const kernel = randomRows(below);
    verifyKernel(kernel);
    expectSame(kernel);
    if (kept(kernel) !== kernel) changed++;
  }
  expect(changed).toBeGreaterThan(25);
});
