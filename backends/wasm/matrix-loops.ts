/**
 * Loops that apply one small matrix along each dimension of many small cubes of numbers, the same elements of neighbouring
 * cubes side by side:
 *
 *   for each dimension d: parallel others, l: out[…, i, …, l] = Σ j: matrix[i][j] · in[…, j, …, l]
 *
 * Every matrix is written out, without its zeros and ones. What rows, or columns, of a pair have in common is computed once:
 * the sum of the terms of equal sign and that of the others give one row as their sum, the other as their difference.
 */
import {
  alloc,
  type Buffer,
  call,
  constant,
  type Expr,
  index,
  iterOf,
  load,
  makeIter,
  nest,
  type Stmt,
  store,
} from '../../compiler/ir/kernel.js';
import { rowMajor } from '../../compiler/ir/nests.js';
import type { PairedMatrix, Row } from './cook-toom.js';
import { register } from './operand.js';

export const local = (name: string, extents: readonly number[]): Buffer => ({
  name,
  dtype: 'float32',
  size: extents.reduce((size, extent) => size * extent, 1),
  scope: 'local',
});

export interface Cubes {
  readonly matrix: PairedMatrix;
  readonly dims: number;
  /** How many cubes there are. */
  readonly lanes: number;
  /** An element of a cube. */
  read(at: readonly Expr[], lane: Expr): Expr;
  write(at: readonly Expr[], lane: Expr, value: Expr): Stmt;
}

/** A matrix along every dimension in turn, with scratch memory in between. */
export const alongAllDims = (cubes: Cubes): Stmt[] => alongDims(cubes, 0, cubes.read);

function alongDims(cubes: Cubes, dim: number, read: Cubes['read']): Stmt[] {
  const { matrix, dims, lanes, write } = cubes;
  const [to, from] = [matrix.rows.length, matrix.rows[0].length];
  const isLast = dim === dims - 1;
  const lane = makeIter('l', lanes);
  const iters = Array.from({ length: dims }, (_, d) => makeIter(`i${d}`, d < dim ? to : from));
  const at = (moved: number): Expr[] => iters.map((iter, d) => (d === dim ? index(moved) : iterOf(iter)));
  const extents = [...iters.map((_, d) => (d <= dim ? to : from)), lanes];
  const between = local(`between${dim}`, extents);
  const put: Cubes['write'] = isLast ? write : (to, l, value) => store(between, rowMajor([...to, l], extents), value);
  const stmts = nest([...iters.filter((_, d) => d !== dim), lane], 'parallel', [
    times(
      matrix,
      j => read(at(j), iterOf(lane)),
      (i, value) => put(at(i), iterOf(lane), value),
    ),
  ]);
  if (isLast) return stmts;
  const readBetween: Cubes['read'] = (from, l) => load(between, rowMajor([...from, l], extents));
  return [alloc(between, [...stmts, ...alongDims(cubes, dim + 1, readBetween)])];
}

/** A matrix times one vector. */
function times(matrix: PairedMatrix, read: (j: number) => Expr, write: (i: number, value: Expr) => Stmt): Stmt {
  const { rows, pairs, paired } = matrix;
  const count = rows[0].length;
  const values = register('v', count + 2 * pairs.length);
  const element = (at: number): Element => ({
    value: load(values, index(at)),
    keep: value => store(values, index(at), value),
  });
  const vector = Array.from({ length: count }, (_, j) => element(j));
  const halves = pairs.map((_, k) => ({ sum: element(count + 2 * k), difference: element(count + 2 * k + 1) }));
  const product = paired === 'columns' ? pairedColumns : pairedRows;
  return alloc(values, [...vector.map(({ keep }, j) => keep(read(j))), ...product(matrix, vector, halves, write)]);
}

/** A number in a register. */
interface Element {
  readonly value: Expr;
  keep(value: Expr): Stmt;
}
interface Halves {
  readonly sum: Element;
  readonly difference: Element;
}
type Product = (
  matrix: PairedMatrix,
  vector: readonly Element[],
  halves: readonly Halves[],
  write: (i: number, value: Expr) => Stmt,
) => Stmt[];

/** Each row takes of a pair of elements their sum or their difference. */
const pairedColumns: Product = ({ rows, pairs }, vector, halves, write) => [
  ...pairs.flatMap(([a, b], k) => [
    halves[k].sum.keep(call('add', vector[a].value, vector[b].value)),
    halves[k].difference.keep(call('sub', vector[a].value, vector[b].value)),
  ]),
  ...rows.map((row, i) => {
    const alone = row.flatMap((c, j): Term[] => (isPaired(pairs, j) ? [] : [[c, vector[j].value]]));
    const inPairs = pairs.map(([a, b], k): Term => {
      const { sum, difference } = halves[k];
      return [row[a], row[a] === row[b] ? sum.value : difference.value];
    });
    return write(i, weighted([...alone, ...inPairs]));
  }),
];

/** A pair of rows is the sum and the difference of the terms that are equal in both and of those of opposite signs. */
const pairedRows: Product = ({ rows, pairs }, vector, halves, write) => {
  const terms = (row: Row): Term[] => row.map((c, j) => [c, vector[j].value]);
  return [
    ...pairs.flatMap(([a, b], k) => {
      const isEqual = rows[a].map((c, j) => c === rows[b][j]);
      return [
        halves[k].sum.keep(weighted(terms(rows[a]).filter((_, j) => isEqual[j]))),
        halves[k].difference.keep(weighted(terms(rows[a]).filter((_, j) => !isEqual[j]))),
      ];
    }),
    ...rows.flatMap((row, i) => (isPaired(pairs, i) ? [] : [write(i, weighted(terms(row)))])),
    ...pairs.flatMap(([a, b], k) => {
      const [sum, difference] = [halves[k].sum.value, halves[k].difference.value];
      return [write(a, call('add', sum, difference)), write(b, call('sub', sum, difference))];
    }),
  ];
};

const isPaired = (pairs: PairedMatrix['pairs'], i: number): boolean => pairs.some(pair => pair.includes(i));

type Term = readonly [factor: number, value: Expr];

function weighted(terms: readonly Term[]): Expr {
  const [first, ...rest] = terms.filter(([c]) => c !== 0);
  const product = ([c, value]: Term): Expr => (c === 1 ? value : call('mul', value, constant('float32', c)));
  return rest.reduce<Expr>(
    (sum, [c, value]) => (c < 0 ? call('sub', sum, product([-c, value])) : call('add', sum, product([c, value]))),
    product(first),
  );
}
