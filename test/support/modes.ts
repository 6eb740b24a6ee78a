/** The ways to run a function of tensors: eagerly, and compiled for each backend that runs in this process. */
import { setFlagsFromString } from 'node:v8';
import { type CompileOptions, compile } from 'gradc/compiler';
import { wasm } from '../../backends/wasm/backend.js';
import { type DType, dtypes } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { input } from '../../compiler/trace/model.js';

export type TensorFunction = (...inputs: Tensor[]) => Tensor[];

export interface Mode {
  readonly name: string;
  readonly compiled: boolean;
  /** Dtypes it refuses. */
  readonly lacks: readonly DType[];
  run(fn: TensorFunction, inputs: readonly Tensor[]): readonly Tensor[];
}

const eager: Mode = { name: 'eager', compiled: false, lacks: [], run: (fn, inputs) => fn(...inputs) };

/** Node 20 has relaxed SIMD behind a flag, which can still be set here. */
if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');

const compiledWith = (name: string, options: CompileOptions): Mode => ({
  name,
  compiled: true,
  lacks: options.backend === 'wasm' ? dtypes.filter(dtype => !wasm.capabilities.dtypes.includes(dtype)) : [],
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
  compiledWith('wasm-relaxed', { backend: 'wasm', relaxed: true }),
];
