/**
 * What kernels pass on in slabs goes through device scratch as a whole: there are threads for all iterations at once, and
 * each nest is mapped to them by itself.
 *
 *   parallel i<512: alloc local slab[T]: nest₁; nest₂     ->     alloc local slab[512*T]: parallel i: nest₁; parallel i: nest₂
 */
import { type Kernel, type Stmt, withBody } from '../../compiler/ir/kernel.js';
import { inOneBlock, isSlabLoop } from '../../compiler/lowering/blocks.js';
import type { Pass } from '../../compiler/pass.js';

export const spreadSlabs: Pass<Kernel> = {
  name: 'cuda-spread-slabs',
  doc: 'Nests that pass on slabs run one after another, with the whole value between them.',
  run: kernel => withBody(kernel, kernel.body.flatMap(spread)),
};

/** From the innermost loop outwards: what it had in slabs is then in the slabs of the loop around it. */
function spread(stmt: Stmt): Stmt[] {
  if (stmt.kind !== 'loop') return [stmt];
  const inner = withBody(stmt, stmt.body.flatMap(spread));
  return isSlabLoop(inner) ? inOneBlock(inner) : [inner];
}
