/** NumPy's `.npz` files: a zip of `.npy` files, one per array. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Budget, type ReadOptions } from './budget.js';
import { Named, tensorBytes } from './elements.js';
import { readNpy, saveNpy } from './numpy.js';
import { readZip, writeZip } from './zip.js';

const ending = '.npy';

/** Tensors by name as a `.npz` file. */
export const saveNpz = (
  tensors: Readonly<Record<string, Tensor>>,
  { compressed = false }: { readonly compressed?: boolean } = {},
): Uint8Array =>
  writeZip(
    Object.entries(tensors).map(([name, tensor]) => [`${name}${ending}`, saveNpy(tensor)]),
    { compressed, alignment: 64 },
  );

/** The tensors of a `.npz` file by name. Throws E401 where it is damaged, E402 where it inflates beyond bounds. */
export function loadNpz(file: Uint8Array, options: ReadOptions = {}): Record<string, Tensor> {
  const budget = new Budget('npz', file.length, options);
  const named = new Named<Tensor>('npz');
  for (const [name, member] of readZip('npz', file, budget)) {
    if (!name.endsWith(ending)) continue;
    budget.spend(tensorBytes + (member.compressed ? 0 : member.size));
    named.set(name.slice(0, -ending.length), readNpy(member.read(), member.compressed));
  }
  return named.values;
}
