/**
 * What no gradient arrives at has none in a loop or branch, either, rather than zeros that an infinite derivative would make NaN:
 * eager against compiled.
 */
import { describe, expect, test } from 'vitest';
import { controlOf, isControl, mainBody } from '../compiler/ir/control.js';
import { paramRole, roots, topological } from '../compiler/ir/graph.js';
import { compile } from '../compiler/jit.js';
import * as g from '../runtime/index.js';
import { expectSame, type Fn, gradients } from './support/loops.js';

const { cond, scan } = g;

describe('what only the other side uses has no gradient, whatever its derivative', () => {
  /** The derivatives of sqrt at 0 are infinite, and 0 · Infinity is NaN. */
  const given = (sign: number, first = 0): g.Tensor[] =>
    [sign, [first, 4], [1, 2]].map(values => g.tensor(values, { dtype: 'float32' }));
  const one = (a: g.Tensor): g.Tensor => a.mul(2);
  const programs: Record<string, Fn> = {
    'one operand for each side': (s, x, y) => [
      cond(
        s.gt(0),
        (p: g.Tensor, _: g.Tensor) => one(p),
        (_: g.Tensor, q: g.Tensor) => one(q),
        x.sqrt(),
        y,
      ),
    ],
    'also used elsewhere': (s, x, y) => [
      cond(
        s.gt(0),
        () => one(x.sqrt().sqrt()),
        () => one(y),
      ),
      x.mul(y),
    ],
    'of two branches': (s, x, y) => {
      const root = x.sqrt();
      const choose = (condition: g.Tensor): g.Tensor =>
        cond(
          condition,
          () => one(root),
          () => one(y),
        );
      return [choose(s.gt(0)), choose(s.gt(1)), x.mul(y)];
    },
    'of a branch in a branch': (s, x, y) => {
      const root = x.sqrt();
      const inner = (): g.Tensor =>
        cond(
          s.gt(0),
          () => one(root),
          () => one(y),
        );
      return [cond(s.lt(5), inner, () => y.mul(y))];
    },
    'of a branch in a loop': (s, xs, y) => [
      scan(
        (c: g.Tensor, x: g.Tensor) => {
          const root = x.sqrt();
          const next = cond(
            s.gt(0),
            () => root.mul(c),
            () => c.mul(x),
          );
          return [next, next];
        },
        y.sum(),
        xs,
      )[1],
    ],
  };

  test.each(Object.entries(programs))('%s', (_, fn) => {
    expectSame(gradients(fn), given(-1));
    expectSame(gradients(gradients(fn)), given(-1));
    expectSame(gradients(fn), given(1, 1), 1e-5);
    expectSame(gradients(gradients(fn)), given(1, 1), 1e-5);
  });
});

describe('a carry has no gradient before it is read, whatever its derivative', () => {
  /** The derivatives of sqrt at 0 are infinite, and 0 · Infinity is NaN. */
  const given = (first: number): g.Tensor[] =>
    [
      [first, 4],
      [1, 2],
      [
        [1, 3],
        [2, 1],
        [1, 2],
        [3, 1],
      ],
    ].map(values => g.tensor(values, { dtype: 'float32' }));
  const root = (x: g.Tensor): g.Tensor => x.sqrt().mul(2);
  type Pair = readonly [g.Tensor, g.Tensor];
  const programs: Record<string, Fn> = {
    'never read': (x, y, xs) => [scan(([p]: Pair, s: g.Tensor) => [[p.mul(s), root(x)] as const, p], [y, y], xs)[0][0]],
    'written behind another': (x, y, xs) => [
      scan(([_p, q]: Pair, s: g.Tensor) => [[q.mul(s), root(x).mul(s)] as const, s], [y, y], xs.slice(0, 0, 1))[0][0],
    ],
    'handed on for three steps': (x, y, xs) => {
      const step = ([_p, q, r, d]: readonly g.Tensor[], s: g.Tensor) => [[q, r, d, root(x).mul(s)], s] as const;
      const [[first, second], ys] = scan(step, [y, y, y, y], xs.slice(0, 0, 2));
      return [first, second.mul(x), ys];
    },
    'of a slice and a first value': (x, y, xs) => {
      const roots = xs.sub(1).sqrt();
      const step = ([_p, q]: Pair, r: g.Tensor) => [[q.mul(y), r.mul(q).add(x)] as const, null] as const;
      return [scan(step, [x.sqrt(), y], roots.slice(0, 0, 1))[0][0]];
    },
    'read on a condition': (x, y, xs) => [
      scan(
        ([p, q]: Pair, s: g.Tensor) => [
          [
            cond(
              x.sum().gt(4.5),
              () => p.mul(q),
              () => p.mul(s),
            ),
            root(x),
          ] as const,
          null,
        ],
        [y, y],
        xs,
      )[0][0],
    ],
  };

  test.each(Object.entries(programs))('%s', (_, fn) => {
    expectSame(gradients(fn), given(0));
    expectSame(gradients(gradients(fn)), given(0));
    expectSame(gradients(fn), given(1), 1e-5);
    expectSame(gradients(gradients(fn)), given(1), 1e-5);
  });

  test('values of a loop and of a branch, some with a gradient that comes on a condition', () => {
    const chosen = (condition: g.Tensor, a: g.Tensor, b: g.Tensor): g.Tensor =>
      cond(
        condition,
        () => a.mul(2),
        () => b.mul(3),
      );
    const loop: Fn = (x, y, xs) => {
      const [last, roots] = scan((c: g.Tensor, s: g.Tensor) => [c.mul(s), root(x).mul(s)], y, xs);
      return [last, chosen(x.sum().gt(4.5), roots, xs)];
    };
    const branch: Fn = (x, y) => {
      const sides = (): readonly [g.Tensor, g.Tensor] => [root(x), y.mul(x)] as const;
      const [first, second] = cond(y.sum().gt(0), sides, sides);
      return [chosen(x.sum().gt(4.5), first, y), second];
    };
    for (const fn of [loop, branch]) {
      for (const first of [0, 1]) {
        expectSame(gradients(fn), given(first), 1e-5);
        expectSame(gradients(gradients(fn)), given(first), 1e-4);
      }
    }
  });

  test('loops that always read their carries carry nothing for that', () => {
    const lstm = new g.nn.LSTM(3, 4);
    const step = (x: g.Tensor): g.Tensor => {
      const loss = lstm.forward(x)[1][0].sum();
      loss.backward();
      return loss;
    };
    const { compilation } = compile(step, [g.input([6, 2, 3])]);
    const loops = topological(roots(compilation.graphs[0])).filter(isControl);
    const carried = loops.flatMap(loop =>
      mainBody(controlOf(loop)).params.filter(param => paramRole(param) === 'state'),
    );
    expect(carried.length).toBeGreaterThan(3);
    expect(carried.filter(({ type }) => type.dtype === 'bool')).toEqual([]);
  });
});
