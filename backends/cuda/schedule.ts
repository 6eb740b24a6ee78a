/**
 * From the plain form of a kernel to threads: the list of passes, tried in order on each top-level nest.
 *
 * A nest that a pass has mapped to threads is left alone by later ones; what none recognises runs in one thread.
 */
import { type Kernel, loop } from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import { withLongSumsInBlocks } from '../../compiler/lowering/long-sums.js';
import type { Pass } from '../../compiler/pass.js';
import { contractionPass } from './contraction.js';
import { fissionPass } from './fission.js';
import { interchangePass } from './interchange.js';
import { flatten, substituteAll } from './loops.js';
import { nestPass } from './nest-pass.js';
import { rowPass } from './rows.js';
import { splitPass } from './split.js';
import { spreadSlabs } from './spread-slabs.js';
import { vectorizePass } from './vectorize.js';

/**
 * parallel i<3, j<100: store y[i*100+j] = …   -->   thread.x i<300: store y[i] = …
 */
const spread = nestPass('cuda-spread', 'Independent iterations become threads, spread over blocks.', nest => {
  const { iters, body } = perfectNest([nest], 'parallel');
  if (iters.length === 0) return null;
  const { flat, values } = flatten(iters);
  return [loop(flat, 'thread.x', substituteAll(body, values))];
});

const blockLongSums: Pass<Kernel> = {
  name: 'cuda-block-long-sums',
  doc: 'Sums in which a thread takes very many steps are sums of blocks, whose rounding errors stay small.',
  run: kernel => withLongSumsInBlocks(kernel, ['register']),
};

export const cudaSchedule: readonly Pass<Kernel>[] = [
  spreadSlabs,
  interchangePass,
  fissionPass,
  splitPass,
  contractionPass,
  rowPass,
  spread,
  vectorizePass,
  blockLongSums,
];
