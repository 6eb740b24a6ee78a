/** Logic on truth values, and on the bits of integers. */
import { fail } from '../errors.js';
import { type DType, isFloat } from '../ir/dtype.js';
import { pointwise } from './define.js';
import type { Binary, Unary } from './elementwise.js';
import { exactly, integers, random, sampleWithoutGradient } from './samples.js';

const logicalSamples = [
  sampleWithoutGradient(integers([6], 0, 2, 'bool'), integers([6], 0, 2, 'bool')),
  sampleWithoutGradient(integers([6], -1, 2), random([6])),
];

const logical = (name: string, doc: string, fn: 'and' | 'or' | 'xor'): Binary =>
  pointwise({
    name,
    doc,
    types: 'logical',
    differentiable: false,
    body: (s, x, y) => s[fn](x, y),
    samples: logicalSamples,
  });

export const logicalAnd: Binary = logical('logicalAnd', 'Both nonzero?', 'and');

export const logicalOr: Binary = logical('logicalOr', 'At least one nonzero?', 'or');

export const logicalXor: Binary = logical('logicalXor', 'Exactly one nonzero?', 'xor');

export const logicalNot: Unary = pointwise({
  name: 'logicalNot',
  doc: 'Zero?',
  types: 'logical',
  differentiable: false,
  body: (s, x) => s.not(x),
  samples: [
    sampleWithoutGradient(integers([6], 0, 2, 'bool')),
    sampleWithoutGradient(exactly([3], [0, 1, Number.NaN])),
  ],
});

const needsBits =
  (op: string) =>
  (promoted: DType): void => {
    if (isFloat(promoted)) fail('E108', { op, problem: `is defined on integers and bools, not on ${promoted}` });
  };

const bitwise = (name: string, doc: string, fn: 'and' | 'or' | 'xor'): Binary =>
  pointwise({
    name,
    doc,
    types: 'keep',
    differentiable: false,
    check: needsBits(name),
    body: (s, x, y) => s[fn](x, y),
    samples: [
      sampleWithoutGradient(integers([6], -9, 9), integers([6], -9, 9)),
      sampleWithoutGradient(integers([6], 0, 2, 'bool'), integers([6], 0, 2, 'bool')),
    ],
  });

export const bitwiseAnd: Binary = bitwise('bitwiseAnd', 'input & other; logical on bools.', 'and');

export const bitwiseOr: Binary = bitwise('bitwiseOr', 'input | other; logical on bools.', 'or');

export const bitwiseXor: Binary = bitwise('bitwiseXor', 'input ^ other; logical on bools.', 'xor');

export const bitwiseNot: Unary = pointwise({
  name: 'bitwiseNot',
  doc: '~input; logical on bools.',
  types: 'keep',
  differentiable: false,
  check: needsBits('bitwiseNot'),
  body: (s, x) => s.not(x),
  samples: [sampleWithoutGradient(integers([6], -9, 9)), sampleWithoutGradient(integers([6], 0, 2, 'bool'))],
});

const shift = (name: string, doc: string, fn: 'shl' | 'shr'): Binary =>
  pointwise({
    name,
    doc,
    types: 'number',
    differentiable: false,
    check: needsBits(name),
    body: (s, x, y) => s[fn](x, y),
    samples: [sampleWithoutGradient(integers([6], -9, 9), integers([6], 0, 5))],
  });

export const bitwiseLeftShift: Binary = shift('bitwiseLeftShift', 'input << other.', 'shl');

export const bitwiseRightShift: Binary = shift('bitwiseRightShift', 'input >> other, copying the sign.', 'shr');
