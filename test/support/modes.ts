/** The ways to run a function of tensors: eagerly, and compiled for each backend that runs in this process. */
import { type CompileOptions, compile } from 'gradc/compiler';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { input } from '../../compiler/trace/model.js';

export type TensorFunction = (...inputs: Tensor[]) => Tensor[];

export interface Mode {
  readonly name: string;
  readonly compiled: boolean;
  run(fn: TensorFunction, inputs: readonly Tensor[]): readonly Tensor[];
}

const eager: Mode = { name: 'eager', compiled: false, run: (fn, inputs) => fn(...inputs) };

const compiledWith = (name: string, options: CompileOptions): Mode => ({
  name,
  compiled: true,
  run: (fn, inputs) =>
    compile(
      fn,
      inputs.map(({ shape, dtype }) => input(shape, dtype)),
      { ...options, debug: { verify: true } },
    )(...inputs),
});

export const modes: readonly Mode[] = [
  eager,
  compiledWith('js', { backend: 'js' }),
  compiledWith('wasm', { backend: 'wasm' }),
];
