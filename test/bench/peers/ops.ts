/**
 * What the networks of the comparison are written in: a few operations that every engine can do, each in the layout and
 * with the fused kernels it does best. A network names its weights; an engine looks them up and lays them out as it likes.
 *
 * A matrix is [rows, columns], one row for each token or sample; an image is whatever the engine makes of [n, c, h, w].
 */

export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
export type Weights = ReadonlyMap<string, Weight>;

export type Activation = 'relu' | 'relu6' | null;

export interface ConvOptions {
  readonly stride?: number;
  readonly padding?: number;
  /** One filter for each channel. */
  readonly depthwise?: boolean;
  readonly activation?: Activation;
}
export interface PoolOptions {
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
}
export interface AttentionOptions {
  readonly batch: number;
  readonly heads: number;
  /** A token sees itself and those before it. */
  readonly causal: boolean;
}

/** `name` stands for `<name>.weight` and, where there is one, `<name>.bias`. */
export interface Ops<T> {
  matmul(a: T, b: T): T;
  /** x · weightᵀ + bias */
  linear(x: T, name: string, activation?: Activation): T;
  /** `linear` of all pixels and channels of each image, in the order [c, h, w]. */
  linearOfImages(x: T, name: string, activation?: Activation): T;
  conv(x: T, name: string, options?: ConvOptions): T;
  /** Of what is nowhere negative, so that padding with zeros is padding with nothing. */
  maxPool(x: T, options: PoolOptions): T;
  /** The mean of each channel of each image. */
  imageMean(x: T): T;
  relu(x: T): T;
  add(a: T, b: T): T;
  gelu(x: T, approximate: 'none' | 'tanh'): T;
  layerNorm(x: T, name: string, eps: number): T;
  softmax(x: T): T;
  /** The rows of the table that the tokens name, plus those of the positions, for each of the sequences. */
  embed(tokens: T, table: string, positions: string): T;
  /** Three matrices side by side, apart. */
  splitInThree(x: T): readonly [T, T, T];
  attention(q: T, k: T, v: T, options: AttentionOptions): T;
  /** The mean of all rows, scaled to length one. */
  unitMean(x: T): T;
}

/** 0 where a token may look, far below where it may not. */
export function causalMask(time: number): Float32Array {
  return Float32Array.from({ length: time * time }, (_, i) => (i % time > Math.floor(i / time) ? -1e9 : 0));
}
