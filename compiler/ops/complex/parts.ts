/** Complex tensors and their parts, and the ways in which a rule is made of real ops. */
import {
  type ComplexDType,
  complexTypeOf,
  type DType,
  getDefaultDtype,
  isComplexDType,
  partType,
  resultType,
} from '../../ir/dtype.js';
import { castTo } from '../conversion.js';
import { scalarTensor, scalarType, scalarValue } from '../define.js';
import { stack } from '../shape.js';
import type { Bound, Operand } from '../signature.js';
import { isComplexTensor, overPair, realForm, refuseComplex, Tensor } from '../tensor.js';
import { Complex } from './number.js';
import { type ComplexRule, setComplexRule } from './rules.js';

// ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

export const realPart = (z: Tensor): Tensor => realForm(z).select(-1, 0);
export const imaginaryPart = (z: Tensor): Tensor => realForm(z).select(-1, 1);
export const partsOf = (z: Tensor): [re: Tensor, im: Tensor] => [realPart(z), imaginaryPart(z)];
export const fromParts = (re: Tensor, im: Tensor): Tensor => overPair(stack([re, im], -1));

// ── promotion ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The complex dtype in which operands are computed, one of which is complex. */
export const promotedType = (operands: readonly Operand[]): ComplexDType =>
  complexTypeOf(
    resultType(
      operands.map(operand => {
        if (operand instanceof Tensor) return { dtype: operand.dtype, tier: operand.ndim > 0 ? 'dims' : 'zerodim' };
        const dtype = operand instanceof Complex ? complexTypeOf(getDefaultDtype()) : scalarType(operand);
        return { dtype, tier: 'number' };
      }),
    ),
  );

const converted = (tensor: Tensor, dtype: DType): Tensor => (tensor.dtype === dtype ? tensor : castTo(tensor, dtype));

/** An operand in a complex dtype. */
export function asComplex(operand: Operand, dtype: ComplexDType): Tensor {
  const part = partType(dtype);
  if (operand instanceof Complex) return fromParts(scalarTensor(operand.re, part), scalarTensor(operand.im, part));
  if (!(operand instanceof Tensor)) return asComplex(new Complex(Number(scalarValue(operand)), 0), dtype);
  if (isComplexTensor(operand)) return operand.dtype === dtype ? operand : overPair(converted(realForm(operand), part));
  const re = converted(operand, part);
  return fromParts(re, re.zerosLike());
}
/** Operands in the dtype they promote to. */
export function promoted(...operands: readonly Operand[]): Tensor[] {
  const dtype = promotedType(operands);
  return operands.map(operand => asComplex(operand, dtype));
}
/** A real tensor or number beside complex ones, as a factor of both parts; null for a complex one. */
export function realFactor(operand: Operand, dtype: ComplexDType): Tensor | null {
  if (operand instanceof Complex || isComplexTensor(operand)) return null;
  const part = partType(dtype);
  return operand instanceof Tensor
    ? converted(operand, part).unsqueeze(-1)
    : scalarTensor(Number(scalarValue(operand)), part);
}

// ── kinds of rules ─────────────────────────────────────────────────────────────────────────────────────────────────────

// biome-ignore lint/suspicious/noExplicitAny: an op of any type of call; its arguments are bound by name
type AnyOp = ((...args: any[]) => any) & { readonly def: { readonly name: string } };

export const rule = (op: AnyOp, means: ComplexRule): void => setComplexRule(op.def.name, means);
export const asWritten = (...ops: readonly AnyOp[]): void => {
  for (const op of ops) rule(op, 'as written');
};

type Data = Operand | readonly Tensor[];
const operandsIn = (data: Data): Operand[] => [data].flat() as Operand[];

/** An op that is linear over the real numbers, applied to the real and to the imaginary parts of its `data`. */
export const partwise = (op: AnyOp, ...data: readonly string[]): void => rule(op, onParts(op, ...data));

export const onParts =
  (op: AnyOp, ...data: readonly string[]) =>
  (bound: Bound): Tensor => {
    const names = data.filter(name => bound[name] !== null);
    const dtype = promotedType(names.flatMap(name => operandsIn(bound[name])));
    const wanted = outputType(op, bound.dtype ?? dtype);
    const applied = (part: (z: Tensor) => Tensor): Tensor => {
      const partOf = (operand: Operand): Tensor => part(asComplex(operand, wanted));
      const parts = names.map(name => [
        name,
        Array.isArray(bound[name]) ? bound[name].map(partOf) : partOf(bound[name]),
      ]);
      return op({ ...bound, ...('dtype' in bound && { dtype: partType(wanted) }), ...Object.fromEntries(parts) });
    };
    return fromParts(applied(realPart), applied(imaginaryPart));
  };

function outputType(op: AnyOp, dtype: DType): ComplexDType {
  return isComplexDType(dtype)
    ? dtype
    : refuseComplex(`${op.def.name} with dtype ${dtype}`, 'complex numbers' as DType);
}

/** An op that is linear in each of two tensors. */
export const bilinear = (op: AnyOp, first: string, second: string): void =>
  rule(op, bound => {
    const dtype = promotedType([bound[first], bound[second]]);
    const times = (a: Tensor, b: Tensor): Tensor => op({ ...bound, [first]: a, [second]: b });
    return productOf(bound[first], bound[second], dtype, times);
  });

function productOf(a: Tensor, b: Tensor, dtype: ComplexDType, times: (a: Tensor, b: Tensor) => Tensor): Tensor {
  const part = partType(dtype);
  const parts = (z: Tensor): Tensor[] => (isComplexTensor(z) ? partsOf(asComplex(z, dtype)) : [converted(z, part)]);
  const [ar, ai] = parts(a);
  const [br, bi] = parts(b);
  if (ai === undefined) return fromParts(times(ar, br), times(ar, bi));
  if (bi === undefined) return fromParts(times(ar, br), times(ai, br));
  return fromParts(times(ar, br).sub(times(ai, bi)), times(ar, bi).add(times(ai, br)));
}

/** A view of complex numbers is a view of their parts. */
export const viewed = (op: AnyOp, view: (pair: Tensor, bound: Bound, z: Tensor) => Tensor): void =>
  rule(op, bound => overPair(view(realForm(bound.input), bound, bound.input)));

/** An op on the magnitudes. */
export const onMagnitude = (op: AnyOp, input = 'input'): void =>
  rule(op, bound => op({ ...bound, [input]: bound[input].abs() }));
