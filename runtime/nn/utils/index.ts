/** Helpers on parameters and modules: `nn.utils.clipGradNorm_(net.parameters(), 1)`. */
export { type ClipOptions, clipGradNorm_, clipGradValue_ } from './clip-gradients.js';
export { fuseConvBnEval } from './fuse.js';
export { parametersToVector, vectorToParameters } from './parameter-vector.js';
export * as parametrizations from './parametrizations.js';
export * as parametrize from './parametrize.js';
export * as rnn from './rnn.js';
export { removeSpectralNorm, type SpectralNormOptions, spectralNorm } from './spectral-norm.js';
export { removeWeightNorm, weightNorm } from './weight-norm.js';
