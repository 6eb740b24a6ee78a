/**
 * Errors that depend on values, in a model built with `--check-values`: an index beyond the end, a singular matrix. Its
 * entries have one result more for each condition that an op sets; a call where one does not hold throws what eager throws.
 * An artifact built without does not contain this file.
 */
import type { CallOptions, Entry, InputValue, Model } from './model.js';

/** What eager throws; the message tells the line in the model's source. */
export interface Refusal {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}
/** By entry, in the order of the results `check.0`, `check.1` and so on; entries without conditions are absent. */
export type ValueChecks = Readonly<Record<string, readonly Refusal[]>>;

/** The same model; its entries give their own results alone, and throw where a condition did not hold. */
export function withValueChecks(model: Model, checks: ValueChecks): Model {
  const checked = ([name, refusals]: [string, readonly Refusal[]]): [string, Entry] => {
    const run = model[name];
    return [
      name,
      (inputs: Readonly<Record<string, InputValue>>, options?: CallOptions) => {
        const outputs = run(inputs, options);
        for (const [i, { message, ...rest }] of refusals.entries()) {
          if (!outputs[`check.${i}`]) throw Object.assign(new Error(message), rest);
          delete outputs[`check.${i}`];
        }
        return outputs;
      },
    ];
  };
  return Object.assign(model, Object.fromEntries(Object.entries(checks).map(checked)));
}
