/** What gradc's own layers share: PyTorch's names for their fields, and its way of printing their settings. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import { pythonValue } from '../numerals.js';
import { Module } from './module.js';

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);

/** State dicts and printed models name the fields of built-in layers as PyTorch does: `runningMean` is `running_mean`. */
export abstract class Layer extends Module {
  protected override stateName(field: string): string {
    return snakeCase(field);
  }
}

/** A layer from one tensor to one. */
export abstract class UnaryLayer extends Layer {
  abstract override forward(input: Tensor): Tensor;
}

/** A string that a layer's text shows without quotes, as some of PyTorch's do. */
export class Unquoted {
  constructor(readonly text: string) {}
}

/** `in_features=3, bias=True`; a setting that is undefined is left out. */
export const settings = (values: Readonly<Record<string, unknown>>): string =>
  Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${snakeCase(name)}=${value instanceof Unquoted ? value.text : pythonValue(value)}`)
    .join(', ');

/** Positional settings first, then named ones. */
export const positional = (values: readonly unknown[], named: Readonly<Record<string, unknown>> = {}): string =>
  [...values.map(pythonValue), settings(named)].filter(text => text !== '').join(', ');
