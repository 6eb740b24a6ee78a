/**
 * `gradc`: tensors, ops, modules and optimizers under PyTorch's names, run eagerly; and the description of models to compile.
 *
 * Importing it installs eager execution and the methods of Tensor.
 *
 * @module gradc
 */
import '../compiler/ops/table.js';
import './eager.js';
import './bridge.js';
import './tensor-methods.js';
import './print.js';

export { cond } from '../compiler/autodiff/control/cond.js';
export { type ScanOptions, scan } from '../compiler/autodiff/control/scan.js';
export type { Tree } from '../compiler/autodiff/control/tree.js';
export { whileLoop } from '../compiler/autodiff/control/while-loop.js';
export { grad, hessian, hvp, jacobian, jvp, vjp } from '../compiler/autodiff/functional.js';
export { GradcError } from '../compiler/errors.js';
export {
  bfloat16,
  bool,
  complex64,
  complex128,
  type DType,
  float16,
  float32,
  float64,
  getDefaultDtype,
  int8,
  int16,
  int32,
  int64,
  setDefaultDtype,
  type TypedArray,
  uint8,
} from '../compiler/ir/dtype.js';
export type { Shape } from '../compiler/ir/shape.js';
export { prelu } from '../compiler/ops/activation.js';
// Ops as functions. Names given explicitly below win over these: dtypes and creation functions.
export * from '../compiler/ops/aliases.js';
export { backward } from '../compiler/ops/backward.js';
export * from '../compiler/ops/bits.js';
export { type IndexItem, type Slice, slice } from '../compiler/ops/brackets.js';
export { complex, polar, resolveConj, resolveNeg, viewAsComplex, viewAsReal } from '../compiler/ops/complex/index.js';
export { Complex, type ComplexParts } from '../compiler/ops/complex/number.js';
export * from '../compiler/ops/contraction.js';
export * from '../compiler/ops/conversion.js';
export * from '../compiler/ops/counting.js';
export * from '../compiler/ops/creation.js';
export * from '../compiler/ops/embedding-bag.js';
export * as fft from '../compiler/ops/fft/index.js';
export { istft, stft } from '../compiler/ops/fft/short-time.js';
export { igamma, igammac, mvlgamma } from '../compiler/ops/incomplete-gamma.js';
export * from '../compiler/ops/indexing.js';
export * from '../compiler/ops/joining.js';
export * as linalg from '../compiler/ops/linalg.js';
export { cholesky, det, inv as inverse, logdet, slogdet } from '../compiler/ops/linalg.js';
export { luSolve, luUnpack } from '../compiler/ops/lu.js';
export * from '../compiler/ops/matrix-exponential.js';
export * from '../compiler/ops/older-linalg.js';
export * from '../compiler/ops/pointwise.js';
export * from '../compiler/ops/quantile.js';
export * from '../compiler/ops/real-numbers.js';
export * from '../compiler/ops/reduction.js';
export * from '../compiler/ops/scan.js';
export * from '../compiler/ops/shape.js';
export { float, type Scalar } from '../compiler/ops/signature.js';
export * from '../compiler/ops/sorting.js';
export * from '../compiler/ops/special.js';
export * as special from '../compiler/ops/special-names.js';
export * from '../compiler/ops/splitting.js';
export * from '../compiler/ops/strided.js';
export { enableGrad, inferenceMode, isGradEnabled, noGrad, setGradEnabled } from '../compiler/ops/tape.js';
export { isInferenceModeEnabled, Tensor } from '../compiler/ops/tensor.js';
export { choleskyInverse, choleskySolve, triangularSolve } from '../compiler/ops/triangular.js';
export * from '../compiler/ops/view.js';
export {
  defineModel,
  type Entry,
  entry,
  type InputSpec,
  input,
  type ModelDefinition,
} from '../compiler/trace/model.js';
export { celu, celu_, relu_, selu, selu_, threshold, threshold_ } from './activations.js';
export * as autograd from './autograd.js';
export { fromTypedArray, type NestedElements } from './bridge.js';
export { checkpoint, checkpointSequential } from './checkpoint.js';
export {
  arange,
  asTensor,
  BFloat16Tensor,
  BoolTensor,
  ByteTensor,
  blackmanWindow,
  CharTensor,
  type CreationOptions,
  DoubleTensor,
  empty,
  emptyLike,
  emptyStrided,
  eye,
  FloatTensor,
  full,
  HalfTensor,
  hammingWindow,
  hannWindow,
  IntTensor,
  LongTensor,
  linspace,
  logspace,
  newTensor,
  ones,
  range,
  ShortTensor,
  type SizeArguments,
  type TensorData,
  tensor,
  trilIndices,
  triuIndices,
  zeros,
} from './creation.js';
export * as data from './data/index.js';
export * as distributions from './distributions/index.js';
export {
  canCast,
  type FloatInfo,
  finfo,
  type IntegerInfo,
  iinfo,
  promoteTypes,
  resultType,
} from './dtypes.js';
export type { Element } from './elements.js';
export { withCounterRandom } from './entry-run.js';
export { Generator, getRngState, initialSeed, manualSeed, seed, setRngState } from './generator.js';
export { type LowRankOptions, pcaLowrank, svdLowrank } from './low-rank.js';
export * as nn from './nn/index.js';
export * as optim from './optim/index.js';
export { poisson } from './poisson.js';
export { getPrintoptions, type PrintOptions, setPrintoptions } from './print.js';
export { broadcastShapes, isComplex, isFloatingPoint, isNonzero, isSameSize, isTensor, numel } from './questions.js';
export {
  bernoulli,
  multinomial,
  normal,
  rand,
  randint,
  randintLike,
  randLike,
  randn,
  randnLike,
  randperm,
} from './random.js';
export {
  type LoadOptions,
  load,
  loadNpy,
  loadNpz,
  loadSafetensors,
  type ReadOptions,
  readSafetensors,
  type SaveOptions,
  save,
  saveNpy,
  saveNpz,
  saveSafetensors,
} from './serialize/index.js';
