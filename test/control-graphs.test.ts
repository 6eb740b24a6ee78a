/**
 * Loops and branches as graphs: passes over them, their text, what is legal; and what a user is told who writes them wrongly.
 */
import { describe, expect, test } from 'vitest';
import { isControl } from '../compiler/ir/control.js';
import { type Graph, roots, topological } from '../compiler/ir/graph.js';
import { parseGraph, printGraph } from '../compiler/ir/text.js';
import { graphProblems } from '../compiler/ir/verify.js';
import { compile } from '../compiler/jit.js';
import type { Pass } from '../compiler/pass.js';
import { deferSums } from '../compiler/passes/defer-sums.js';
import { trimControl } from '../compiler/passes/trim-control.js';
import * as g from '../runtime/index.js';
import { infer } from './support/graphs.js';
import { type Fn, randn } from './support/loops.js';

const { scan } = g;

describe('passes', () => {
  const passed = (pass: Pass<Graph>, text: string): string => {
    const graph = pass.run(parseGraph(text), { note: () => {} });
    expect(graphProblems(graph, infer)).toEqual([]);
    return printGraph(graph);
  };

  test('a loop loses what nobody takes, and computes before itself what does not change', () => {
    const before = `graph run(%w: float32[3] input, %xs: float32[4, 3] input, %h: float32[3] input) {
  %0 = scan(%w, %w, %h, %h, %xs, %xs) {captures: 2, carries: 2, length: 4, reverse: false} with {
    graph step(
      %w: float32[3] input,
      %v: float32[3] input,
      %h: float32[3] state,
      %dead: float32[3] state,
      %x: float32[3] input,
      %z: float32[3] input,
    ) {
      %0 = exp(%w) : float32[3]
      %1 = mul(%h, %0) : float32[3]
      %2 = mul(%x, %v) : float32[3]
      %3 = add(%1, %2) {alpha: 1} : float32[3]
      %4 = mul(%dead, %z) : float32[3]
      return unused = %4
      update %h = %3
      update %dead = %4
    }
  } : bool[0]
  %1 = result(%0) {index: 0, dtype: "float32", shape: [3]} : float32[3]
  return last = %1
}
`;
    expect(
      passed(trimControl, before),
    ).toBe(`graph run(%w: float32[3] input, %xs: float32[4, 3] input, %h: float32[3] input) {
  %0 = exp(%w) : float32[3]
  %1 = scan(%w, %0, %h, %xs) {captures: 2, carries: 1, length: 4, reverse: false} with {
    graph step(%w: float32[3] input, %before.1: float32[3] input, %h: float32[3] state, %x: float32[3] input) {
      %0 = mul(%h, %before.1) : float32[3]
      %1 = mul(%x, %w) : float32[3]
      %2 = add(%0, %1) {alpha: 1} : float32[3]
      update %h = %2
    }
  } : bool[0]
  %2 = result(%1) {index: 0, dtype: "float32", shape: [3]} : float32[3]
  return last = %2
}
`);
  });

  test('what moves out later has another name than what has moved before', () => {
    const again = `graph run(%w: float32[3] input, %v: float32[3] input, %xs: float32[4, 3] input) {
  %0 = scan(%w, %v, %xs) {captures: 2, carries: 0, length: 4, reverse: false} with {
    graph step(%w: float32[3] input, %before.2: float32[3] input, %x: float32[3] input) {
      %0 = exp(%w) : float32[3]
      %1 = mul(%x, %0) : float32[3]
      %2 = mul(%1, %before.2) : float32[3]
      return out.0 = %2
    }
  } : bool[0]
  %1 = result(%0) {index: 0, dtype: "float32", shape: [4, 3]} : float32[4, 3]
  return all = %1
}
`;
    expect(passed(trimControl, again)).toContain('step(%before.2: float32[3] input, %before.3: float32[3] input, %x');
  });

  test('products that a loop adds up are one product after it', () => {
    const before = `graph run(%xs: float32[4, 2, 3] input, %gs: float32[4, 2, 5] input) {
  %0 = full() {size: [3, 5], value: 0, dtype: "float32"} : float32[3, 5]
  %1 = scan(%0, %xs, %gs) {captures: 0, carries: 1, length: 4, reverse: true} with {
    graph step(%sum: float32[3, 5] state, %x: float32[2, 3] input, %g: float32[2, 5] input) {
      %0 = permute(%x) {dims: [1, 0]} : float32[3, 2]
      %1 = sin(%g) : float32[2, 5]
      %2 = batchedMatmul(%0, %1) : float32[3, 5]
      %3 = add(%sum, %2) {alpha: 1} : float32[3, 5]
      return sine = %1
      update %sum = %3
    }
  } : bool[0]
  %2 = result(%1) {index: 0, dtype: "float32", shape: [3, 5]} : float32[3, 5]
  %3 = result(%1) {index: 1, dtype: "float32", shape: [4, 2, 5]} : float32[4, 2, 5]
  return total = %2
  return sines = %3
}
`;
    const text = passed(deferSums, before);
    expect(text).toContain('carries: 0');
    expect(text).toMatch(/reshape\(%xs\) \{shape: \[8, 3\]\}/);
    expect(text).toMatch(/batchedMatmul\(%\d+, %\d+\) : float32\[3, 5\]\n {2}return|return total/);
    expect(text.indexOf('batchedMatmul')).toBeGreaterThan(text.indexOf('bool[0]'));
  });

  test('so the gradient of a weight that all steps share', () => {
    const w = randn(4, 4).requiresGrad_();
    const { compilation } = compile(
      (xs: g.Tensor, h: g.Tensor) => {
        const [last] = scan((c: g.Tensor, x: g.Tensor) => [c.matmul(w).add(x).tanh(), null], h, xs);
        const [grad] = g.autograd.grad(last.sum(), [w]);
        return grad as g.Tensor;
      },
      [g.input([6, 2, 4]), g.input([2, 4])],
    );
    const loops = topological(roots(compilation.graphs[0])).filter(isControl);
    expect(loops.map(({ attrs }) => [attrs.reverse, attrs.carries])).toEqual([
      [false, 1],
      [true, 1],
    ]);
  });
});

