/**
 * An opt-in for V8's revectorizer (`--experimental-wasm-revectorize`, Node 24 and later), which makes one operation of 256 bits
 * of two neighbouring ones of 128. Beside `<name>.wasm` there is then `<name>.revectorize.wasm`: the same functions with
 * tiles twice as wide, which elsewhere would not fit the registers. It gives the same values bit for bit.
 *
 * The flag has to be set before the module is compiled, and cannot be probed for: whoever loads the file chooses it.
 */
import type { Backend } from '../backend.js';
import { type WasmOptions, wasm } from './backend.js';
import { scheduleBy, scheduleOfPairs } from './schedule.js';

export const revectorized: Backend<WasmOptions> = {
  ...wasm,
  schedule: scheduleOfPairs,
  emit(program, options) {
    const renamed = (file: string): string => file.replace(program.name, `${program.name}.revectorize`);
    return new Map([...wasm.emit(program, options)].map(([file, content]) => [renamed(file), content]));
  },
};

/** Beside modules that convolve by plain sums. */
export const revectorizedPlainSums: Backend<WasmOptions> = {
  ...revectorized,
  schedule: scheduleBy({ winograd: false }, 2),
};
