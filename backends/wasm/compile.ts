/**
 * Kernels as functions of typed arrays, compiled on the spot.
 *
 * All of them share one memory, which grows with the largest call: scratch at its start, the arguments behind.
 */
import { InternalError } from '../../compiler/errors.js';
import type { TypedArray } from '../../compiler/ir/dtype.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import { emitKernel } from './emit.js';
import { buildModule } from './module.js';

export type KernelFunction = (...arrays: TypedArray[]) => void;

let memory: WebAssembly.Memory | null = null;

const PAGE = 65536;
const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Compile one kernel as it stands; its loops are not scheduled here. */
export function compileKernel(kernel: Kernel, options: { readonly relaxed?: boolean } = {}): KernelFunction {
  return compileKernels([kernel], options)[0];
}

/** Compile several kernels to one module. Each function takes the arrays of the kernel's params. */
export function compileKernels(
  kernels: readonly Kernel[],
  options: { readonly relaxed?: boolean } = {},
): KernelFunction[] {
  memory ??= new WebAssembly.Memory({ initial: 1 });
  const names = kernels.map((kernel, i) => `${kernel.name}.${i}`);
  const { relaxed = false } = options;
  const emitted = kernels.map(kernel => emitKernel(kernel, relaxed));
  const functions = new Map(names.map((name, i) => [name, emitted[i]]));
  const bytes = buildModule({
    functions,
    entries: new Map(),
    exported: names,
    memoryBytes: 'imported',
    scratchBase: 0,
    relaxed,
  });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { env: { memory } });
  return kernels.map((kernel, i) =>
    bind(kernel, instance.exports[names[i]] as (...pointers: number[]) => void, emitted[i].scratchBytes),
  );
}

/** Copies the arguments in, runs the kernel, copies what it wrote back. */
function bind(kernel: Kernel, run: (...pointers: number[]) => void, scratchBytes: number): KernelFunction {
  return (...arrays) => {
    if (arrays.length !== kernel.params.length)
      throw new InternalError(`kernel ${kernel.name} takes ${kernel.params.length} arrays, got ${arrays.length}`);
    let end = aligned(scratchBytes);
    const pointers = arrays.map(array => {
      const at = end;
      end = aligned(end + array.byteLength);
      return at;
    });
    const heap = reserve(end);
    for (const [i, array] of arrays.entries()) heap.set(bytesOfArray(array), pointers[i]);
    run(...pointers);
    for (const [i, { access }] of kernel.params.entries()) {
      if (access !== 'read')
        bytesOfArray(arrays[i]).set(heap.subarray(pointers[i], pointers[i] + arrays[i].byteLength));
    }
  };
}

function reserve(bytes: number): Uint8Array {
  const missing = Math.ceil((bytes - memory!.buffer.byteLength) / PAGE);
  if (missing > 0) memory!.grow(missing);
  return new Uint8Array(memory!.buffer);
}

const bytesOfArray = (array: TypedArray): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
