/**
 * From the plain form of a kernel to threads: the list of passes, tried in order on each top-level nest.
 *
 * A nest that a pass has mapped to threads is left alone by later ones; what none recognises runs in one thread.
 */
import type { Kernel, Stmt } from '../../compiler/ir/kernel.js';
import { loop } from '../../compiler/ir/kernel.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { flatten, peel, substituteAll } from './loops.js';
import { isScheduled } from './stages.js';

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
      const rewritten = isScheduled(stmt) ? null : rewrite(stmt, note);
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

/**
 * parallel i<3, j<100: store y[i*100+j] = …   -->   thread.x i<300: store y[i] = …
 */
const spread = nestPass('cuda-spread', 'Independent iterations become threads, spread over blocks.', nest => {
  const { iters, body } = peel([nest], 'parallel');
  if (iters.length === 0) return null;
  const { flat, values } = flatten(iters);
  return [loop(flat, 'thread.x', substituteAll(body, values))];
});

export const cudaSchedule: readonly Pass<Kernel>[] = [spread];
