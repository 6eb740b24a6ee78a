/**
 * Long sums in blocks: a sum of floats that goes on for n steps loses up to n rounding errors, one of blocks no more than there
 * are steps in a block and blocks; very long ones have blocks of blocks (Higham, Accuracy and Stability of Numerical Algorithms,
 * section 4.2; PyTorch's "cascade summation" is one).
 *
 *   alloc register acc[1]: store acc[0] = 0
 *     serial k<5000: reduce acc[0] add= load x[k]
 * ->
 *   alloc register acc[1]: store acc[0] = 0
 *     serial kb<10: alloc register block[1]: store block[0] = 0
 *       serial k<500: reduce block[0] add= load x[kb*500 + k]
 *       reduce acc[0] add= load block[0]
 *
 * A schedule ends with this, when it is known how many steps each element takes: partial sums side by side, register tiles of
 * contractions and sums of single elements are all the same here, and so are loops that threads share, in which each thread
 * has a sum of its own. Sums of up to `LONGEST` steps stay as they are: their error is at most LONGEST / 2^25, about 4e-5, of
 * the sum of magnitudes, where all terms are equal, and far less where they are not.
 */
import {
  addIndex,
  affineOf,
  alloc,
  type Buffer,
  constant,
  type Expr,
  expressionsOf,
  index,
  iterOf,
  itersOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapExpr,
  mapStmtExprs,
  mulIndex,
  nest,
  reduce,
  type Stmt,
  sameExpr,
  store,
  substitute,
  walkExpr,
  walkStmts,
  withBody,
} from '../ir/kernel.js';

/** Steps that a sum may take in one go, and those of a block of a longer one. */
export const LONGEST = 1280;
const BLOCK = 512;

type Loop = Extract<Stmt, { kind: 'loop' }>;
type Scope = Buffer['scope'];

/** The kernel with its long sums in blocks, where they are kept in such memory. */
export const withLongSumsInBlocks = (kernel: Kernel, scopes: readonly Scope[]): Kernel =>
  withBody(
    kernel,
    kernel.body.map(stmt => inside(stmt, scopes, 0)),
  );

/** Each buffer of partial sums where it is allocated. `threads`: how many share the loops over threads there; 0 outside them. */
function inside(stmt: Stmt, scopes: readonly Scope[], threads: number): Stmt {
  if (stmt.kind === 'loop') {
    const inner = threads === 0 && stmt.map === 'thread.x' ? stmt.iter.extent : threads;
    return withBody(
      stmt,
      stmt.body.map(each => inside(each, scopes, inner)),
    );
  }
  if (stmt.kind !== 'alloc') return stmt;
  const body = stmt.body.map(inner => inside(inner, scopes, threads));
  const isOfSums = stmt.buffer.dtype === 'float32' && scopes.includes(stmt.buffer.scope);
  return withBody(stmt, isOfSums ? body.flatMap(inner => inBlocks(inner, stmt.buffer, threads)) : body);
}

/** A statement with what it adds to a buffer in many steps added in blocks. */
function inBlocks(stmt: Stmt, sums: Buffer, threads: number): Stmt[] {
  if ((stmt.kind !== 'loop' && stmt.kind !== 'alloc') || longest([stmt], sums, threads) <= LONGEST) return [stmt];
  if (stmt.kind === 'alloc' || !isWalked(stmt, threads) || stmt.limit !== null || !isOnlyAddedTo(sums, stmt))
    return [
      withBody(
        stmt,
        stmt.body.flatMap(inner => inBlocks(inner, sums, threads)),
      ),
    ];
  const steps = longest(stmt.body, sums, threads);
  if (steps > BLOCK) return inBlocks({ ...stmt, body: asBlock(stmt.body, sums, threads) }, sums, threads);
  const { iter } = stmt;
  const sharers = stmt.map === 'serial' ? 1 : threads;
  const size = sharers * sizeOfBlocks(Math.floor(iter.extent / sharers), Math.floor(BLOCK / steps));
  const rest = iter.extent % size;
  const blocks = makeIter(`${iter.name}b`, (iter.extent - rest) / size);
  const block = asBlock([part(stmt, mulIndex(iterOf(blocks), size), size)], sums, threads);
  return [
    ...nest([blocks], 'serial', block).flatMap(whole => inBlocks(whole, sums, threads)),
    ...(rest > 0 ? asBlock([part(stmt, index(iter.extent - rest), rest)], sums, threads) : []),
  ];
}

/** Whether a thread takes the iterations of a loop, or its share of them, one after the other. */
const isWalked = ({ map }: Loop, threads: number): boolean => map === 'serial' || (map === 'thread.x' && threads > 0);

/** At most so many iterations; somewhat fewer where then none are left for code of their own. */
function sizeOfBlocks(extent: number, most: number): number {
  for (let size = most; size > most / 2; size--) if (extent % size === 0) return size;
  return most;
}

/** So many iterations of a loop, from the first on. */
function part({ iter, map, body }: Loop, first: Expr, count: number): Stmt {
  const within = makeIter(iter.name, count);
  const values = new Map([[iter, addIndex(first, iterOf(within))]]);
  return loop(
    within,
    map,
    body.map(stmt => mapStmtExprs(stmt, expr => substitute(expr, values))),
  );
}