describe('as text', () => {
  const text = `graph run(%w: float32[3] input, %xs: float32[4, 3] input, %h: float32[3] input) {
  %0 = scan(%w, %h, %xs) {captures: 1, carries: 1, length: 4, reverse: false} with {
    graph step(%w: float32[3] input, %h: float32[3] state, %x: float32[3] input) {
      %0 = mul(%h, %w) : float32[3]
      %1 = add(%0, %x) : float32[3]
      %2 = sin(%1) : float32[3]
      return y = %2
      update %h = %1
    }
  } : bool[0]
  %1 = result(%0) {index: 0, dtype: "float32", shape: [3]} : float32[3]
  %2 = result(%0) {index: 1, dtype: "float32", shape: [4, 3]} : float32[4, 3]
  return last = %1
  return ys = %2
}
`;
  const problemsOf = (from: string, to: string): string => {
    expect(text).toContain(from);
    return graphProblems(parseGraph(text.replace(from, to)), infer).join('\n');
  };

  test('reads back what it prints', () => {
    expect(printGraph(parseGraph(text))).toBe(text);
    expect(graphProblems(parseGraph(text), infer)).toEqual([]);
  });
  test.each([
    [
      'graph step(%w: float32[3] input',
      'graph step(%w: float32[4] input',
      /needs a float32\[4\], but input 0 is float32\[3\]/,
    ],
    ['%x: float32[3] input', '%x: float32[5] input', /'x' needs a float32\[4, 5\]/],
    ['%h: float32[3] state', '%h: float32[3] input', /'h' is an input of the body[\s\S]*updated but is an input/],
    ['length: 4', 'length: 5', /'x' needs a float32\[5, 3\]/],
    ['scan(%w, %h, %xs)', 'scan(%w, %xs)', /scan has 2 inputs, but its body step has 3 parameters/],
    ['{index: 1, dtype', '{index: 2, dtype', /result 2 of a scan that has 2/],
    ['shape: [3]} : float32[3]', 'shape: [7]} : float32[7]', /result 0 of scan is float32\[3\], not float32\[7\]/],
    ['update %h = %1', 'update %h = %1\n      update %w = %1', /w is updated but is an input/],
    ['scan(%w, %h, %xs)', 'while(%w, %h, %xs)', /while has 1 bodies, not 2/],
  ])('%s -> %s is not legal', (from, to, problem) => {
    expect(problemsOf(from, to)).toMatch(problem);
  });
});

