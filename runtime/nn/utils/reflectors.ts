/**
 * The reflections of a QR decomposition, as LAPACK's `geqrf` finds them: Householder, "Unitary triangularization of a
 * nonsymmetric matrix" (1958). For parametrizations, which start from them.
 */
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { elementsOf } from '../../bridge.js';
import { tensor } from '../../creation.js';

/**
 * Tall matrices [..., rows, columns] as reflections: below the diagonal their vectors, whose first element is 1, on it the
 * signs that give back a matrix with orthonormal columns, above it R.
 */
export function reflectors(matrices: Tensor): Tensor {
  const [rows, columns] = matrices.shape.slice(-2);
  const values = elementsOf(matrices, 'the reflections of a matrix') as number[];
  const count = values.length / (rows * columns);
  const found = Array.from({ length: count }, (_, i) => {
    const start = i * rows * columns;
    return reflectorsOf(
      Array.from({ length: rows }, (_, r) => values.slice(start + r * columns, start + (r + 1) * columns)),
    );
  });
  return tensor(found.flat(2), { dtype: matrices.dtype }).reshape(matrices.shape);
}

function reflectorsOf(matrix: number[][]): number[][] {
  matrix[0].forEach((_, column) => {
    reflectColumn(matrix, column);
  });
  return matrix;
}

/** Turn a column onto its axis, and all to the right of it with it. */
function reflectColumn(matrix: number[][], column: number): void {
  const below = matrix.slice(column + 1);
  const head = matrix[column][column];
  if (below.every(row => row[column] === 0)) {
    matrix[column][column] = -Math.sign(head);
    return;
  }
  const length = Math.hypot(head, ...below.map(row => row[column]));
  const turned = head < 0 ? length : -length;
  const scale = (turned - head) / turned;
  for (const row of below) row[column] /= head - turned;
  for (let c = column + 1; c < matrix[0].length; c++) {
    const along = below.reduce((sum, row) => sum + row[column] * row[c], matrix[column][c]) * scale;
    matrix[column][c] -= along;
    for (const row of below) row[c] -= along * row[column];
  }
  matrix[column][column] = Math.sign(turned);
}
