/**
 * A program run by plain JavaScript on one ArrayBuffer: same kernels, same addresses and same state as the compiled module,
 * nothing scheduled. The oracle that compiled backends are compared with, and the fallback where WASM is refused.
 */
import { arrayOf, type DType, type TypedArray } from '../../compiler/ir/dtype.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Program } from '../../compiler/ir/program.js';
import { compileKernel, type KernelFunction } from './emit.js';

export interface JsModule {
  readonly memory: ArrayBuffer;
  /** One function per entry, reading and writing `memory` at the places of the program's slots. */
  readonly entries: Readonly<Record<string, () => void>>;
}

/** Compile all kernels of a program and give it zeroed memory. */
export function instantiateJs(program: Program): JsModule {
  const memory = new ArrayBuffer(program.totalBytes);
  const compiled = new Map<Kernel, KernelFunction>();
  const functionOf = (kernel: Kernel): KernelFunction => {
    const known = compiled.get(kernel) ?? compileKernel(kernel);
    compiled.set(kernel, known);
    return known;
  };
  const entries = program.entries.map(({ name, launches }) => {
    const calls = launches.map(({ kernel, args }) => {
      const run = functionOf(kernel);
      const arrays = kernel.params.map(({ buffer }, i) => viewAt(memory, buffer.dtype, args[i], buffer.size));
      return () => run(...arrays);
    });
    return [name, () => calls.forEach(call => void call())] as const;
  });
  return { memory, entries: Object.fromEntries(entries) };
}

const viewAt = (memory: ArrayBuffer, dtype: DType, offset: number, size: number): TypedArray =>
  new (arrayOf(dtype))(memory, offset, size);
