/** Modules beside torch that a script can name: math, numpy, safetensors. And what `torch.load` finds in a file. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { asNumber, type Numeric } from './python/operators.js';
import { Dict, Namespace, NativeFunction, PyFloat, Tuple, type Value } from './python/values.js';
import type { Torch } from './torch-adapter.js';
import { raise } from './torch-adapter-binding.js';
import { constants } from './torch-adapter-names.js';
import { numpy } from './torch-adapter-numpy.js';

const math = new Namespace('math', name => {
  if (name in constants) return new PyFloat(constants[name]);
  if (name === 'floor' || name === 'ceil')
    return new NativeFunction(name, ([x]) => Math[name](asNumber(x as Numeric)), true);
  if (name === 'prod')
    return new NativeFunction(
      name,
      ([items]) => (items as Value[]).reduce<number>((product, item) => product * asNumber(item as Numeric), 1),
      true,
    );
  if (name === 'isnan' || name === 'isinf' || name === 'isfinite') {
    const test = { isnan: Number.isNaN, isinf: (x: number) => Math.abs(x) === Infinity, isfinite: Number.isFinite }[
      name
    ];
    return new NativeFunction(name, ([x]) => test(asNumber(x as Numeric)), true);
  }
  const fn = (Math as unknown as Record<string, unknown>)[name];
  return typeof fn === 'function'
    ? new NativeFunction(name, args => new PyFloat(fn(...args.map(x => asNumber(x as Numeric)))), true)
    : undefined;
});

/** What a checkpoint holds, as Python has it. */
export function loaded(value: unknown): Value {
  if (Array.isArray(value)) return Object.isFrozen(value) ? new Tuple(value.map(loaded)) : value.map(loaded);
  if (value instanceof Map) return new Dict([...value].map(([key, item]) => [raise(key), loaded(item)] as const));
  const isObject = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isObject ? new Dict(Object.entries(value).map(([key, item]) => [key, loaded(item)] as const)) : raise(value);
}

const safetensors = (torch: Torch): Namespace =>
  new Namespace('safetensors.torch', name => {
    if (name !== 'load_file') return undefined;
    return new NativeFunction(name, ([path]) => {
      const bytes = new Uint8Array(readFileSync(resolve(torch.root, String(path))));
      return new Dict(Object.entries(torch.native('loadSafetensors')(bytes) as Record<string, Tensor>));
    });
  });

export const hostModules = (torch: Torch): [string, Value][] => [
  ['math', math],
  ['np', numpy(torch)],
  ['safetensors', new Namespace('safetensors', name => (name === 'torch' ? safetensors(torch) : undefined))],
];
