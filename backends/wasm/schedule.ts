/**
 * The schedule of the wasm backend: from the plain loops that lowering writes to register tiles and vector loops.
 */
import type { Kernel } from '../../compiler/ir/kernel.js';
import { withLongSumsInBlocks } from '../../compiler/lowering/long-sums.js';
import type { Pass } from '../../compiler/pass.js';
import { blockSlabs } from './block-slabs.js';
import { columnSums } from './column-sums.js';
import { type Choice, tileContractions } from './contraction.js';
import { storeHalvesAsBits } from './half-floats.js';
import { hoistFills } from './hoist-fills.js';
import { keepFactors } from './keep-factors.js';
import { keepRows } from './keep-rows.js';
import { splitGuards } from './split-guards.js';
import { splitQuotients } from './split-quotients.js';
import { splitStrides } from './split-strides.js';
import type { Width } from './tile.js';
import { transposeInRegisters } from './transpose.js';
import { unrollWindows } from './unroll-windows.js';
import { vectoriseLoops } from './vectorise.js';

const blockLongSums: Pass<Kernel> = {
  name: 'block-long-sums',
  doc: 'Sums of very many steps are sums of blocks, whose rounding errors stay small.',
  run: kernel => withLongSumsInBlocks(kernel, ['register', 'local']),
};

/** With plans of contractions that are not those of the least estimate: by measurement, or of some kind only. */
export const scheduleBy = (choice: Choice, width: Width = 1): readonly Pass<Kernel>[] => [
  storeHalvesAsBits,
  blockSlabs,
  keepFactors,
  tileContractions(width, choice),
  hoistFills,
  keepRows,
  splitStrides,
  splitGuards,
  splitQuotients,
  transposeInRegisters,
  columnSums,
  vectoriseLoops,
  unrollWindows,
  blockLongSums,
];

export const schedule = scheduleBy({});

/**
 * For engines that make one operation of 256 bits of two neighbouring ones of 128 (V8's revectorizer): tiles of 4 × 16, which
 * would be twice too many for the registers elsewhere. The values are the same.
 */
export const scheduleOfPairs = scheduleBy({}, 2);
