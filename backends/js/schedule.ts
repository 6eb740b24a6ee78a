/**
 * Register tiling for JavaScript: the one schedule eager's contractions get. The oracle runs without it.
 *
 *   parallel i<M: parallel j<N: acc = 0; serial k<K: acc += a(i, k) * b(k, j); out[i, j] = acc
 * -> parallel io<M/4: parallel jo<N/4: acc[16] = 0; serial k<K: 16 × acc[..] += a(4·io+ii, k) * b(k, 4·jo+jj); 16 stores
 *    and the same with smaller tiles for what is left at the edges
 *
 * Four loads of each operand then serve sixteen products. Operands may be any expressions: i is a loop that only the first
 * reads, j one that only the second reads.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  type Expr,
  type Iter,
  index,
  iterOf,
  itersOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapExpr,
  mulIndex,
  reduce,
  type Stmt,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { Pass } from '../../compiler/pass.js';

const tileSize = 4;

interface Contraction {
  readonly parallel: readonly Iter[];
  readonly serial: readonly Iter[];
  readonly acc: Buffer;
  readonly initial: Expr;
  readonly left: Expr;
  readonly right: Expr;
  readonly rest: readonly Stmt[];
}

/** A nest in the form of a contraction, taken apart; null for any other. */
function matchContraction(stmt: Stmt): Contraction | null {
  const { iters: parallel, body: inner } = perfectNest([stmt], 'parallel');
  const [allocation] = inner;
  if (inner.length !== 1 || allocation.kind !== 'alloc' || allocation.buffer.size !== 1) return null;
  const [init, accumulate, ...rest] = allocation.body;
  if (init?.kind !== 'store' || init.buffer !== allocation.buffer || accumulate?.kind !== 'loop') return null;
  const { iters: serial, body } = perfectNest([accumulate], 'serial');
  const [sum] = body;
  if (body.length !== 1 || sum.kind !== 'reduce' || sum.fn !== 'add' || sum.buffer !== allocation.buffer) return null;
  if (sum.value.kind !== 'call' || sum.value.fn !== 'mul' || rest.some(s => s.kind !== 'store')) return null;
  const [left, right] = sum.value.args;
  return { parallel, serial, acc: allocation.buffer, initial: init.value, left, right, rest };
}

function tileContraction(stmt: Stmt): Stmt[] {
  const found = matchContraction(stmt);
  if (found === null) return [stmt];
  const [inLeft, inRight] = [itersOf(found.left), itersOf(found.right)];
  const widest = (iters: readonly Iter[]): Iter | undefined => [...iters].sort((a, b) => b.extent - a.extent)[0];
  const i = widest(found.parallel.filter(iter => inLeft.has(iter) && !inRight.has(iter)));
  const j = widest(found.parallel.filter(iter => inRight.has(iter) && !inLeft.has(iter)));
  if (!i || !j) return [stmt];
  const others = found.parallel.filter(iter => iter !== i && iter !== j);
  const tiles = spans(i.extent).flatMap(rows => spans(j.extent).flatMap(columns => tile(found, i, j, rows, columns)));
  return others.reduceRight<Stmt[]>((body, iter) => [loop(iter, 'parallel', body)], tiles);
}

/** [0, extent) as whole tiles and a remainder. */
function spans(extent: number): { start: number; count: number; width: number }[] {
  const whole = Math.floor(extent / tileSize);
  const rest = extent - whole * tileSize;
  return [
    ...(whole > 0 ? [{ start: 0, count: whole, width: tileSize }] : []),
    ...(rest > 0 ? [{ start: whole * tileSize, count: 1, width: rest }] : []),
  ];
}

type Span = ReturnType<typeof spans>[number];

function tile(
  { serial, acc, initial, left, right, rest }: Contraction,
  i: Iter,
  j: Iter,
  rows: Span,
  columns: Span,
): Stmt[] {
  const size = rows.width * columns.width;
  const tiled: Buffer = { ...acc, size };
  const [io, jo] = [makeIter(i.name, rows.count), makeIter(j.name, columns.count)];
  const at = (outer: Iter, span: Span, k: number): Expr =>
    addIndex(mulIndex(iterOf(outer), span.width), span.start + k);
  const lefts = range(rows.width).map(r => substitute(left, new Map([[i, at(io, rows, r)]])));
  const rights = range(columns.width).map(c => substitute(right, new Map([[j, at(jo, columns, c)]])));
  const cells = range(rows.width).flatMap(r =>
    range(columns.width).map(c => ({ r, c, place: index(r * columns.width + c) })),
  );
  const sums = cells.map(({ r, c, place }) => reduce(tiled, place, 'add', call('mul', lefts[r], rights[c])));
  const stores = cells.flatMap(({ r, c, place }) => {
    const position = new Map([
      [i, at(io, rows, r)],
      [j, at(jo, columns, c)],
    ]);
    const settle = (expr: Expr): Expr =>
      mapExpr(expr, e =>
        e.kind === 'load' && e.buffer === acc
          ? load(tiled, place)
          : e.kind === 'iter'
            ? (position.get(e.iter) ?? null)
            : null,
      );
    return rest.map(s => (s.kind === 'store' ? store(s.buffer, settle(s.index), settle(s.value)) : s));
  });
  const accumulate = serial.reduceRight<Stmt[]>((body, iter) => [loop(iter, 'serial', body)], sums);
  const body = alloc(tiled, [...cells.map(({ place }) => store(tiled, place, initial)), ...accumulate, ...stores]);
  return [loop(io, 'parallel', [loop(jo, 'parallel', [body])])];
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

export const registerTile: Pass<Kernel> = {
  name: 'register-tile',
  doc: 'Computes 4 × 4 outputs of a contraction at a time.',
  run: kernel => ({ ...kernel, body: kernel.body.flatMap(tileContraction) }),
};
