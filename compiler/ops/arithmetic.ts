/** Sums, products, quotients and remainders of elements, and their signs. */
import { fail } from '../errors.js';
import type { Arith } from '../ir/arith.js';
import { type DType, isFloat } from '../ir/dtype.js';
import type { Expr } from '../ir/kernel.js';
import { requireValues } from './checks.js';
import { eq } from './comparison.js';
import type { Complex } from './complex/number.js';
import { composite, type Op, pointwise } from './define.js';
import { type Binary, isFloatExpr, needsFloat, needsNumber, type Unary } from './elementwise.js';
import { exactly, integers, random, sample, sampleWithoutGradient } from './samples.js';
import { where } from './selection.js';
import type { Operand, Scalar } from './signature.js';
import { Tensor } from './tensor.js';

const differing = (a: DType, b: DType): string => `expected operands of one dtype, but got ${a} and ${b}`;

/** A factor that the dtype of the sum can hold. */
function checkAlpha(op: string, promoted: DType, alpha: unknown): void {
  if (typeof alpha === 'boolean' && promoted !== 'bool')
    fail('E108', { op, problem: 'Boolean alpha only supported for Boolean results.' });
  if (!isFloat(promoted) && !Number.isInteger(Number(alpha))) {
    const problem = `For integral input tensors, argument alpha must not be a floating point number, but is ${alpha}.`;
    fail('E108', { op, problem });
  }
}

type Scaled = Op<(input: Operand, other: Operand, options?: { alpha?: number | Complex }) => Tensor>;

export const add: Scaled = pointwise({
  name: 'add',
  doc: 'input + alpha · other.',
  types: 'number',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  check: (promoted, _, { alpha }) => checkAlpha('add', promoted, alpha),
  body: (s, x, y, { alpha }) => s.add(x, alpha === 1 || alpha === true ? y : s.mul(y, Number(alpha))),
  vjp: ({ grad, attrs }) => [grad, attrs.alpha === 1 ? grad : mul(grad, attrs.alpha as number)],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([2, 3]), random([3])),
    sample(random([2, 1, 3]), random([4, 1]), { alpha: 0.5 }),
    sample(random([5]), 2.5),
    sampleWithoutGradient(integers([3], -5, 5), integers([2, 3], -5, 5)),
  ],
  errors: [
    {
      args: [random([2, 3]), random([4])],
      message: /size of tensor a \(3\) must match the size of tensor b \(4\)/,
    },
  ],
});

export const refuseBoolDifference = (): never =>
  fail('E108', {
    op: 'sub',
    problem: 'Subtraction, the `-` operator, with a bool tensor is not supported.',
    hint: 'use bitwiseXor, logicalXor or logicalNot',
  });

export const sub: Scaled = pointwise({
  name: 'sub',
  doc: 'input - alpha · other.',
  types: 'keep',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  check(promoted, inputs, { alpha }) {
    checkAlpha('sub', promoted, alpha);
    if (inputs.some(input => input.dtype === 'bool')) refuseBoolDifference();
  },
  body: (s, x, y, { alpha }) => s.sub(x, alpha === 1 ? y : s.mul(y, alpha)),
  vjp: ({ grad, attrs }) => [grad, attrs.alpha === 1 ? neg(grad) : mul(grad, -(attrs.alpha as number))],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([3]), random([2, 1]), { alpha: 2 }),
    sample(1, random([4])),
  ],
});

export const rsub: Scaled = composite({
  name: 'rsub',
  doc: 'other - alpha · input.',
  signature: 'input: operand, other: operand, *, alpha: number = 1',
  compute: ({ input, other, alpha }) => sub(other, input, { alpha }),
  gradName: ({ other }) => (other instanceof Tensor ? 'RsubBackward0' : 'RsubBackward1'),
  samples: [sample(random([3]), 2)],
});

export const mul: Binary = pointwise({
  name: 'mul',
  doc: 'input · other.',
  types: 'number',
  body: (s, x, y) => s.mul(x, y),
  vjp: c => [c.needs(0) ? mul(c.grad, c.in(1)) : null, c.needs(1) ? mul(c.grad, c.in(0)) : null],
  samples: [
    sample(random([2, 3]), random([2, 3])),
    sample(random([2, 3]), random([2, 1])),
    sample(random([3]), -0.5),
    sampleWithoutGradient(integers([3], -5, 5), integers([3], -5, 5)),
  ],
});

