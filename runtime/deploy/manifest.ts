/**
 * What the loader must know about a compiled model: its entries, its state and where every tensor lies in linear memory.
 *
 * The same object lies as JSON in the section `gradc` of every module of the artifact and, with hashes and provenance added,
 * beside it as `<name>.manifest.json`.
 */

/** Element types, by gradc's names. 16-bit floats travel as their bits in a `Uint16Array`. */
export type ElementType =
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64';

/** A tensor at a fixed place: row-major, `offset` in bytes from the start of linear memory. */
export interface TensorSlot {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly count: number;
  /** The constructor of the typed array that holds it. */
  readonly array: string;
  /** Element type and shape for people, `int64[64, 10]`, and as state files have them, `I64[64, 10]`. */
  readonly type: string;
  readonly stored: string;
}

/** A callable of the model; the module exports a function of this name, without parameters or result. */
export interface EntrySlots {
  readonly name: string;
  readonly inputs: readonly TensorSlot[];
  readonly outputs: readonly TensorSlot[];
}

/** Machine features a module may need beyond baseline SIMD. */
export type Feature = 'relaxed-simd' | 'threads';

export interface Manifest {
  readonly name: string;
  /** State occupies the bytes [0, stateBytes) in this order: the layout of the data section of the state file. */
  readonly state: readonly TensorSlot[];
  readonly stateBytes: number;
  /** What state files begin with, after the eight bytes of its length. */
  readonly stateHead: string;
  /** State, inputs, outputs and temporaries together: what the module's memory must hold. */
  readonly totalBytes: number;
  readonly entries: readonly EntrySlots[];
}
