/**
 * WASM instructions, by their names in binaryen's builder (`f32.add`, `i32.trunc_s_sat.f32`).
 */

export type ValType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** An instruction and its immediates: memory offset and alignment of loads and stores, lane numbers, shuffle masks. */
export interface Instruction {
  readonly name: string;
  readonly memory?: { readonly offset: number; readonly align: number };
  readonly lane?: number;
  readonly mask?: readonly number[];
}

/** A key that two instructions share exactly when they are the same. */
export const sameInstruction = ({ name, memory, lane, mask }: Instruction): string =>
  `${name}${memory ? `+${memory.offset}` : ''}${lane === undefined ? '' : `#${lane}`}${mask ?? ''}`;

/** a * b + c of float vectors, rounded once where the machine can. */
export const RELAXED_MADD = 'f32x4.relaxed_madd';
