/**
 * Elementwise ops with a method, all of which also have an in-place form (`table.ts`).
 *
 * Each carries its derivative beside it; the helper `pointwise` adds broadcasting, promotion, lowering and the reduction of
 * gradients to the shape of each operand. Derivatives at kinks and ties are those of PyTorch.
 */
export * from './arithmetic.js';
export * from './comparison.js';
export * from './error-function.js';
export * from './exponential.js';
export * from './extrema.js';
export * from './logic.js';
export * from './power.js';
export * from './rounding.js';
export * from './selection.js';
export * from './trigonometry.js';
