/**
 * Encoded values to tensors, and results against encoded values: dtype, shape and kind must be equal, floats within
 * |x - ref| <= atol + rtol |ref|, with nan equal to nan and infinities equal by sign.
 */
import { arrayOf, type DType, isFloat, type TypedArray } from '../../compiler/ir/dtype.js';
import { eagerValue, Tensor, tensorOver } from '../../compiler/ops/tensor.js';
import { Dict, PyFloat, Size, Tuple, type Value } from '../support/python/values.js';
import { NdArray, TorchDtype } from '../support/torch-adapter-values.js';
import type { EncodedNumber, EncodedTensor, EncodedValue, NestedData } from './cases.js';

const decodeNumber = (value: EncodedNumber): number => {
  if (value === 'inf') return Infinity;
  if (value === '-inf') return -Infinity;
  return value === 'nan' ? Number.NaN : Number(value);
};

function flatten(data: NestedData, into: EncodedNumber[] = []): EncodedNumber[] {
  if (Array.isArray(data)) for (const item of data as readonly NestedData[]) flatten(item, into);
  else into.push(data as EncodedNumber);
  return into;
}

/** 16-bit floats are made by gradc's own conversion: the encoded values are the exact numbers they hold. */
const wideType = (dtype: DType): DType => (dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype);

function typedArray(encoded: EncodedTensor | (Omit<EncodedTensor, 'kind'> & { kind: 'ndarray' })): TypedArray {
  const array = arrayOf(wideType(encoded.dtype));
  if (encoded.b64 !== undefined) {
    const bytes = Buffer.from(encoded.b64, 'base64');
    return new array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  }
  const values = flatten(encoded.data!);
  const filled = new array(values.length);
  values.forEach((value, i) => {
    filled[i] = (encoded.dtype === 'int64' ? BigInt(value) : decodeNumber(value)) as never;
  });
  return filled;
}

export function decodeTensor(encoded: EncodedTensor): Tensor {
  const wide = tensorOver(typedArray(encoded), { dtype: wideType(encoded.dtype), shape: encoded.shape });
  return wide.dtype === encoded.dtype ? wide : wide.to(encoded.dtype);
}

/** The elements in row-major order. */
export function elementsOf(tensor: Tensor): (number | bigint)[] {
  const wide = wideType(tensor.dtype);
  const plain = wide === tensor.dtype ? tensor : tensor.detach().to(wide);
  const { storage, offset, strides } = eagerValue(plain, 'reading a result');
  const out: (number | bigint)[] = [];
  const visit = (dim: number, at: number): void => {
    if (dim === plain.ndim) out.push(storage.array[at]);
    else for (let i = 0; i < plain.shape[dim]; i++) visit(dim + 1, at + i * strides[dim]);
  };
  visit(0, offset);
  return out;
}

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

const close = (actual: number, expected: number, { rtol, atol }: Tolerance): boolean => {
  if (Number.isNaN(actual) || Number.isNaN(expected)) return Number.isNaN(actual) && Number.isNaN(expected);
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return actual === expected;
  return Math.abs(actual - expected) <= atol + rtol * Math.abs(expected);
};

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** What is wrong with a tensor; null when it matches. */
export function tensorMismatch(
  actual: Tensor,
  encoded: Omit<EncodedTensor, 'kind'>,
  tolerance: Tolerance,
): string | null {
  if (actual.dtype !== encoded.dtype) return `dtype ${actual.dtype}, expected ${encoded.dtype}`;
  if (shapeText(actual.shape) !== shapeText(encoded.shape))
    return `shape ${shapeText(actual.shape)}, expected ${shapeText(encoded.shape)}`;
  const values = elementsOf(actual);
  const expected = typedArray(encoded);
  const wrong = values.flatMap((value, i) => (elementMatches(value, expected[i], encoded.dtype, tolerance) ? [] : [i]));
  if (wrong.length === 0) return null;
  const at = wrong[0];
  return `${wrong.length} of ${values.length} elements differ; element ${at} is ${values[at]}, expected ${expected[at]}`;
}

function elementMatches(
  actual: number | bigint,
  expected: number | bigint,
  dtype: DType,
  tolerance: Tolerance,
): boolean {
  return isFloat(dtype) ? close(Number(actual), Number(expected), tolerance) : actual === expected;
}

/** What is wrong with a value; null when it matches. */
export function mismatch(actual: Value, expected: EncodedValue, tolerance: Tolerance): string | null {
  if (expected.kind === undefined) {
    return actual instanceof Tensor
      ? tensorMismatch(actual, expected, tolerance)
      : `${describe(actual)}, expected a tensor`;
  }
  const unlike = (): string =>
    `${describe(actual)}, expected ${expected.kind} ${JSON.stringify('value' in expected ? expected.value : '')}`;
  const check = (matches: boolean): string | null => (matches ? null : unlike());
  switch (expected.kind) {
    case 'none':
      return check(actual === null);
    case 'bool':
    case 'string':
      return check(actual === expected.value);
    case 'int':
      return check(
        (typeof actual === 'number' || typeof actual === 'bigint') && BigInt(actual) === BigInt(expected.value),
      );
    case 'float':
      return check(actual instanceof PyFloat && close(actual.value, decodeNumber(expected.value), tolerance));
    case 'dtype':
      return check(actual instanceof TorchDtype && actual.name === expected.value);
    case 'size':
      return check(actual instanceof Size && shapeText(actual.items.map(Number)) === shapeText(expected.value));
    case 'ndarray':
      return actual instanceof NdArray ? tensorMismatch(actual.tensor, expected, tolerance) : unlike();
    case 'list': {
      const items = Array.isArray(actual)
        ? actual
        : actual instanceof Tuple && !(actual instanceof Size)
          ? actual.items
          : null;
      if (items === null) return unlike();
      if (items.length !== expected.items.length) return `${items.length} items, expected ${expected.items.length}`;
      return firstProblem(expected.items.map((item, i) => [`[${i}]`, mismatch(items[i], item, tolerance)]));
    }
    case 'dict': {
      if (!(actual instanceof Dict)) return unlike();
      const entries = new Map(actual.entries().map(([key, value]) => [String(key), value]));
      const names = Object.keys(expected.items);
      if (entries.size !== names.length || !names.every(name => entries.has(name)))
        return `keys ${[...entries.keys()].join(', ')}, expected ${names.join(', ')}`;
      return firstProblem(
        names.map(name => [`['${name}']`, mismatch(entries.get(name), expected.items[name], tolerance)]),
      );
    }
    default:
      return expected satisfies never;
  }
}

function firstProblem(problems: readonly (readonly [string, string | null])[]): string | null {
  const found = problems.find(([, problem]) => problem !== null);
  return found === undefined ? null : `${found[0]}: ${found[1]}`;
}

function describe(value: Value): string {
  if (value === null) return 'None';
  if (value instanceof Tensor) return `a tensor of ${value.dtype}${shapeText(value.shape)}`;
  if (value instanceof PyFloat) return `float ${value.value}`;
  if (value instanceof Size) return `size ${shapeText(value.items.map(Number))}`;
  if (value instanceof TorchDtype) return `dtype ${value.name}`;
  if (typeof value === 'string') return `string ${JSON.stringify(value)}`;
  if (typeof value === 'number' || typeof value === 'bigint') return `int ${value}`;
  return typeof value === 'object' ? `a ${value?.constructor?.name ?? 'value'}` : String(value);
}
