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
import { inBlocks, isSlabLoop } from '../../compiler/lowering/blocks.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { isContraction } from './contraction.js';

/** Of a second-level cache slabs may take so much; operands and results take the rest. */
const BLOCK_BYTES = 1 << 19;
/** Blocks are of whole register tiles, whatever tiles these will be. */
const STEP = 8;
/** With fewer iterations what they have in common is read too often: attention over 8192 places took a tenth longer with 16. */
const LEAST = 32;

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

/** Iterations of a block: as many as the cache has room for, and as equal as whole steps allow. */
function blockSize(extent: number, bytes: number): number {
  const most = Math.max(LEAST, Math.floor(BLOCK_BYTES / bytes / STEP) * STEP);
  const blocks = Math.ceil(extent / most);
  return Math.min(extent, Math.ceil(extent / blocks / STEP) * STEP);
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
