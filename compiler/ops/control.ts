/**
 * Loops and branches as ops: only their types. What they mean is told in `ir/control.ts`, which also checks them; how they are
 * traced and differentiated in `autodiff/control`.
 */

import { resultType, tokenType } from '../ir/control.js';
import { cast, constant, select } from '../ir/kernel.js';
import { defineControl } from './define.js';
import { onlyIf } from './presence.js';

defineControl({
  name: 'scan',
  doc: 'A loop over slices that carries values from step to step and stacks results.',
  infer: () => tokenType,
});
defineControl({
  name: 'while',
  doc: 'A loop that goes on while a condition of its carries holds.',
  infer: () => tokenType,
});
defineControl({ name: 'cond', doc: 'One of two graphs, chosen by a predicate.', infer: () => tokenType });
defineControl({
  name: 'ownGradient',
  doc: 'Its first inputs, whose gradients with respect to the others a graph of its own computes.',
  infer: () => tokenType,
});
defineControl({
  name: 'later',
  doc: 'The first input, not to be read before the second is there: what is computed from it is computed anew.',
  fusion: 'view',
  infer: ([input]) => input,
  lower: { kind: 'map', element: (at, [input]) => input.at(at) },
  vjp: ({ grad }) => [grad, null],
});
defineControl({
  name: 'onlyWhere',
  doc: 'The first input where the second, a bool[], holds; else zero. Its derivative exists on no other condition.',
  fusion: 'pointwise',
  elementwise: true,
  infer: ([input]) => input,
  lower: {
    kind: 'map',
    element(at, [input, condition]) {
      const value = input.at(at);
      return select(cast('bool', condition.at([])), value, constant(value.dtype, 0));
    },
  },
  vjp: c => [onlyIf(c.grad, c.in(1)), null],
});
defineControl({ name: 'result', doc: 'One value of a loop or branch.', infer: (_, attrs) => resultType(attrs) });