/** Floor of the quotient: exact for integers; for floats by way of the remainder, as Python does it. */
function floorQuotient(s: Arith, x: Expr, y: Expr): Expr {
  if (!isFloatExpr(x)) return x.dtype === 'bool' ? s.and(x, y) : s.floorDiv(x, y);
  const r = s.rem(x, y);
  const exact = s.div(s.sub(x, r), y);
  const quotient = s.select(wrongSign(s, r, y), s.sub(exact, 1), exact);
  const nearest = s.floor(quotient);
  const rounded = s.select(s.gt(s.sub(quotient, nearest), 0.5), s.add(nearest, 1), nearest);
  const zero = s.copysign(s.constant(x.dtype, 0), s.div(x, y));
  return s.select(s.eq(y, 0), s.div(x, y), s.select(s.eq(quotient, 0), zero, rounded));
}

/** A remainder that is not 0 and differs in sign from the divisor. */
const wrongSign = (s: Arith, r: Expr, y: Expr): Expr => s.and(s.ne(r, 0), s.xor(s.lt(r, 0), s.lt(y, 0)));

function floatRemainder(s: Arith, x: Expr, y: Expr): Expr {
  const r = s.rem(x, y);
  return s.select(wrongSign(s, r, y), s.add(r, y), r);
}

/** Dividing integers by zero is an error. */
function checkDivisor(op: string, promoted: DType, divisor: Tensor): void {
  if (isFloat(promoted)) return;
  requireValues(divisor, {
    op,
    accepts: value => value !== 0,
    acceptsAll: all => all.ne(0),
    refuse: () => fail('E110', { op, problem: 'ZeroDivisionError: integer division or modulo by zero' }),
  });
}

const roundQuotient = (s: Arith, x: Expr, y: Expr, roundingMode: string): Expr => {
  if (roundingMode === 'floor') return floorQuotient(s, x, y);
  return isFloatExpr(x) ? s.trunc(s.div(x, y)) : s.truncDiv(x, y);
};

export const div: Op<
  (input: Operand, other: Operand, options?: { roundingMode?: 'floor' | 'trunc' | null }) => Tensor
> = pointwise({
  name: 'div',
  doc: 'input / other. True division, in which integers give floats, unless a rounding mode is given.',
  signature: 'input: operand, other: operand, *, roundingMode: string = null',
  types: attrs => (attrs.roundingMode === null ? 'float' : 'keep'),
  gradName: (_, attrs) => (attrs.roundingMode === null ? 'DivBackward0' : 'DivBackward2'),
  check(promoted, _, { roundingMode }) {
    if (roundingMode === 'trunc') needsNumber('div')(promoted);
    if (roundingMode !== null && roundingMode !== 'floor' && roundingMode !== 'trunc') {
      fail('E110', {
        op: 'div',
        problem: `roundingMode must be null, 'trunc' or 'floor', but is '${roundingMode}'`,
      });
    }
  },
  body: (s, x, y, { roundingMode }) => (roundingMode === null ? s.div(x, y) : roundQuotient(s, x, y, roundingMode)),
  checkValues(promoted, [, other], { roundingMode }) {
    if (roundingMode !== null) checkDivisor('div', promoted, other);
  },
  vjp(c) {
    if (c.attrs.roundingMode !== null) return [c.grad.zerosLike(), c.grad.zerosLike()];
    return [
      c.needs(0) ? div(c.grad, c.in(1)) : null,
      c.needs(1) ? neg(mul(c.grad, div(div(c.in(0), c.in(1)), c.in(1)))) : null,
    ];
  },
  samples: [
    sample(random([2, 3]), random([2, 3], 0.5, 2)),
    sample(random([2, 3]), random([3], -2, -0.5)),
    sample(1, random([4], 0.5, 2)),
    sampleWithoutGradient(random([6], -8, 8), random([6], 0.5, 2), { roundingMode: 'floor' }),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], 1, 4), { roundingMode: 'trunc' }),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], 1, 4)),
  ],
});

