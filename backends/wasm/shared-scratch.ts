/**
 * Scratch memory that threads have in common: what is allocated outside of the loops that are divided among them is
 * `shared` instead of `local`.
 */
import { type Buffer, type Expr, load, mapExpr, mapStmtExprs, type Stmt } from '../../compiler/ir/kernel.js';
import { bodyOf } from './accesses.js';

export function withSharedScratch(given: readonly Stmt[]): readonly Stmt[] {
  const stmts = given.map(withOwnScratch);
  const shared = new Map<Buffer, Buffer>();
  const collect = (stmt: Stmt): void => {
    if (isDivided(stmt)) return;
    if (stmt.kind === 'alloc' && stmt.buffer.scope === 'local')
      shared.set(stmt.buffer, { ...stmt.buffer, scope: 'shared' });
    bodyOf(stmt).forEach(collect);
  };
  stmts.forEach(collect);
  return shared.size === 0 ? stmts : stmts.map(stmt => withBuffers(stmt, shared));
}

/** Copies of a statement may have a buffer in common: what is allocated in a loop that is divided is no other loop's. */
function withOwnScratch(stmt: Stmt): Stmt {
  if (!isDivided(stmt)) {
    return stmt.kind === 'loop' || stmt.kind === 'alloc' ? { ...stmt, body: stmt.body.map(withOwnScratch) } : stmt;
  }
  const own = new Map<Buffer, Buffer>();
  const collect = (inner: Stmt): void => {
    if (inner.kind === 'alloc' && inner.buffer.scope === 'local') own.set(inner.buffer, { ...inner.buffer });
    bodyOf(inner).forEach(collect);
  };
  collect(stmt);
  return own.size === 0 ? stmt : withBuffers(stmt, own);
}

/** A loop of which several threads run a part. */
export const isDivided = (stmt: Stmt): boolean =>
  stmt.kind === 'loop' && stmt.map === 'thread.x' && stmt.iter.extent > 1;

/** The same statements on other buffers. */
function withBuffers(root: Stmt, images: ReadonlyMap<Buffer, Buffer>): Stmt {
  const image = (buffer: Buffer): Buffer => images.get(buffer) ?? buffer;
  const expression = (expr: Expr): Expr =>
    mapExpr(expr, part =>
      part.kind === 'load' && images.has(part.buffer) ? load(image(part.buffer), expression(part.index)) : null,
    );
  const targets = (stmt: Stmt): Stmt => {
    switch (stmt.kind) {
      case 'store':
      case 'reduce':
      case 'allreduce':
        return { ...stmt, buffer: image(stmt.buffer) };
      case 'alloc':
        return { ...stmt, buffer: image(stmt.buffer), body: stmt.body.map(targets) };
      case 'loop':
        return { ...stmt, body: stmt.body.map(targets) };
      case 'if':
        // biome-ignore lint/suspicious/noThenProperty: an if statement of the loop IR; nothing awaits it
        return { ...stmt, then: stmt.then.map(targets), otherwise: stmt.otherwise.map(targets) };
      case 'barrier':
        return stmt;
      default:
        return stmt satisfies never;
    }
  };
  return targets(mapStmtExprs(root, expression));
}
