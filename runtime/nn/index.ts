/** Modules, parameters and layers: `nn.Linear`, `nn.init.kaimingUniform_`, `nn.utils.clipGradNorm_`. */
export * from './activation.js';
export * from './attention.js';
export * from './containers.js';
export * from './convolution.js';
export * from './dropout.js';
export * from './embedding.js';
export * as init from './init.js';
export * from './linear.js';
export * from './loss.js';
export { type ForwardHook, type ForwardPreHook, type LoadReport, Module, type StateDict } from './module.js';
export * from './normalization.js';
export * from './padding.js';
export { Parameter, type ParameterOptions } from './parameter.js';
export * from './pooling.js';
export * from './recurrent.js';
export * from './similarity.js';
export * as utils from './utils.js';
export * from './vision.js';
