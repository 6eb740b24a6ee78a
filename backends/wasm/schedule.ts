import type { Kernel } from '../../compiler/ir/kernel.js';
import type { Pass } from '../../compiler/pass.js';
export const schedule: readonly Pass<Kernel>[] = [];
