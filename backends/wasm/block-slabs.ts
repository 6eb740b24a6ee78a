/**
 * Loops over slabs (`compiler/lowering/slabs.ts`) in blocks: large enough that the contraction inside has rows for its tiles
 * and reads its other operand seldom, small enough that the slabs stay in the second-level cache.
 *
 *   parallel h<8: parallel i<2048: alloc local slab[2048]: alloc local slab1[2048]: … one row of scores …
 * ->
 *   parallel h<8: parallel ib<64: alloc local slab[32*2048]: alloc local slab1[32*2048]: … 32 rows of scores …
 */
import { bytesOf } from '../../compiler/ir/dtype.js';
import { type Kernel, type Stmt, walkStmts, withBody } from '../../compiler/ir/kernel.js';
import { blockSize, inBlocks, isSlabLoop } from '../../compiler/lowering/blocks.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { isContraction } from './contraction.js';

export const blockSlabs: Pass<Kernel> = {
  name: 'block-slabs',
  doc: 'What kernels pass on in slabs is computed for a block of slabs at a time.',
  run(kernel, context) {
    return withBody(
      kernel,
      kernel.body.flatMap(stmt => blocked(stmt, context)),
    );
  },
};

function blocked(stmt: Stmt, context: PassContext): Stmt[] {
  if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return [stmt];
  const inner = withBody(
    stmt,
    stmt.body.flatMap(part => blocked(part, context)),
  );
  if (!isSlabLoop(stmt) || inner.kind !== 'loop' || !holdsContraction(inner)) return [inner];
  const { extent, name } = inner.iter;
  const size = blockSize(extent, slabBytes(inner));
  context.note(`${size} of ${extent} iterations of ${name} at a time`, 'so many slabs stay in the cache');
  return inBlocks(inner, size);
}

function holdsContraction(root: Stmt): boolean {
  let found = false;
  walkStmts([root], stmt => {
    found ||= isContraction(stmt);
  });
  return found;
}

function slabBytes(root: Stmt): number {
  let bytes = 0;
  walkStmts([root], stmt => {
    if (stmt.kind === 'alloc' && stmt.buffer.scope === 'local') bytes += stmt.buffer.size * bytesOf(stmt.buffer.dtype);
  });
  return bytes;
}
