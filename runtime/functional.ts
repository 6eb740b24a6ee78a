/**
 * `gradc/functional`: every op as a function, those without a method included (layers, windows, losses), and dropout.
 *
 * @module gradc/functional
 */
import '../compiler/ops/table.js';
import './eager.js';
import './bridge.js';
import './tensor-methods.js';

export * from '../compiler/ops/activation.js';
export * from '../compiler/ops/aliases.js';
export { rmsNorm } from '../compiler/ops/attention.js';
export * from '../compiler/ops/contraction.js';
export * from '../compiler/ops/conversion.js';
export * from '../compiler/ops/convolution.js';
export * from '../compiler/ops/creation.js';
export { ctcLoss } from '../compiler/ops/ctc-loss.js';
export * from '../compiler/ops/embedding-bag.js';
export * from '../compiler/ops/grid-sample.js';
export * from '../compiler/ops/indexing.js';
export * from '../compiler/ops/joining.js';
export type { Reduction } from '../compiler/ops/loss.js';
export * from '../compiler/ops/loss.js';
export * from '../compiler/ops/normalization.js';
export * from '../compiler/ops/padding.js';
export * from '../compiler/ops/pointwise.js';
export * from '../compiler/ops/pooling.js';
export * from '../compiler/ops/quantile.js';
export * from '../compiler/ops/ranking-loss.js';
export * from '../compiler/ops/reduction.js';
export * from '../compiler/ops/scan.js';
export * from '../compiler/ops/shape.js';
export * from '../compiler/ops/sorting.js';
export * from '../compiler/ops/special.js';
export * from '../compiler/ops/splitting.js';
export * from '../compiler/ops/strided.js';
export * from '../compiler/ops/view.js';
export * from '../compiler/ops/vision.js';
export { columnsToImage as fold, imageToColumns as unfold } from '../compiler/ops/vision.js';
export {
  celu,
  celu_,
  elu,
  elu_,
  hardsigmoid,
  hardswish,
  hardtanh,
  hardtanh_,
  leakyRelu,
  leakyRelu_,
  mish,
  relu,
  relu_,
  relu6,
  selu,
  selu_,
  silu,
  threshold,
  threshold_,
} from './activations.js';
export { type AttentionOptions, scaledDotProductAttention } from './attention.js';
export {
  alphaDropout,
  dropout,
  dropout1d,
  dropout2d,
  dropout3d,
  featureAlphaDropout,
  featureDropout,
  rrelu,
} from './dropout.js';
export { gumbelSoftmax } from './gumbel-softmax.js';
