/**
 * May a kernel write its result over one of its inputs?
 *
 *   for i in parallel(n):                          for i in parallel(n):
 *     out[i] = p[i] - 0.1 * g[i]        ->           p[i] = p[i] - 0.1 * g[i]
 *
 * It may where each element of the input is read for the last time on the way to the very element that replaces it: one store,
 * reached once per element, with loads at its index in its value or in stores just before it. What the same iteration of the
 * loops around has read before that may be anything of the part that this iteration replaces, as a row whose largest element
 * and sum are known before its quotients are stored. The two parameters then become one that is read and written, so that a
 * backend sees the kernel for what it is.
 */
import {
  addIndex,
  affineOf,
  type Buffer,
  type Expr,
  expressionsOf,
  type Iter,
  index,
  type Kernel,
  load,
  mapExpr,
  mapStmtExprs,
  mulIndex,
  rangeOf,
  type Stmt,
  sameExpr,
  subIndex,
  walkExpr,
  walkStmts,
} from '../ir/kernel.js';
import { reachesEachOnce } from '../ir/nests.js';

/** Something a statement does with a buffer: the statements around it with their places, itself last, and the index. */
interface Access {
  readonly path: readonly { readonly block: readonly Stmt[]; readonly position: number }[];
  readonly stmt: Stmt;
  readonly index: Expr;
  readonly loops: readonly Iter[];
}

/** Is the kernel right when `input` and `output` are the same memory? */
export function canShareMemory(kernel: Kernel, input: Buffer, output: Buffer): boolean {
  if (input.dtype !== output.dtype || input.size !== output.size) return false;
  const { loads, stores, combines } = accessesOf(kernel.body, input, output);
  if (stores.length !== 1 || combines) return false;
  const [store] = stores;
  return (
    reachesEachOnce(store.index, store.loops) &&
    loads.every(access => isOnTheWay(access, store) || isOfSamePart(access, store))
  );
}

/** Does a kernel only map elements, without accumulating? */
export function isElementwise(kernel: Kernel): boolean {
  let accumulates = false;
  walkStmts(kernel.body, stmt => {
    if (stmt.kind === 'reduce' || stmt.kind === 'allreduce') accumulates = true;
  });
  return !accumulates;
}

/** The kernel with the parameter `input` dropped and `output` read in its place. */
export function shareMemory(kernel: Kernel, input: Buffer, output: Buffer): Kernel {
  const redirect = (expr: Expr): Expr =>
    mapExpr(expr, e => (e.kind === 'load' && e.buffer === input ? load(output, redirect(e.index)) : null));
  return {
    ...kernel,
    params: kernel.params
      .filter(({ buffer }) => buffer !== input)
      .map(param => (param.buffer === output ? { buffer: output, access: 'readwrite' as const } : param)),
    body: kernel.body.map(stmt => mapStmtExprs(stmt, redirect)),
  };
}

function accessesOf(
  body: readonly Stmt[],
  input: Buffer,
  output: Buffer,
): { loads: Access[]; stores: Access[]; combines: boolean } {
  const loads: Access[] = [];
  const stores: Access[] = [];
  let combines = false;
  const visit = (block: readonly Stmt[], loops: readonly Iter[], around: Access['path']): void => {
    for (const [position, stmt] of block.entries()) {
      const path = [...around, { block, position }];
      for (const expr of expressionsOf(stmt)) {
        walkExpr(expr, e => {
          if (e.kind === 'load' && e.buffer === input) loads.push({ path, stmt, index: e.index, loops });
        });
      }
      if (stmt.kind === 'store' && stmt.buffer === output) stores.push({ path, stmt, index: stmt.index, loops });
      if ((stmt.kind === 'reduce' || stmt.kind === 'allreduce') && stmt.buffer === output) combines = true;
      if (stmt.kind === 'loop') visit(stmt.body, stmt.iter.extent === 1 ? loops : [...loops, stmt.iter], path);
      if (stmt.kind === 'alloc') visit(stmt.body, loops, path);
      if (stmt.kind === 'if') for (const branch of [stmt.then, stmt.otherwise]) visit(branch, loops, path);
    }
  };
  visit(body, [], []);
  return { loads, stores, combines };
}

/** In the store itself, or in one before it in the same block, at its index. */
function isOnTheWay(access: Access, store: Access): boolean {
  const [at, end] = [access.path.at(-1)!, store.path.at(-1)!];
  const isBefore = at.block === end.block && at.position <= end.position && access.stmt.kind === 'store';
  return isBefore && sameIndex(access.index, store.index);
}

/** Before the store in the same iteration of the loops around both, and of the part that this iteration alone replaces. */
function isOfSamePart(access: Access, store: Access): boolean {
  const level = store.path.findIndex(
    ({ block, position }, i) => access.path[i]?.block !== block || access.path[i].position !== position,
  );
  const [at, end] = [access.path[level], store.path[level]];
  if (at === undefined || at.block !== end.block || at.position > end.position) return false;
  const part = partOf(
    store,
    store.loops.filter(iter => access.loops.includes(iter)),
  );
  return [access, store].every(({ index: place }) => {
    const rest = rangeOf(subIndex(place, part.start));
    return rest !== null && rest.min >= 0 && rest.max < part.size;
  });
}

/** The elements that an iteration of loops has for itself, if it has any: their counters move it by multiples of its size. */
function partOf(access: Access, loops: readonly Iter[]): { readonly start: Expr; readonly size: number } {
  const terms = affineOf(access.index).terms.filter(({ expr }) => expr.kind === 'iter' && loops.includes(expr.iter));
  const size = terms.reduce((least, { coefficient }) => Math.min(least, coefficient), Number.POSITIVE_INFINITY);
  const start = terms.reduce<Expr>(
    (sum, { expr, coefficient }) => addIndex(sum, mulIndex(expr, coefficient)),
    index(0),
  );
  return { start, size: terms.every(({ coefficient }) => coefficient % size === 0) ? size : 0 };
}

const sameIndex = (a: Expr, b: Expr): boolean => {
  if (sameExpr(a, b)) return true;
  const difference = subIndex(a, b);
  return difference.kind === 'const' && Number(difference.value) === 0;
};
