/** `gradc/config`: the type of `gradc.config.ts`, and the function that gives it to an editor. */
import type { NvccChoice, Target } from './choices.js';

/** How models are built. What the command line says wins over it. */
export interface BuildSettings {
  /** Default `['wasm']`. */
  readonly targets?: readonly Target[];
  /** Build the CUDA library too: `auto` (default) where nvcc is present. */
  readonly nvcc?: NvccChoice;
  /** Also modules that several threads run together, for `load({ threads })`. */
  readonly threads?: boolean;
  /** Also modules for V8's revectorizer, for `load({ revectorize: true })`. */
  readonly revectorize?: boolean;
  /** false: convolve by plain sums, whose rounding errors are smaller. */
  readonly winograd?: boolean;
  /** true: calls look at values, slower, and throw what eager throws for those that an op does not take. */
  readonly checkValues?: boolean;
  /** Divide the state among files of at most this size: bytes, or `'64MB'`. Default: one file. */
  readonly shard?: number | string;
  /** false: do not run the type checker and the source analysis. */
  readonly typecheck?: boolean;
}

/** One model, with settings of its own. */
export interface ModelSettings extends BuildSettings {
  readonly file: string;
  /** The folder of its artifact. Default: one of the model's name in the configuration's `out`. */
  readonly out?: string;
}

/** Paths count from the folder of the configuration file. */
export interface Config extends BuildSettings {
  /** What `gradc build` without file names builds. */
  readonly models?: readonly (string | ModelSettings)[];
  /** The folder in which each model's artifact gets one of its name. Default `dist`. */
  readonly out?: string;
  /** false: keep nothing between builds; a path: keep it there. Default `node_modules/.cache/gradc`. */
  readonly cache?: boolean | string;
}

export const defineConfig = (config: Config): Config => config;