export const floorDivide: Binary = composite({
  name: 'floorDivide',
  doc: 'input / other, rounded down.',
  signature: 'input: operand, other: operand',
  compute: ({ input, other }) => div(input, other, { roundingMode: 'floor' }),
  samples: [
    sample(exactly([3], [5.3, -5.3, 0.7]), exactly([3], [2, 2, -2])),
    sampleWithoutGradient(random([6], -8, 8), random([6], 0.5, 2)),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], -4, -1)),
  ],
});

export const remainder: Binary = pointwise({
  name: 'remainder',
  doc: 'What is left of input after division by other, with the sign of other (Python %).',
  types: 'keep',
  check: needsNumber('remainder'),
  body: (s, x, y) => (isFloatExpr(x) ? floatRemainder(s, x, y) : s.mod(x, y)),
  checkValues: (promoted, [, other]) => checkDivisor('remainder', promoted, other),
  vjp: c => [c.grad, c.needs(1) ? neg(mul(c.grad, div(c.in(0), c.in(1), { roundingMode: 'floor' }))) : null],
  samples: [
    sample(exactly([4], [5.3, -5.3, 5.3, -5.3]), exactly([4], [2, 2, -2, -2])),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], -4, -1)),
  ],
});

export const fmod: Binary = pointwise({
  name: 'fmod',
  doc: 'What is left of input after division by other, with the sign of input (C fmod).',
  types: 'keep',
  check: needsNumber('fmod'),
  body: (s, x, y) => s.rem(x, y),
  checkValues: (promoted, [, other]) => checkDivisor('fmod', promoted, other),
  vjp: c => [c.grad, c.needs(1) ? neg(mul(c.grad, div(c.in(0), c.in(1), { roundingMode: 'trunc' }))) : null],
  samples: [
    sample(exactly([4], [5.3, -5.3, 5.3, -5.3]), exactly([4], [2, 2, -2, -2])),
    sampleWithoutGradient(integers([6], -9, 9), integers([6], 1, 4)),
  ],
});

export const neg: Unary = pointwise({
  name: 'neg',
  doc: '-input.',
  types: 'keep',
  check(promoted) {
    if (promoted === 'bool') {
      fail('E108', {
        op: 'neg',
        problem: 'Negation, the `-` operator, on a bool tensor is not supported.',
        hint: 'use logicalNot()',
      });
    }
  },
  body: (s, x) => s.neg(x),
  vjp: ({ grad }) => [neg(grad)],
  samples: [sample(random([2, 3])), sampleWithoutGradient(integers([3], -5, 5))],
});

export const positive: Unary = composite({
  name: 'positive',
  doc: '+input: the input itself.',
  signature: 'input: tensor',
  compute({ input }) {
    needsNumber('positive')(input.dtype);
    return input;
  },
  samples: [sample(random([3]))],
});

export const abs: Unary = pointwise({
  name: 'abs',
  doc: 'Absolute value; the derivative at 0 is 0.',
  types: 'keep',
  check: needsNumber('abs'),
  body: (s, x) => s.abs(x),
  vjp: c => [mul(c.grad, sign(c.in(0)))],
  samples: [sample(random([2, 3])), sampleWithoutGradient(integers([4], -5, 5))],
});

export const sign: Unary = pointwise({
  name: 'sign',
  doc: '1, 0 or -1; 0 for NaN.',
  types: 'number',
  body: (s, x) =>
    s.select(s.gt(x, 0), s.constant(x.dtype, 1), s.select(s.lt(x, 0), s.constant(x.dtype, -1), s.constant(x.dtype, 0))),
  vjp: ({ grad }) => [grad.zerosLike()],
  samples: [sample(random([2, 3])), sampleWithoutGradient(exactly([3], [0, Number.NaN, -0]))],
});

export const sgn: Unary = composite({
  name: 'sgn',
  gradName: 'SgnBackward0',
  doc: 'The sign of real numbers; of complex ones the number of length 1 in their direction.',
  signature: 'input: tensor',
  compute: ({ input }) => sign(input),
  samples: [sample(random([3]))],
});

