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
  addIndex,
  alloc,
  type Buffer,
  call,
  constant,
  type Expr,
  index,
  iterOf,
  load,
  makeIter,
  mulIndex,
  nest,
  type Stmt,
  store,
} from '../../compiler/ir/kernel.js';
import type { PairedMatrix } from './cook-toom.js';
import { register } from './operand.js';

/** A place in a row-major array. */
export const rowMajor = (at: readonly Expr[], extents: readonly number[]): Expr =>
  at.reduce<Expr>((sum, position, d) => addIndex(mulIndex(sum, extents[d]), position), index(0));

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

function alongDims({ matrix, dims, lanes, write, ...rest }: Cubes, dim: number, read: Cubes['read']): Stmt[] {
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
  return [alloc(between, [...stmts, ...alongDims({ matrix, dims, lanes, write, ...rest }, dim + 1, readBetween)])];
}

/** A matrix times one vector. */
function times(matrix: PairedMatrix, read: (j: number) => Expr, write: (i: number, value: Expr) => Stmt): Stmt {
  const { rows, pairs, paired } = matrix;
  const count = rows[0].length;
  const values = register('v', count + 2 * pairs.length);
  const value = (j: number): Expr => load(values, index(j));
  const keep = (j: number, expr: Expr): Stmt => store(values, index(j), expr);
  const taken = Array.from({ length: count }, (_, j) => keep(j, read(j)));
  const [sum, difference] = [(pair: number) => count + 2 * pair, (pair: number) => count + 2 * pair + 1];
  const isPaired = (i: number): boolean => pairs.some(pair => pair.includes(i));

  if (paired === 'columns') {
    const halves = pairs.flatMap(([a, b], k) => [
      keep(sum(k), call('add', value(a), value(b))),
      keep(difference(k), call('sub', value(a), value(b))),
    ]);
    const outputs = rows.map((row, i) => {
      const alone = row.flatMap((c, j): Term[] => (isPaired(j) ? [] : [[c, value(j)]]));
      const inPairs = pairs.map(([a, b], k): Term => [row[a], value(row[a] === row[b] ? sum(k) : difference(k))]);
      return write(i, weighted([...alone, ...inPairs]));
    });
    return alloc(values, [...taken, ...halves, ...outputs]);
  }
  const terms = (row: readonly number[]): Term[] => row.map((c, j) => [c, value(j)]);
  const halves = pairs.flatMap(([a, b], k) => {
    const isEqual = rows[a].map((c, j) => c === rows[b][j]);
    return [
      keep(sum(k), weighted(terms(rows[a]).filter((_, j) => isEqual[j]))),
      keep(difference(k), weighted(terms(rows[a]).filter((_, j) => !isEqual[j]))),
    ];
  });
  const alone = rows.flatMap((row, i) => (isPaired(i) ? [] : [write(i, weighted(terms(row)))]));
  const inPairs = pairs.flatMap(([a, b], k) => [
    write(a, call('add', value(sum(k)), value(difference(k)))),
    write(b, call('sub', value(sum(k)), value(difference(k)))),
  ]);
  return alloc(values, [...taken, ...halves, ...alone, ...inPairs]);
}

type Term = readonly [factor: number, value: Expr];

function weighted(terms: readonly Term[]): Expr {
  const [first, ...rest] = terms.filter(([c]) => c !== 0);
  const product = ([c, value]: Term): Expr => (c === 1 ? value : call('mul', value, constant('float32', c)));
  return rest.reduce<Expr>(
    (sum, [c, value]) => (c < 0 ? call('sub', sum, product([-c, value])) : call('add', sum, product([c, value]))),
    product(first),
  );
}
