/** A weight as a matrix with one row for each output, as normalisations of weights see it. */
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from '../convolution.js';
import type { Module } from '../module.js';

/** Where the outputs lie in the weight of a module. */
export const outputDimOf = (module: Module): number =>
  [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some(type => module instanceof type) ? 1 : 0;

/** What lies along `dim` as rows. */
export const asMatrix = (weight: Tensor, dim: number): Tensor => weight.movedim(dim, 0).reshape([weight.size(dim), -1]);
