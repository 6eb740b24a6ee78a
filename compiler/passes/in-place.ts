/**
 * May a kernel write its result over one of its inputs?
 *
 *   for i in parallel(n):                          for i in parallel(n):
 *     out[i] = p[i] - 0.1 * g[i]        ->           p[i] = p[i] - 0.1 * g[i]
 *
 * It may where each element of the input is read only on the way to the very element that replaces it: one store, reached
 * once per element, and all loads in its value or in stores just before it, at its index. The two parameters then become one
 * that is read and written, so that a backend sees the kernel for what it is.
 */
import {
  affineOf,
  type Buffer,
  type Expr,
  expressionsOf,
  type Iter,
  type Kernel,
  load,
  mapExpr,
  mapStmtExprs,
  type Stmt,
  sameExpr,
  subIndex,
  walkExpr,
  walkStmts,
} from '../ir/kernel.js';

/** Something a statement does with a buffer: where the statement stands, and the index. */
interface Access {
  readonly block: readonly Stmt[];
  readonly position: number;
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
  const before = (access: Access): boolean =>
    access.block === store.block && access.position <= store.position && access.stmt.kind === 'store';
  return reachesEachOnce(store) && loads.every(access => before(access) && sameIndex(access.index, store.index));
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
  const visit = (block: readonly Stmt[], loops: readonly Iter[]): void => {
    for (const [position, stmt] of block.entries()) {
      for (const expr of expressionsOf(stmt)) {
        walkExpr(expr, e => {
          if (e.kind === 'load' && e.buffer === input) loads.push({ block, position, stmt, index: e.index, loops });
        });
      }
      if (stmt.kind === 'store' && stmt.buffer === output)
        stores.push({ block, position, stmt, index: stmt.index, loops });
      if ((stmt.kind === 'reduce' || stmt.kind === 'allreduce') && stmt.buffer === output) combines = true;
      if (stmt.kind === 'loop') visit(stmt.body, stmt.iter.extent === 1 ? loops : [...loops, stmt.iter]);
      if (stmt.kind === 'alloc') visit(stmt.body, loops);
      if (stmt.kind === 'if') for (const branch of [stmt.then, stmt.otherwise]) visit(branch, loops);
    }
  };
  visit(body, []);
  return { loads, stores, combines };
}

const sameIndex = (a: Expr, b: Expr): boolean => {
  if (sameExpr(a, b)) return true;
  const difference = subIndex(a, b);
  return difference.kind === 'const' && Number(difference.value) === 0;
};

/** A mixed-radix number in all the loops around it: no two iterations give the same index. */
function reachesEachOnce({ index, loops }: Access): boolean {
  const { terms } = affineOf(index);
  if (!terms.every(term => term.expr.kind === 'iter')) return false;
  const digits = loops.map(iter => ({
    iter,
    weight: Math.abs(terms.find(term => term.expr.kind === 'iter' && term.expr.iter === iter)?.coefficient ?? 0),
  }));
  let reach = 0;
  for (const { iter, weight } of digits.sort((a, b) => a.weight - b.weight)) {
    if (weight <= reach) return false;
    reach += weight * (iter.extent - 1);
  }
  return true;
}
