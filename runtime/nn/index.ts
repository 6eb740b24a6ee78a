/** Modules, parameters and layers: `nn.Linear`, `nn.init.kaimingUniform_`, `nn.utils.clipGradNorm_`. */
export * from './containers.js';
export * from './convolution.js';
export * as init from './init.js';
export * from './linear.js';
export { type ForwardHook, type ForwardPreHook, type LoadReport, Module, type StateDict } from './module.js';
export { Parameter, type ParameterOptions } from './parameter.js';
export * from './pooling.js';
export * as utils from './utils.js';
