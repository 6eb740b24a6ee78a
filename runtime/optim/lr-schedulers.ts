/** `optim.lrScheduler`: learning rates over time. */
export type { EpochFunction } from './epoch-function.js';
export * from './lr-cycles.js';
export * from './lr-scheduler.js';
export * from './reduce-on-plateau.js';
export { ChainedScheduler, SequentialLR } from './scheduler-sequences.js';
