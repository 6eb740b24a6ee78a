/**
 * NumPy's files: `.npy`, one array after a header written as a Python dict (numpy.org/neps/nep-0001-npy-format), and `.npz`,
 * a zip of them.
 */
import { strFromU8, strToU8, unzipSync, type Zippable, zipSync } from 'fflate';
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { bytesOfTensor, checkShape, damaged, tensorFromBytes } from './elements.js';

/** NumPy's type codes; bfloat16 has none. */
const codes: Readonly<Partial<Record<DType, string>>> = {
  bool: 'b1',
  uint8: 'u1',
  int8: 'i1',
  int16: 'i2',
  int32: 'i4',
  int64: 'i8',
  float16: 'f2',
  float32: 'f4',
  float64: 'f8',
};
const dtypes = new Map(Object.entries(codes).map(([dtype, code]) => [code, dtype as DType]));
const magic = [0x93, ...strToU8('NUMPY')];
/** Magic and version; then comes the length of the header. */
const lengthAt = 8;

/** A tensor as a `.npy` file, version 1.0. */
export function saveNpy(tensor: Tensor): Uint8Array {
  const code = codes[tensor.dtype];
  if (code === undefined)
    return fail('E208', {
      problem: `NumPy has no type for ${tensor.dtype}`,
      hint: 'convert the tensor with .to(float32) first',
    });
  const order = code.endsWith('1') ? '|' : '<';
  const shape = `(${tensor.shape.join(', ')}${tensor.ndim === 1 ? ',' : ''})`;
  const header = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': ${shape}, }`;
  const start = Math.ceil((lengthAt + 2 + header.length + 1) / 64) * 64;
  const text = `${header.padEnd(start - lengthAt - 3)}\n`;
  const elements = bytesOfTensor(tensor, 'saveNpy()');
  const file = new Uint8Array(start + elements.length);
  file.set([...magic, 1, 0, text.length & 255, text.length >> 8]);
  file.set(strToU8(text), lengthAt + 2);
  file.set(elements, start);
  return file;
}

/** What a header says. */
export interface NpyHeader {
  /** NumPy's type with its byte order, as in `<f4`. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** The tensor of a `.npy` file. Throws E401 where the file is damaged or of a type without a dtype. */
export function loadNpy(file: Uint8Array): Tensor {
  const { header, start } = readHeader(file);
  const dtype = dtypes.get(header.descr.slice(1));
  if (dtype === undefined || !'<>|='.includes(header.descr[0]))
    return damaged('npy', `type '${header.descr}' has no dtype`);
  const shape = checkShape('npy', header.shape);
  const stored = header.fortranOrder ? [...shape].reverse() : shape;
  const tensor = tensorFromBytes('npy', file.subarray(start), dtype, stored, header.descr[0] !== '>');
  return header.fortranOrder ? tensor.permute(shape.map((_, d) => shape.length - 1 - d)) : tensor;
}

/** The header of a `.npy` file. */
export const npyHeader = (file: Uint8Array): NpyHeader => readHeader(file).header;

function readHeader(file: Uint8Array): { header: NpyHeader; start: number } {
  if (file.length < 12 || !magic.every((byte, i) => file[i] === byte))
    return damaged('npy', 'the file does not begin with \\x93NUMPY');
  const version = file[6];
  if (version < 1 || version > 3) return damaged('npy', `unknown version ${version}`);
  const view = new DataView(file.buffer, file.byteOffset);
  const begin = lengthAt + (version === 1 ? 2 : 4);
  const start = begin + (version === 1 ? view.getUint16(lengthAt, true) : view.getUint32(lengthAt, true));
  if (start > file.length) return damaged('npy', `the header ends at byte ${start}, the file has ${file.length}`);
  const text = strFromU8(file.subarray(begin, start));
  const descr = /'descr':\s*'([^']+)'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || shape === undefined)
    return damaged('npy', `cannot read the header ${text.trim()}`);
  const dims = shape.split(',').filter(part => part.trim() !== '');
  return {
    header: { descr, fortranOrder: order === 'True', shape: dims.map(part => Number.parseInt(part, 10)) },
    start,
  };
}

/** Tensors by name as a `.npz` file. */
export function saveNpz(
  tensors: Readonly<Record<string, Tensor>>,
  { compressed = false }: { readonly compressed?: boolean } = {},
): Uint8Array {
  const level = compressed ? 6 : 0;
  const files = Object.entries(tensors).map(([name, tensor]) => [`${name}.npy`, [saveNpy(tensor), { level }]] as const);
  return zipSync(Object.fromEntries(files) as Zippable);
}

/** The tensors of a `.npz` file by name. Throws E401 where it is damaged. */
export function loadNpz(file: Uint8Array): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(unzipped(file))
      .filter(([name]) => name.endsWith('.npy'))
      .map(([name, bytes]) => [name.slice(0, -'.npy'.length), loadNpy(bytes)]),
  );
}

function unzipped(file: Uint8Array): Record<string, Uint8Array> {
  try {
    return unzipSync(file);
  } catch (error) {
    return damaged('npz', `not a zip file that can be read: ${(error as Error).message}`);
  }
}
