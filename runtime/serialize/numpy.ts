/** NumPy's `.npy` files: one array after a header written as a Python dict (numpy.org/neps/nep-0001-npy-format). */
import { strFromU8, strToU8 } from 'fflate';
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { bytesOfTensor, checkShape, damaged, refused, tensorFromBytes } from './elements.js';

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
  complex64: 'c8',
  complex128: 'c16',
};
const dtypes = new Map(Object.entries(codes).map(([dtype, code]) => [code, dtype as DType]));
const magic = [0x93, ...strToU8('NUMPY')];
/** Magic and version; then comes the length of the header. */
const lengthAt = 8;
/** NumPy reads no longer ones either. */
const longestHeader = 10_000;

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
export const loadNpy = (file: Uint8Array): Tensor => readNpy(file, false);

/** The same; `owned` bytes may become the memory of the tensor. */
export function readNpy(file: Uint8Array, owned: boolean): Tensor {
  const { header, start } = readHeader(file);
  const dtype = dtypes.get(header.descr.slice(1));
  if (header.descr === '|O')
    return refused('npy', 'an array of Python objects', 'only a Python program can make them; save arrays of numbers');
  if (dtype === undefined || !'<>|='.includes(header.descr[0]))
    return damaged('npy', `type '${header.descr}' has no dtype`);
  const shape = checkShape('npy', header.shape);
  const stored = header.fortranOrder ? [...shape].reverse() : shape;
  const fromLittle = header.descr[0] !== '>';
  const tensor = tensorFromBytes('npy', file.subarray(start), dtype, stored, { fromLittle, owned });
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
  if (start - begin > longestHeader)
    return refused('npy', `a header of ${start - begin} bytes`, `no array needs more than ${longestHeader}`);
  if (start > file.length) return damaged('npy', `the header ends at byte ${start}, the file has ${file.length}`);
  return { header: parseHeader(strFromU8(file.subarray(begin, start))), start };
}

const headerEntry = /\s*'(\w+)'\s*:\s*(?:'([^']*)'|(True|False)|\(([\d\sL,]*)\))\s*(?:,|(?=\}))/y;

/** A dict of just `descr`, `fortran_order` and `shape`. */
function parseHeader(text: string): NpyHeader {
  const found = new Map<string, Pick<RegExpExecArray, number>>();
  const dict = text.trim();
  headerEntry.lastIndex = 1;
  for (let end = 1, entry: RegExpExecArray | null; (entry = headerEntry.exec(dict)); headerEntry.lastIndex = end) {
    if (found.has(entry[1])) damaged('npy', `the header has '${entry[1]}' twice`);
    found.set(entry[1], entry);
    end = headerEntry.lastIndex;
  }
  const [descr, order, shape] = [found.get('descr')?.[2], found.get('fortran_order')?.[3], found.get('shape')?.[4]];
  if (descr === undefined || order === undefined || shape === undefined || found.size !== 3)
    return damaged('npy', `cannot read the header ${dict.slice(0, 200)}`);
  const dims = shape.split(',').filter(part => part.trim() !== '');
  return { descr, fortranOrder: order === 'True', shape: dims.map(part => Number.parseInt(part, 10)) };
}
