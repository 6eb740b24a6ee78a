/**
 * The schedule of the wasm backend: from the plain loops that lowering writes to register tiles and vector loops.
 */
import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
import { tileContractions } from './contraction.js';
import { storeHalvesAsBits } from './half-floats.js';
import { keepRows } from './keep-rows.js';
import { splitGuards } from './split-guards.js';
import { splitStrides } from './split-strides.js';
import { transposeInRegisters } from './transpose.js';
import { unrollWindows } from './unroll-windows.js';
import { vectoriseLoops } from './vectorise.js';

export const schedule: readonly Pass<Kernel>[] = [
  storeHalvesAsBits,
  tileContractions,
  keepRows,
  splitStrides,
  splitGuards,
  transposeInRegisters,
  vectoriseLoops,
  unrollWindows,
];
