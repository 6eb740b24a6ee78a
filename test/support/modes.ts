/** The ways to run a function of tensors: eagerly, and compiled for each backend that runs in this process. */
import { setFlagsFromString } from 'node:v8';
import { type CompileTarget, prepare } from '../../compiler/jit.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { input } from '../../compiler/trace/model.js';

export type TensorFunction = (...inputs: Tensor[]) => Tensor[];

export interface Mode {
  readonly name: string;
  readonly compiled: boolean;
  run(fn: SharedFunction, inputs: readonly Tensor[]): readonly Tensor[];
}

/** A function that all modes run on inputs of the same types: traced and optimised once, by the first that compiles it. */
export class SharedFunction {
  #prepared: ReturnType<typeof prepare> | null = null;

  constructor(readonly eagerly: TensorFunction) {}

  compiled(target: CompileTarget, inputs: readonly Tensor[]): TensorFunction {
    const specs = inputs.map(({ shape, dtype }) => input(shape, dtype));
    this.#prepared ??= prepare(this.eagerly, specs, { debug: { verify: true } });
    return this.#prepared(target);
  }
}

const eager: Mode = { name: 'eager', compiled: false, run: (fn, inputs) => fn.eagerly(...inputs) };

/** Node 20 has relaxed SIMD behind a flag, which can still be set here. */
if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');

const compiledWith = (name: string, target: CompileTarget): Mode => ({
  name,
  compiled: true,
  run: (fn, inputs) => fn.compiled(target, inputs)(...inputs),
});

export const modes: readonly Mode[] = [
  eager,
  compiledWith('js', { backend: 'js' }),
  compiledWith('wasm', { backend: 'wasm' }),
  compiledWith('wasm-relaxed', { backend: 'wasm', relaxed: true }),
];
