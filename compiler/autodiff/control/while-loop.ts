/** `whileLoop`: a loop whose number of steps depends on what it computes. */
import type { Tensor } from '../../ops/tensor.js';
import { checkSame, contentsNow, currentTrace, joinBodies, traceBody, writeBack } from './body.js';
import { callControl, forbidBackwards, holds } from './call.js';
import { checkCondition } from './cond.js';
import { type Flat, flatten, type Tree } from './tree.js';

/**
 * A loop that goes on while a condition holds:
 *
 *   let carry = init;
 *   while (condFn(carry)) carry = bodyFn(carry);
 *   return carry;
 *
 * The carry is a tree of tensors that keeps its form, shapes and dtypes; `condFn` gives a bool[] (0-d). Compiled, both
 * functions run once, while they are traced. There is no gradient, as the number of steps is not known beforehand: `scan` has
 * one. Throws E107 where the carry changes its type, E108 where the condition is no bool[], E206 at backward().
 */
export function whileLoop<C extends Tree>(condFn: (carry: C) => Tensor, bodyFn: (carry: C) => C, init: C): C {
  const first = flatten('whileLoop', 'init', init);
  const condition = (tensors: readonly Tensor[]): Tensor => {
    const holding = condFn(first.rebuild(tensors));
    checkCondition('whileLoop', 'what condFn returns', holding);
    return holding;
  };
  const step = (tensors: readonly Tensor[]): readonly Tensor[] => {
    const next = flatten('whileLoop', 'the carry', bodyFn(first.rebuild(tensors)));
    checkSame('whileLoop', 'bodyFn returns', next, first, 'a carry has the same form, shapes and dtypes at every step');
    return next.tensors;
  };
  const trace = currentTrace();
  if (trace === null) return runSteps(condition, step, first);
  const args = (role: 'input' | 'state') => first.tensors.map(({ type }, i) => ({ name: `carry.${i}`, type, role }));
  const bodies = [
    traceBody('whileLoop', trace, args('input'), inputs => [condition(inputs)]),
    traceBody('whileLoop', trace, args('state'), step),
  ];
  const { captures, changed, graphs } = joinBodies(bodies, ['nothing', 'carry']);
  const attrs = { captures: captures.length, carries: changed.length + first.tensors.length };
  const inputs = [...captures, ...changed.map(contentsNow), ...first.tensors];
  const values = callControl({ op: 'while', attrs, bodies: graphs }, inputs);
  writeBack(changed, values);
  return first.rebuild(values.slice(changed.length));
}

function runSteps<C extends Tree>(
  condition: (tensors: readonly Tensor[]) => Tensor,
  step: (tensors: readonly Tensor[]) => readonly Tensor[],
  first: Flat<C>,
): C {
  let carried = first.tensors;
  while (holds(condition(carried))) carried = step(carried);
  const values = carried.map(tensor => tensor.detach());
  return first.rebuild(forbidBackwards([...first.tensors, ...carried], values));
}
