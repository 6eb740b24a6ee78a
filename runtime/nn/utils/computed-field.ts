/** Fields of modules that hold no parameter of their own but are computed from others whenever they are read. */
import { fail } from '../../../compiler/errors.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import type { Module } from '../module.js';
import { Parameter } from '../parameter.js';

export type Fields = Record<string, unknown>;
export const fieldsOf = (module: Module): Fields => module as unknown as Fields;

/** The parameter in a field. Throws E208 where there is none. */
export function parameterOf(what: string, module: Module, name: string): Parameter {
  const value = fieldsOf(module)[name];
  if (value instanceof Parameter) return value;
  const own = Object.entries(module).flatMap(([field, held]) => (held instanceof Parameter ? [`'${field}'`] : []));
  return fail('E208', {
    problem: `${what}: ${module.constructor.name} has no parameter '${name}'`,
    hint: own.length > 0 ? `its parameters: ${own.join(', ')}` : 'it has no parameters of its own',
  });
}

/** Compute a field from the others; a clone of the module computes it from its own. Modules do not see it as a part. */
export function computeField(module: Module, name: string, compute: (own: Fields) => Tensor): void {
  Object.defineProperty(module, name, {
    get(this: Module) {
      return compute(fieldsOf(this));
    },
    enumerable: false,
    configurable: true,
  });
}

/** Make a computed field a parameter of its present value, and remove what it was computed from. Throws E208 for another. */
export function storeField(what: string, module: Module, name: string, sources: readonly string[]): void {
  const isComputed = Object.getOwnPropertyDescriptor(module, name)?.get !== undefined;
  if (!isComputed || !sources.every(source => source in module))
    fail('E208', {
      problem: `${what}: '${name}' of ${module.constructor.name} is not computed from ${sources.join(', ')}`,
    });
  const fields = fieldsOf(module);
  const value = noGrad(() => fields[name] as Tensor);
  for (const source of [name, ...sources]) delete fields[source];
  fields[name] = new Parameter(value.detach().clone());
}
