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
 * contractions and sums of single elements are all the same here. Sums of up to `LONGEST` steps stay as they are: their error
 * is at most LONGEST / 2^25, about 4e-5, of the sum of magnitudes, where all terms are equal, and far less where they are not.
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
const LONGEST = 1280;
const BLOCK = 512;

type Loop = Extract<Stmt, { kind: 'loop' }>;

/** The kernel with its long sums in blocks; of buffers with more than `most` elements there is no room for another. */
export const withLongSumsInBlocks = (kernel: Kernel, most = Number.POSITIVE_INFINITY): Kernel =>
  withBody(
    kernel,
    kernel.body.map(stmt => inside(stmt, most)),
  );

/** Each buffer of partial sums where it is allocated. */
function inside(stmt: Stmt, most: number): Stmt {
  if (stmt.kind === 'loop')
    return withBody(
      stmt,
      stmt.body.map(inner => inside(inner, most)),
    );
  if (stmt.kind !== 'alloc') return stmt;
  const body = stmt.body.map(inner => inside(inner, most));
  const { dtype, scope, size } = stmt.buffer;
  const isOfSums = dtype === 'float32' && (scope === 'register' || scope === 'local') && size <= most;
  return withBody(stmt, isOfSums ? body.flatMap(inner => inBlocks(inner, stmt.buffer)) : body);
}

/** A statement with what it adds to a buffer in many steps added in blocks. */
function inBlocks(stmt: Stmt, sums: Buffer): Stmt[] {
  if ((stmt.kind !== 'loop' && stmt.kind !== 'alloc') || longest([stmt], sums) <= LONGEST) return [stmt];
  if (stmt.kind === 'alloc' || stmt.map !== 'serial' || stmt.limit !== null || !isOnlyAddedTo(sums, stmt))
    return [
      withBody(
        stmt,
        stmt.body.flatMap(inner => inBlocks(inner, sums)),
      ),
    ];
  const steps = longest(stmt.body, sums);
  if (steps > BLOCK) return inBlocks({ ...stmt, body: asBlock(stmt.body, sums) }, sums);
  const { iter } = stmt;
  const size = sizeOfBlocks(iter.extent, Math.floor(BLOCK / steps));
  const rest = iter.extent % size;
  const blocks = makeIter(`${iter.name}b`, (iter.extent - rest) / size);
  return [
    ...nest([blocks], 'serial', asBlock(part(stmt, mulIndex(iterOf(blocks), size), size), sums)).flatMap(whole =>
      inBlocks(whole, sums),
    ),
    ...(rest > 0 ? asBlock(part(stmt, index(iter.extent - rest), rest), sums) : []),
  ];
}

/** At most so many iterations; somewhat fewer where then none are left for code of their own. */
function sizeOfBlocks(extent: number, most: number): number {
  for (let size = most; size > most / 2; size--) if (extent % size === 0) return size;
  return most;
}

/** So many iterations of a loop, from the first on. */
function part({ iter, body }: Loop, first: Expr, count: number): Stmt[] {
  const within = makeIter(iter.name, count);
  const values = new Map([[iter, addIndex(first, iterOf(within))]]);
  return nest(
    [within],
    'serial',
    body.map(stmt => mapStmtExprs(stmt, expr => substitute(expr, values))),
  );
}

/** Statements whose sums begin at zero, and are then added to those there are. */
function asBlock(body: readonly Stmt[], sums: Buffer): Stmt[] {
  const block: Buffer = { ...sums, name: `${sums.name}block` };
  const each = eachOf(sums, lanesOf(body, sums));
  return [
    alloc(block, [
      each(at => store(block, at, constant('float32', 0))),
      ...body.flatMap(stmt => inBlocks(addingTo(stmt, sums, block), block)),
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
    if (stmt.kind === 'loop' && stmt.map === 'vector' && longest(stmt.body, sums) > 0) lanes = stmt.iter.extent;
  });
  return lanes;
}

/** Whether nothing else is done with a buffer in a loop, so that sums may begin anew anywhere. */
function isOnlyAddedTo(sums: Buffer, root: Stmt): boolean {
  let isOnlyAdded = true;
  walkStmts([root], stmt => {
    if (stmt.kind === 'if') isOnlyAdded = false;
    if (stmt.kind === 'store' || stmt.kind === 'reduce' || stmt.kind === 'allreduce')
      isOnlyAdded &&= stmt.buffer !== sums || addedBy(stmt) > 0;
    const loads = expressionsOf(stmt).flatMap(expr => loadsOf(expr, sums));
    isOnlyAdded &&= loads.length === (stmt.kind === 'store' && stmt.buffer === sums ? 1 : 0);
  });
  return isOnlyAdded;
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
const longest = (stmts: readonly Stmt[], sums: Buffer): number => Math.max(0, ...stepsOf(stmts, sums).values());

/** The same for the elements that lie at a distance from where the counters of loops point to, by that distance. */
function stepsOf(stmts: readonly Stmt[], sums: Buffer): Map<number, number> {
  const steps = new Map<number, number>();
  const add = (at: number, count: number): Map<number, number> => steps.set(at, (steps.get(at) ?? 0) + count);
  for (const stmt of stmts) {
    if ((stmt.kind === 'reduce' || stmt.kind === 'store') && stmt.buffer === sums)
      add(affineOf(stmt.index).offset, addedBy(stmt));
    if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') continue;
    const times = stmt.kind === 'loop' && stmt.map === 'serial' ? stmt.iter.extent : 1;
    for (const [at, count] of stepsOf(stmt.body, sums)) add(at, times * count);
  }
  return steps;
}
