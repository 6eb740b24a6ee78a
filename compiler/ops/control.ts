/**
 * Loops and branches as ops: only their types. What they mean is told in `ir/control.ts`, which also checks them; how they are
 * traced and differentiated in `autodiff/control`.
 */

import { fail } from '../errors.js';
import { resultType, tokenType } from '../ir/control.js';
import { defineControl } from './define.js';

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
  doc: 'The first input, whose gradient with respect to the others is given by a function that only the tape knows.',
  fusion: 'view',
  infer: ([input]) => input,
  lower: { kind: 'map', element: (at, [input]) => input.at(at) },
  vjp: () =>
    fail('E206', {
      op: 'a function with a gradient of its own, or a module with backward hooks, inside a loop or branch',
      hint: 'call it outside, or write it in ops whose derivatives are right: noGrad and detach() work inside, too',
    }),
});
defineControl({ name: 'result', doc: 'One value of a loop or branch.', infer: (_, attrs) => resultType(attrs) });
