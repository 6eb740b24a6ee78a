/**
 * Which ops take complex numbers, and the one gate before all the others.
 *
 * A complex tensor is a facade over a real one, [..., 2] (`overPair` in tensor.ts). An op has no branch for it: a *rule* beside
 * the op table says the same thing in ops on real numbers, so that derivatives of every order, traces and all backends follow.
 * PyTorch's gradient of a real loss with respect to a complex number is that with respect to its parts. What has no rule is
 * refused by name, E111, where the arguments of any call are bound.
 */
import { complexTypeOf, type DType, getDefaultDtype, isComplexDType } from '../../ir/dtype.js';
import type { Bound } from '../signature.js';
import { isComplexTensor, refuseComplex, Tensor } from '../tensor.js';
import { Complex } from './number.js';

/** What an op means of complex numbers; `as written`: it consists of ops that take them, and means the same. */
export type ComplexRule = 'as written' | ((bound: Bound) => unknown);

const rules = new Map<string, ComplexRule>();

export function setComplexRule(op: string, rule: ComplexRule): void {
  rules.set(op, rule);
}
export const takesComplex = (op: string): boolean => rules.has(op);

/** The complex dtype that an argument speaks of. */
function complexTypeIn(value: unknown): DType | null {
  if (value instanceof Tensor) return isComplexTensor(value) ? value.dtype : null;
  if (value instanceof Complex) return complexTypeOf(getDefaultDtype());
  if (isComplexDType(value)) return value;
  if (!Array.isArray(value)) return null;
  const found = value.find(item => isComplexTensor(item) || item instanceof Complex);
  return found === undefined ? null : complexTypeIn(found);
}
function complexTypeOfCall(bound: Bound): DType | null {
  for (const name in bound) {
    const found = complexTypeIn(bound[name]);
    if (found !== null) return found;
  }
  return null;
}

/** Throws E111 where an argument is complex and the function does not take that. */
export function checkComplexArguments(op: string, bound: Bound): void {
  if (rules.has(op)) return;
  const dtype = complexTypeOfCall(bound);
  if (dtype !== null) refuseComplex(op, dtype);
}

/** How to compute a call with a complex argument; null where all are real, or the op does it as written. */
export function complexRuleFor(op: string, bound: Bound): ((bound: Bound) => unknown) | null {
  const rule = rules.get(op);
  return rule === undefined || rule === 'as written' || complexTypeOfCall(bound) === null ? null : rule;
}
