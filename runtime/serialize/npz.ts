/** NumPy's `.npz` files: a zip of `.npy` files, one per array. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import { Budget, type ReadOptions } from './budget.js';
import { byName, tensorBytes } from './elements.js';
import { readNpy, saveNpy } from './numpy.js';
import { readZip, writeZip } from './zip.js';

/** How far beyond their size in the file compressed arrays may go unasked; mostly zero ones go further. */
const usualRatio = 64;
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
  const inflation = new Budget('npz', file.length, options, usualRatio);
  const arrays = [...readZip('npz', file, budget, inflation)].filter(([name]) => name.endsWith(ending));
  budget.spend(tensorBytes * arrays.length);
  return byName(
    'npz',
    arrays.map(([name, member]) => [name.slice(0, -ending.length), readNpy(member.read(), member.compressed)]),
  );
}
