/**
 * When V8 optimizes WebAssembly. A build runs binaryen once: of what it executes, little would run again by the time that
 * V8's optimizing compiler, on a thread beside those of the build, is done with it; and a thread ends only after that.
 */
import { setFlagsFromString } from 'node:v8';

/** How much a function executes, in about bytes of code, before it is optimized: ten times Node 20's default. */
const budget = 20_000_000;

/** For the whole process, from now on. Functions that run long are optimized as before, a little later. */
export const optimizeOnlyWhatRunsLong = (): void => setFlagsFromString(`--wasm-tiering-budget=${budget}`);
