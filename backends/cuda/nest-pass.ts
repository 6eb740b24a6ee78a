/** Passes that map nests to threads one by one. */
import { type Kernel, type Stmt, walkStmts } from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { isScheduled } from './stages.js';

/** Whether an outer loop of a nest has no iterations, as over an empty tensor. */
const runsNever = (nest: Stmt): boolean =>
  perfectNest([nest], 'serial', 'parallel').iters.some(iter => iter.extent === 0);

/** Whether iterations combine into shared elements: such a nest stays in one thread, which makes its result repeatable. */
function meetsInMemory(nest: Stmt): boolean {
  let found = false;
  walkStmts([nest], stmt => {
    found ||= stmt.kind === 'reduce' && stmt.atomic;
  });
  return found;
}

/** A pass that rewrites plain top-level nests one by one; null leaves one as it is. */
export function nestPass(
  name: string,
  doc: string,
  rewrite: (nest: Stmt, note: PassContext['note']) => readonly Stmt[] | null,
): Pass<Kernel> {
  const visit = (stmts: readonly Stmt[], note: PassContext['note']): readonly Stmt[] => {
    let changed = false;
    const out = stmts.flatMap((stmt): readonly Stmt[] => {
      if (stmt.kind === 'alloc' && stmt.buffer.scope === 'local') {
        const body = visit(stmt.body, note);
        if (body === stmt.body) return [stmt];
        changed = true;
        return [{ ...stmt, body }];
      }
      const rewritten = isScheduled(stmt) || meetsInMemory(stmt) ? null : runsNever(stmt) ? [] : rewrite(stmt, note);
      if (rewritten === null) return [stmt];
      changed = true;
      return rewritten;
    });
    return changed ? out : stmts;
  };
  return {
    name,
    doc,
    run: (kernel, context) => {
      const body = visit(kernel.body, (what, why) => context.note(`${kernel.name}: ${what}`, why));
      return body === kernel.body ? kernel : { ...kernel, body };
    },
  };
}
