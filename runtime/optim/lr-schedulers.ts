/** `optim.lrScheduler`: learning rates over time. */
export * from './lr-scheduler.js';
export * from './reduce-on-plateau.js';
export { ChainedScheduler, SequentialLR } from './scheduler-sequences.js';
