/** Python's `print`, as far as the tutorial needs it: tensors and modules print themselves, sizes and None as PyTorch's. */
import type { Tensor } from 'gradc';

export function print(...values: readonly unknown[]): void {
  console.log(values.map(text).join(' '));
}

function text(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (Array.isArray(value)) return `torch.Size([${value.join(', ')}])`;
  return String(value);
}

/** A typed array as NumPy prints a matrix of whole floats. */
export function matrixText(array: ArrayLike<number>, tensor: Tensor): string {
  const [rows, columns] = tensor.shape;
  const row = (i: number): string => Array.from({ length: columns }, (_, j) => `${array[i * columns + j]}.`).join(' ');
  return `[${Array.from({ length: rows }, (_, i) => `[${row(i)}]`).join('\n ')}]`;
}
