/** Loops and branches: `scan`, `cond`, `whileLoop`, eager against compiled. */
import { expect, test } from 'vitest';
import { parseGraph, printGraph } from '../compiler/ir/text.js';
import { verifyGraph } from '../compiler/ir/verify.js';
import { trace } from '../compiler/jit.js';
import { opDef } from '../compiler/ops/define.js';
import * as g from '../runtime/index.js';

test('a scan is one node', () => {
  const w = g.randn(4, 4).requiresGrad_();
  const graph = trace(
    (xs, h) => {
      const [last, ys] = g.scan(
        (c: g.Tensor, x: g.Tensor) => {
          const n = c.matmul(w).add(x).tanh();
          return [n, n];
        },
        h,
        xs,
      );
      const loss = ys.sum().add(last.sum());
      loss.backward();
      const gr = w.grad!;
      w.grad = null;
      return gr;
    },
    [g.input([8, 2, 4]), g.input([2, 4])],
  );
  console.log(printGraph(graph));
  verifyGraph(graph, (op, inputs, attrs) => opDef(op).infer(inputs, attrs));
  expect(printGraph(parseGraph(printGraph(graph)))).toBe(printGraph(graph));
});
