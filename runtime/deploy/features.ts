/** What an engine can run beyond baseline SIMD. */
import type { Feature } from './manifest.js';

/** A function with one `i32x4.relaxed_trunc_f32x4_s`: an engine without relaxed SIMD finds it invalid. */
const probe = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 0, 253, 129, 2, 26, 11];
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(new Uint8Array(probe));

/** Can this engine run modules that require `feature`? */
export const hasFeature = (feature: Feature): boolean =>
  feature === 'threads' ? typeof SharedArrayBuffer === 'function' : hasRelaxedSimd();