export const copysign: Binary = pointwise({
  name: 'copysign',
  doc: 'The magnitude of input with the sign of other.',
  types: 'float',
  body: (s, x, y) => s.copysign(x, y),
  vjp: c => [
    c.needs(0) ? mul(c.grad, where(eq(c.in(0), 0), 0, div(c.out, c.in(0)))) : null,
    c.needs(1) ? c.in(1).zerosLike() : null,
  ],
  samples: [sample(random([6]), random([6]))],
});

export const heaviside: Binary = pointwise({
  name: 'heaviside',
  doc: '0 below zero, 1 above, and other at zero.',
  types: 'keep',
  differentiable: false,
  check(_, [input, other]) {
    if (input.dtype !== other.dtype) fail('E108', { op: 'heaviside', problem: differing(input.dtype, other.dtype) });
  },
  body: (s, x, y) => s.select(s.eq(x, 0), y, s.select(s.gt(x, 0), s.constant(x.dtype, 1), s.constant(x.dtype, 0))),
  samples: [sampleWithoutGradient(exactly([3], [-1, 0, 2]), exactly([1], [0.5]))],
});

export const lerp: Op<(input: Tensor, end: Tensor, weight: Tensor | Scalar) => Tensor> = pointwise({
  name: 'lerp',
  doc: 'input + weight · (end - input).',
  signature: 'input: tensor, end: tensor, weight: operand',
  types: 'keep',
  check(promoted, [input, end]) {
    if (input.dtype !== end.dtype) fail('E108', { op: 'lerp', problem: differing(input.dtype, end.dtype) });
    needsFloat('lerp')(promoted);
  },
  body(s, x, end, weight) {
    const gap = s.sub(end, x);
    return s.select(s.lt(s.abs(weight), 0.5), s.add(x, s.mul(weight, gap)), s.sub(end, s.mul(gap, s.sub(1, weight))));
  },
  vjp: c => [
    c.needs(0) ? mul(c.grad, sub(1, c.in(2))) : null,
    c.needs(1) ? mul(c.grad, c.in(2)) : null,
    c.needs(2) ? mul(c.grad, sub(c.in(1), c.in(0))) : null,
  ],
  samples: [sample(random([3]), random([3]), 0.3), sample(random([2, 3]), random([3]), random([2, 3], 0, 1))],
});

type Fused = Op<(input: Tensor, tensor1: Tensor, tensor2: Tensor, options?: { value?: number }) => Tensor>;

export const addcmul: Fused = pointwise({
  name: 'addcmul',
  doc: 'input + value · tensor1 · tensor2.',
  signature: 'input: tensor, tensor1: tensor, tensor2: tensor, *, value: number = 1',
  types: 'keep',
  check: needsNumber('addcmul'),
  body: (s, x, a, b, { value }) => s.add(x, s.mul(s.mul(a, b), isFloatExpr(x) ? value : Math.trunc(value as number))),
  vjp: c => {
    const scaled = mul(c.grad, c.attrs.value as number);
    return [c.grad, c.needs(1) ? mul(scaled, c.in(2)) : null, c.needs(2) ? mul(scaled, c.in(1)) : null];
  },
  samples: [sample(random([2, 3]), random([2, 3]), random([3]), { value: 0.5 })],
});

export const addcdiv: Fused = pointwise({
  name: 'addcdiv',
  doc: 'input + value · tensor1 / tensor2.',
  signature: 'input: tensor, tensor1: tensor, tensor2: tensor, *, value: number = 1',
  types: 'keep',
  check: needsFloat('addcdiv'),
  body: (s, x, a, b, { value }) => s.add(x, s.mul(s.div(a, b), value)),
  vjp: c => {
    const scaled = mul(c.grad, c.attrs.value as number);
    return [
      c.grad,
      c.needs(1) ? div(scaled, c.in(2)) : null,
      c.needs(2) ? neg(div(mul(scaled, c.in(1)), c.in(2).square())) : null,
    ];
  },
  samples: [sample(random([2, 3]), random([2, 3]), random([3], 0.5, 2), { value: 0.5 })],
});