/** Statements whose sums begin at zero, and are then added to those there are. */
function asBlock(body: readonly Stmt[], sums: Buffer, threads: number): Stmt[] {
  const block: Buffer = { ...sums, name: `${sums.name}block` };
  const each = eachOf(sums, lanesOf(body, sums));
  return [
    alloc(block, [
      each(at => store(block, at, constant('float32', 0))),
      ...body.flatMap(stmt => inBlocks(addingTo(stmt, sums, block), block, threads)),
      each(at => reduce(sums, at, 'add', load(block, at))),
    ]),
  ];
}

function addingTo(stmt: Stmt, from: Buffer, to: Buffer): Stmt {
  if (stmt.kind === 'reduce') return stmt.buffer === from ? { ...stmt, buffer: to } : stmt;
  if (stmt.kind === 'store' && stmt.buffer === from) {
    const moved = mapExpr(stmt.value, expr =>
      expr.kind === 'load' && expr.buffer === from ? load(to, expr.index) : null,
    );
    return store(to, stmt.index, moved);
  }
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return stmt;
  return { ...stmt, body: stmt.body.map(inner => addingTo(inner, from, to)) };
}

/** A statement for each element of a buffer, by vectors of so many lanes. */
function eachOf({ size, scope }: Buffer, lanes: number): (body: (at: Expr) => Stmt) => Stmt {
  const [vector, lane] = [makeIter('u', size / lanes), makeIter('l', lanes)];
  const at = addIndex(mulIndex(iterOf(vector), lanes), iterOf(lane));
  return body => {
    const one = lanes === 1 ? body(at) : loop(lane, 'vector', [body(at)]);
    return size === lanes ? one : loop(vector, scope === 'register' ? 'unroll' : 'parallel', [one]);
  };
}

/** The lanes of the vector loops in which a buffer is added to; 1 where there are none. */
function lanesOf(body: readonly Stmt[], sums: Buffer): number {
  let lanes = 1;
  walkStmts(body, stmt => {
    if (stmt.kind === 'loop' && stmt.map === 'vector' && longest(stmt.body, sums, 0) > 0) lanes = stmt.iter.extent;
  });
  return lanes;
}

/** Whether nothing else is done with a buffer in a loop, so that sums may begin anew anywhere. */
function isOnlyAddedTo(sums: Buffer, root: Stmt): boolean {
  let isOnlyAdded = true;
  walkStmts([root], stmt => {
    if (stmt.kind === 'if') isOnlyAdded &&= !isWritten(sums, [...stmt.then, ...stmt.otherwise]);
    if (stmt.kind === 'store' || stmt.kind === 'reduce' || stmt.kind === 'allreduce')
      isOnlyAdded &&= stmt.buffer !== sums || addedBy(stmt) > 0;
    const loads = expressionsOf(stmt).flatMap(expr => loadsOf(expr, sums));
    isOnlyAdded &&= loads.length === (stmt.kind === 'store' && stmt.buffer === sums ? 1 : 0);
  });
  return isOnlyAdded;
}

function isWritten(buffer: Buffer, stmts: readonly Stmt[]): boolean {
  let found = false;
  walkStmts(stmts, stmt => {
    found ||= 'buffer' in stmt && stmt.kind !== 'alloc' && stmt.buffer === buffer;
  });
  return found;
}

/** How many values a statement adds to its element, be it written as a reduction or a[i] = a[i] + x + y; 0 if it does not. */
function addedBy(stmt: Stmt): number {
  if (stmt.kind === 'reduce') return stmt.fn === 'add' && !stmt.atomic ? 1 : 0;
  if (stmt.kind !== 'store') return 0;
  let [first, count] = [stmt.value, 0];
  for (; first.kind === 'call' && first.fn === 'add'; count++) {
    if (loadsOf(first.args[1], stmt.buffer).length > 0) return 0;
    first = first.args[0];
  }
  return first.kind === 'load' && first.buffer === stmt.buffer && sameExpr(first.index, stmt.index) ? count : 0;
}

function loadsOf(root: Expr, buffer: Buffer): Expr[] {
  const found: Expr[] = [];
  walkExpr(root, expr => {
    if (expr.kind === 'load' && expr.buffer === buffer) found.push(expr);
  });
  return found;
}

/** How many values are added to one element of a buffer, one after the other, at most. */
function longest(stmts: readonly Stmt[], sums: Buffer, threads: number): number {
  return Math.max(0, ...stepsOf(stmts, sums, threads).values());
}

/** The same for the elements that lie at a distance from where the counters of loops point to, by that distance. */
function stepsOf(stmts: readonly Stmt[], sums: Buffer, threads: number): Map<number, number> {
  const steps = new Map<number, number>();
  const visit = (stmt: Stmt, loops: readonly Loop[]): void => {
    if ((stmt.kind === 'reduce' || stmt.kind === 'store') && stmt.buffer === sums) {
      const { offset } = affineOf(stmt.index);
      const times = loops.reduce((product, each) => product * timesOf(each, stmt.index, threads), addedBy(stmt));
      steps.set(offset, (steps.get(offset) ?? 0) + times);
    }
    if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return;
    const around = stmt.kind === 'loop' ? [...loops, stmt] : loops;
    for (const inner of stmt.body) visit(inner, around);
  };
  for (const stmt of stmts) visit(stmt, []);
  return steps;
}

/** How often one thread comes by the same element in a loop. */
function timesOf(stmt: Loop, at: Expr, threads: number): number {
  const { iter, map } = stmt;
  if (map === 'unroll') return itersOf(at).has(iter) ? 1 : iter.extent;
  return isWalked(stmt, threads) ? Math.ceil(iter.extent / (map === 'serial' ? 1 : threads)) : 1;
}
