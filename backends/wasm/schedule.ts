import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
import { tileContractions } from './contraction.js';
export const schedule: readonly Pass<Kernel>[] = [tileContractions];
