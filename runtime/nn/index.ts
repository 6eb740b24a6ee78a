/** Modules, parameters and layers: `nn.Linear`, `nn.init.kaimingUniform_`, `nn.utils.clipGradNorm_`. */
export * from './activation.js';
export * from './adaptive-softmax.js';
export * from './attention.js';
export * from './containers.js';
export {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
  type PaddingMode,
  type Size,
} from './convolution.js';
export * from './dropout.js';
export * from './embedding.js';
export * as init from './init.js';
export * from './lazy.js';
export * from './linear.js';
export * from './loss.js';
export { type ForwardHook, type ForwardPreHook, type LoadReport, Module, type StateDict } from './module.js';
export * from './normalization.js';
export * from './padding.js';
export { Parameter, type ParameterOptions } from './parameter.js';
export * from './pooling.js';
export * from './recurrent.js';
export * from './similarity.js';
export * from './transformer.js';
export { UninitializedBuffer, UninitializedParameter } from './uninitialized.js';
export * as utils from './utils/index.js';
export * from './vision.js';
