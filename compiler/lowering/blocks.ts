/**
 * Loops around slabs (`slabs.ts`) taken in blocks: what each statement does is done for a block of iterations before the next
 * statement begins, with as many slabs side by side.
 *
 *   parallel i<512: alloc local slab[T]:          parallel ib<16: alloc local slab[32*T]:
 *     parallel j: slab[j] = Σ q·k             ->    parallel ii<32: parallel j: slab[ii*T + j] = Σ q·k
 *     p[i, :] = softmax of slab                     parallel ii<32: p[ib*32 + ii, :] = softmax of slab[ii*T …]
 *
 * The iterations are independent, so this changes nothing that is computed. A block of all of them gives back the nests that
 * there were before, with the whole tensor between them.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  type Expr,
  type Iter,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  mapExpr,
  mulIndex,
  nest,
  type Stmt,
} from '../ir/kernel.js';

type Loop = Extract<Stmt, { kind: 'loop' }>;
type Alloc = Extract<Stmt, { kind: 'alloc' }>;
type Slab = Alloc & { readonly buffer: { readonly scope: 'local' } };

/** A loop over nothing but slabs: what is done with them in one iteration are rows and nests of parallel loops. */
export const isSlabLoop = (stmt: Stmt): stmt is Loop =>
  stmt.kind === 'loop' &&
  stmt.map === 'parallel' &&
  stmt.limit === null &&
  stmt.body.length === 1 &&
  isSlab(stmt.body[0]) &&
  stmt.body.every(isOfSlab);

const isSlab = (stmt: Stmt): stmt is Slab => stmt.kind === 'alloc' && stmt.buffer.scope === 'local';

function isOfSlab(stmt: Stmt): boolean {
  if (isSlab(stmt)) return stmt.body.every(isOfSlab);
  return (
    (stmt.kind === 'loop' && stmt.map === 'parallel') || (stmt.kind === 'alloc' && stmt.buffer.scope === 'register')
  );
}

/** A loop over slabs in blocks of `size` iterations, and what is left. */
export function inBlocks({ iter, body }: Loop, size: number): Stmt[] {
  const whole = Math.floor(iter.extent / size);
  const rest = iter.extent % size;
  const block = makeIter(`${iter.name}b`, whole);
  return [
    ...(whole > 0 ? nest([block], 'parallel', blockOf(iter, mulIndex(iterOf(block), size), size, body)) : []),
    ...(rest > 0 ? blockOf(iter, index(whole * size), rest, body) : []),
  ];
}

/** All iterations in one block. */
export const inOneBlock = (stmt: Loop): Stmt[] => inBlocks(stmt, stmt.iter.extent);

/** What the iterations from `first` on do, statement by statement. */
function blockOf(iter: Iter, first: Expr, count: number, stmts: readonly Stmt[]): Stmt[] {
  const widened = new Map<Buffer, Buffer>();
  const distributed = (stmt: Stmt): Stmt => {
    if (isSlab(stmt)) {
      widened.set(stmt.buffer, { ...stmt.buffer, size: stmt.buffer.size * count });
      return alloc(widened.get(stmt.buffer)!, stmt.body.map(distributed));
    }
    const inner = makeIter(`${iter.name}i`, count);
    const move: Move = (buffer, at) => {
      const to = widened.get(buffer);
      return to === undefined
        ? { buffer, index: at }
        : { buffer: to, index: addIndex(mulIndex(iterOf(inner), buffer.size), at) };
    };
    const image = moved(stmt, new Map([[iter, addIndex(first, iterOf(inner))]]), move);
    return count === 1 ? image : loop(inner, 'parallel', [image]);
  };
  return stmts.map(distributed);
}

/** Where an access goes instead. */
export type Move = (buffer: Buffer, index: Expr) => { readonly buffer: Buffer; readonly index: Expr };

/** A statement with other values for counters, and its accesses moved. */
export function moved(root: Stmt, counters: ReadonlyMap<Iter, Expr>, move: Move): Stmt {
  const expression = (expr: Expr): Expr =>
    mapExpr(expr, part => {
      if (part.kind === 'iter') return counters.get(part.iter) ?? null;
      if (part.kind !== 'load') return null;
      const to = move(part.buffer, expression(part.index));
      return load(to.buffer, to.index);
    });
  const statement = (stmt: Stmt): Stmt => {
    switch (stmt.kind) {
      case 'loop':
        return { ...stmt, limit: stmt.limit && expression(stmt.limit), body: stmt.body.map(statement) };
      case 'store':
      case 'reduce':
        return { ...stmt, ...move(stmt.buffer, expression(stmt.index)), value: expression(stmt.value) };
      case 'allreduce':
        return { ...stmt, ...move(stmt.buffer, expression(stmt.index)) };
      case 'if':
        return {
          ...stmt,
          cond: expression(stmt.cond),
          // biome-ignore lint/suspicious/noThenProperty: an if statement of the loop IR; nothing awaits it
          then: stmt.then.map(statement),
          otherwise: stmt.otherwise.map(statement),
        };
      case 'alloc':
        return { ...stmt, body: stmt.body.map(statement) };
      case 'barrier':
        return stmt;
      default:
        return stmt satisfies never;
    }
  };
  return statement(root);
}
