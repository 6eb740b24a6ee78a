/** `cond`: one of two functions, chosen by a tensor. */
import { fail } from '../../errors.js';
import { formatType } from '../../ir/graph.js';
import type { Tensor } from '../../ops/tensor.js';
import { checkSame, contentsNow, currentTrace, joinBodies, traceBody, writeBack } from './body.js';
import { callControl, holds } from './call.js';
import { type Flat, flatten, type Tree } from './tree.js';

/**
 * `trueFn(...operands)` where `pred` holds, else `falseFn(...operands)`. `pred` is a bool[] (0-d); both functions return
 * trees of one form with the same shapes and dtypes. Compiled, only the side that is chosen runs; its gradient is a branch,
 * too, in which that side runs once more. Where both sides are cheap, `where` on their results is faster. Throws E107 where
 * the sides differ, E108 for a `pred` that is no bool[].
 */
export function cond<A extends readonly Tree[], R extends Tree>(
  pred: Tensor,
  trueFn: (...operands: A) => R,
  falseFn: (...operands: A) => R,
  ...operands: A
): R {
  checkCondition('cond', 'the predicate', pred);
  const trace = currentTrace();
  if (trace === null) return holds(pred) ? trueFn(...operands) : falseFn(...operands);
  const given = flatten('cond', 'operands', operands);
  const args = given.tensors.map(({ type }, i) => ({ name: `operand.${i}`, type, role: 'input' as const }));
  const made: Flat<R>[] = [];
  const sides = [trueFn, falseFn].map(side =>
    traceBody('cond', trace, args, inputs => {
      const result = flatten('cond', 'the result', side(...given.rebuild(inputs)));
      made.push(result);
      return result.tensors;
    }),
  );
  const [yes, no] = made;
  checkSame(
    'cond',
    'falseFn returns',
    no,
    yes,
    'both sides return the same form, shapes and dtypes, here that of trueFn',
  );
  const { captures, changed, graphs } = joinBodies(sides, ['result', 'result']);
  const inputs = [pred, ...captures, ...changed.map(contentsNow), ...given.tensors];
  const values = callControl({ op: 'cond', attrs: {}, bodies: graphs }, inputs);
  const own = yes.tensors.length;
  writeBack(changed, values.slice(own));
  return yes.rebuild(values.slice(0, own));
}

/** Throws E108 for what is no single truth value. */
export function checkCondition(op: string, what: string, pred: Tensor): void {
  if (pred.dtype === 'bool' && pred.ndim === 0) return;
  fail('E108', {
    op,
    problem: `${what} must be bool[], but is ${formatType(pred.type)}`,
    hint: 'compare and reduce: x.sum().gt(0), mask.any()',
  });
}
