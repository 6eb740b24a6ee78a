/**
 * Is what `defineModel` and `input` are given a model? The type checker says so too; but models are also written in
 * JavaScript, and built with `--no-typecheck`. Throws E107, E108 and E304.
 */
import { fail } from '../errors.js';
import { complexDtypes, dtypes, isComplexDType, isDType } from '../ir/dtype.js';
import type { Entries, ModelParts } from './model.js';

export function checkInput(shape: unknown, dtype: unknown): void {
  const isSize = (size: unknown): boolean => Number.isInteger(size) && (size as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize))
    fail('E107', {
      op: 'input',
      problem: `the shape must be a list of whole numbers, as in input([64, 10]); given ${shown(shape)}`,
      hint: 'sizes are fixed when the model is compiled: for batches of several sizes write an entry for each',
    });
  if (!isDType(dtype) && !isComplexDType(dtype))
    fail('E108', {
      op: 'input',
      problem: `${shown(dtype)} is no dtype`,
      hint: `dtypes: ${[...dtypes, ...complexDtypes].join(', ')}`,
    });
}

export function checkParts(parts: ModelParts): void {
  const hint = 'return { state: { net }, entries: { predict: entry(…) } } from defineModel';
  if (parts instanceof Promise)
    fail('E304', {
      problem: 'the function given to defineModel is async',
      hint: 'await what it needs at the top of the model file, outside defineModel',
    });
  for (const part of ['state', 'entries'] as const)
    if (!isRecord(parts?.[part])) fail('E304', { problem: `the model has no ${part}: ${shown(parts?.[part])}`, hint });
  if (Object.keys(parts.entries).length === 0) fail('E304', { problem: 'the model has no entries', hint });
  checkEntries(parts.entries);
}

const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

function shown(value: unknown): string {
  if (typeof value === 'function') return `a function${value.name && ` '${value.name}'`}`;
  return JSON.stringify(value) ?? String(value);
}

/** Their names are those of exports of the module and of fields of its typings. */
function checkEntries(entries: Entries): void {
  const check = (what: string, name: string): void => {
    if (/^[A-Za-z_$][\w$]*$/.test(name) && name !== 'memory') return;
    const why = name === 'memory' ? 'is taken by the memory of the compiled module' : 'is not an identifier';
    fail('E304', {
      problem: `${what} '${name}' ${why}`,
      hint: 'it names exports and typed fields: choose another name',
    });
  };
  for (const [name, entry] of Object.entries(entries)) {
    check('entry', name);
    if (!isRecord(entry?.inputs) || typeof entry.run !== 'function')
      fail('E304', {
        problem: `entry '${name}' is ${shown(entry)}`,
        hint: `write ${name}: entry({ x: input([1, 8]) }, ({ x }) => ({ y: … }))`,
      });
    for (const input of Object.keys(entry.inputs)) check(`entry '${name}': input`, input);
  }
}