describe('mistakes', () => {
  const step = (c: g.Tensor, x: g.Tensor): readonly [g.Tensor, null] => [c.add(x), null];
  const eagerly = (fn: Fn, ...inputs: g.Tensor[]): unknown => fn(...inputs);
  const compiled = (fn: Fn, ...inputs: g.Tensor[]): unknown =>
    compile(
      fn,
      inputs.map(({ shape, dtype }) => g.input(shape, dtype)),
    );

  describe.each([
    ['eagerly', eagerly],
    ['compiled', compiled],
  ] as const)('%s', (_, run) => {
    const refuses = (fn: Fn, inputs: g.Tensor[], message: RegExp): void => {
      expect(() => run(fn, ...inputs)).toThrow(message);
      // told with the user's line
      expect(() => run(fn, ...inputs)).toThrow(/at test\/control-graphs\.test\.ts:\d+:\d+/);
    };
    test('a carry that changes its shape', () =>
      refuses(
        (xs, h) => [scan(step, h, xs)[0]],
        [randn(4, 2, 3), randn(3)],
        /E107: scan: the carry that the function returns: float32\[2, 3\] instead of float32\[3\]/,
      ));
    test('a carry that changes its dtype', () =>
      refuses(xs => [scan(step, g.tensor(0), xs)[0]], [randn(4)], /float32\[\] instead of int64\[\]/));
    test('a carry that changes its form', () =>
      refuses(
        (xs, h) => [
          scan((c: readonly g.Tensor[], x: g.Tensor) => [[...c, x], null], [h] as readonly g.Tensor[], xs)[0][0],
        ],
        [randn(4), g.ones(1)],
        /\[float32\[1\], float32\[\]\] instead of \[float32\[1\]\]/,
      ));
    test('a step that returns no pair', () =>
      refuses(
        (xs, h) => [scan((c: g.Tensor) => c as never, h, xs)[0]],
        [randn(4), randn(1)],
        /must return \[carry, y\]/,
      ));
    test('lengths that differ, or are missing', () => {
      const two = ([a, b]: readonly g.Tensor[]) => scan((c: g.Tensor) => [c, null], g.ones(1), [a, b] as const);
      refuses((a, b) => [two([a, b])[0]], [randn(4), randn(5)], /number of steps is not clear: 4, 5/);
      refuses(h => [scan((c: g.Tensor) => [c, null], h, null)[0]], [randn(1)], /xs holds no tensor/);
    });
    test('what is no tree', () =>
      refuses(
        (xs, h) => [scan((c: g.Tensor) => [c, { a: 3 } as never], h, xs)[0]],
        [randn(4), randn(1)],
        /E110: scan: y\.a must be a Tensor, but is a number/,
      ));
    test('a predicate that is no bool', () =>
      refuses(
        x => [
          g.cond(
            x,
            () => x,
            () => x,
          ),
        ],
        [randn()],
        /E108: cond: the predicate must be bool\[\], but is float32\[\]/,
      ));
    test('a loop whose carry changes', () =>
      refuses(
        x => [
          g.whileLoop(
            (c: g.Tensor) => c.sum().lt(3),
            c => c.unsqueeze(0),
            x,
          ),
        ],
        [g.zeros(2)],
        /E107: whileLoop: bodyFn returns: float32\[1, 2\] instead of float32\[2\]/,
      ));
  });

  test('sides of a cond that differ', () => {
    const fn: Fn = x => [
      g.cond(
        x.sum().gt(0),
        () => x.sum(),
        () => x,
      ),
    ];
    expect(() => compiled(fn, randn(3))).toThrow(/E107: cond: falseFn returns: float32\[3\] instead of float32\[\]/);
  });
  test('a body that changes its argument in place', () => {
    const fn: Fn = (xs, h) => [scan((c: g.Tensor, x: g.Tensor) => [c.add_(x), null], h, xs)[0]];
    expect(() => compiled(fn, g.tensor([1, 2, 3]), g.tensor(0))).toThrow(
      /E304: the body of a scan changes its argument 'carry\.0'[\s\S]*at test\/control-graphs\.test\.ts/,
    );
    // a float may need a gradient
    expect(() => compiled(fn, randn(4), randn(1))).toThrow(/E205[\s\S]*at test\/control-graphs\.test\.ts/);
  });
  test('a body that changes memory which it also sees otherwise', () => {
    const buffer = g.zeros(3);
    const part = buffer.slice(0, 0, 2);
    const fn: Fn = (xs, h) => [
      scan(
        (c: g.Tensor, x: g.Tensor) => {
          buffer.add_(x);
          return [c.add(part.sum()), null];
        },
        h,
        xs,
      )[0],
    ];
    expect(() => compiled(fn, randn(4), randn(1))).toThrow(/E304[\s\S]*also sees through another tensor/);
  });
  test('a condition that changes something', () => {
    const counter = g.zeros(1);
    const fn: Fn = x => [
      g.whileLoop(
        (c: g.Tensor) => counter.add_(1).sum().lt(c.sum()),
        c => c.mul(0.5),
        x,
      ),
    ];
    expect(() => compiled(fn, randn(1))).toThrow(/E304: the condition of a whileLoop changes/);
  });
  test('a tensor that left a body', () => {
    const fn: Fn = (xs, h) => {
      let leaked = h;
      scan(
        (c: g.Tensor, x: g.Tensor) => {
          leaked = c.add(x);
          return [c, null];
        },
        h,
        xs,
      );
      return [leaked.mul(2)];
    };
    expect(() => compiled(fn, randn(4), randn(1))).toThrow(/E302/);
  });
});
