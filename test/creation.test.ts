/** New tensors and the bridge to JavaScript values; dtypes as PyTorch infers them. */
import {
  arange,
  asTensor,
  bool,
  type Complex,
  complex64,
  empty,
  eye,
  FloatTensor,
  float,
  float16,
  float32,
  float64,
  fromTypedArray,
  full,
  hannWindow,
  int64,
  LongTensor,
  linspace,
  logspace,
  ones,
  range,
  setDefaultDtype,
  tensor,
  trilIndices,
  zeros,
} from 'gradc';
import { compile } from 'gradc/compiler';
import { afterEach, describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

afterEach(() => setDefaultDtype('float32'));

describe('tensor()', () => {
  test.each([
    ['integers', [1, 2], int64, [2]],
    ['one float among integers', [1, 2.5], float32, [2]],
    ['a float with an integral value', [float(2), 1], float32, [2]],
    ['booleans', [true, false], bool, [2]],
    ['booleans and integers', [true, 2], int64, [2]],
    ['NaN', Number.NaN, float32, []],
    ['nothing', [], float32, [0]],
    ['a number', 3, int64, []],
    ['nested lists', [[1], [2]], int64, [2, 1]],
    ['a typed array', new Float64Array([1]), float64, [1]],
    ['tensors', [tensor([1, 2]), tensor([3, 4])], int64, [2, 2]],
  ] as const)('%s', (_, data, dtype, shape) => {
    const made = tensor(data as never);
    expect([made.dtype, made.shape]).toEqual([dtype, shape]);
  });
  test('the default dtype decides for floats', () => {
    setDefaultDtype('float64');
    expect([tensor(0.5).dtype, zeros(1).dtype, linspace(0, 1, 2).dtype]).toEqual([float64, float64, float64]);
  });
  test('int64 is exact: beyond 2^53 elements are bigints', () => {
    expect(tensor([2n ** 62n + 1n]).tolist()).toEqual([2n ** 62n + 1n]);
    expect(tensor([2 ** 40]).item()).toBe(2 ** 40);
  });
  test('16-bit floats round to nearest', () => {
    expect(tensor([0.1, 65504, 1e-8], { dtype: float16 }).tolist()).toEqual([0.0999755859375, 65504, 0]);
  });
  test.each([
    ['ragged lists', () => tensor([[1, 2], [3]] as never), /expected sequence of length 2 at dim, got length 1/],
    ['a string', () => tensor('abc' as never), /cannot make a tensor of string/],
    ['null', () => tensor([null] as never), /cannot make a tensor of null/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });
});

describe('shared memory', () => {
  test('a typed array and its tensor see each other', () => {
    const array = new Float32Array([1, 2, 3, 4]);
    const x = fromTypedArray(array, [2, -1]);
    array[0] = 9;
    x.select(0, 1).mul_(10);
    expect(x.tolist()).toEqual([
      [9, 2],
      [30, 40],
    ]);
    expect([...array]).toEqual([9, 2, 30, 40]);
    expect(x.toTypedArray()).toBe(array);
    expect(x.select(0, 1).toTypedArray().buffer).toBe(array.buffer);
  });
  test('asTensor shares where no conversion is needed, tensor() never', () => {
    const array = new Float32Array(2);
    const [shared, copied] = [asTensor(array), tensor(array)];
    array[0] = 1;
    expect([shared.select(0, 0).item(), copied.select(0, 0).item()]).toEqual([1, 0]);
  });
  test('16-bit floats are shared as bits', () => {
    expect(fromTypedArray(new Uint16Array([0x3c00]), [1], float16).item()).toBe(1);
    expect(() => fromTypedArray(new Uint16Array(1))).toThrow(/a Uint16Array has no dtype of its own/);
    expect(() => fromTypedArray(new Float32Array(1), [1], float64)).toThrow(/float64 lives in a Float64Array/);
  });
  test('complex numbers are pairs', () => {
    const z = fromTypedArray(new Float32Array([1, 2, 3, 4]), undefined, complex64);
    expect([z.shape, String(z.select(0, 1).item<Complex>())]).toEqual([[2], '(3+4j)']);
    expect(() => fromTypedArray(new Float32Array(3), undefined, complex64)).toThrow(/3 numbers are no pairs/);
  });
  test('what is not one run of memory is not given out', () => {
    expect(() => ones(2, 3).t().toTypedArray()).toThrow(/strides \[1, 3\].*not one run of memory/s);
  });
});

describe('by rule', () => {
  test.each([
    ['arange(3)', arange(3), int64, [0, 1, 2]],
    ['arange(1, 2.5, 0.5)', arange(1, 2.5, 0.5), float32, [1, 1.5, 2]],
    ['arange(5, 0, -2)', arange(5, 0, -2), int64, [5, 3, 1]],
    ['arange by name', arange({ start: 1, end: 3 }), int64, [1, 2]],
    ['range', range(0, 1, 0.25), float32, [0, 0.25, 0.5, 0.75, 1]],
    ['linspace', linspace(0, 1, 5), float32, [0, 0.25, 0.5, 0.75, 1]],
    ['logspace', logspace(0, 2, 3), float32, [1, 10, 100]],
    ['full of an integer', full([2], 7), int64, [7, 7]],
    ['hannWindow', hannWindow(4), float32, [0, 0.5, 1, 0.5]],
    ['FloatTensor of data', FloatTensor([1, 2]), float32, [1, 2]],
    ['LongTensor of sizes', LongTensor(2), int64, [0, 0]],
  ] as const)('%s', (_, made, dtype, expected) => {
    expect(made.dtype).toBe(dtype);
    for (const [i, value] of (made.tolist() as number[]).entries()) expect(value).toBeCloseTo(expected[i], 6);
  });
  test('matrices', () => {
    expect(eye(2, 3).tolist()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect(trilIndices(2, 2).tolist()).toEqual([
      [0, 1, 1],
      [0, 0, 1],
    ]);
  });
  test('new tensors of the dtype of another', () => {
    const x = zeros(1, { dtype: float64 });
    expect(
      [x.newZeros(2, 3), x.newFull([1], 2), x.newTensor([1]), x.newOnes([2], { dtype: int64 })].map(t => t.dtype),
    ).toEqual([float64, float64, float64, int64]);
  });
  test.each([
    ['a negative size', () => zeros(2, -1), /negative dimension -1: \[2, -1\]/],
    ['a step of zero', () => arange(0, 3, 0), /step must be nonzero/],
    ['a step away from the end', () => arange(0, 3, -1), /inconsistent with step sign/],
    ['an unknown option', () => empty(2, { dtyp: float32 } as never), /unexpected option 'dtyp'/],
    [
      'an unknown dtype',
      () => zeros(2, { dtype: 'float128' as never }),
      /argument 'dtype' must be a dtype, not 'float128'/,
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });
});

describe('reading values', () => {
  test('item() needs one element', () => {
    expect(() => ones(2).item()).toThrow(/a Tensor with 2 elements \(shape \[2\]\) cannot be converted to Scalar/);
    expect(tensor([true]).item<boolean>()).toBe(true);
  });
  test.each(['item', 'tolist', 'toTypedArray'] as const)('%s() inside an entry is an error', method => {
    const read = (x: ReturnType<typeof ones>) => {
      Reflect.apply(x[method], x, []);
      return x;
    };
    expect(() => compile(read, [input([1])])).toThrow(/E301.*needs the value of a tensor that is only being traced/s);
  });
});

test('in-place copies convert and broadcast', () => {
  const x = zeros(2, 2);
  x.copy_(tensor([1, 2]));
  expect(x.tolist()).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(x.fill_(3).zero_().tolist()).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(() => zeros(2).copy_(ones(3))).toThrow(/E107|E102/);
});

test('in-place forms of indexing ops, transposes, and leaving the tape', () => {
  const x = zeros(2, 3);
  x.scatter_(1, tensor([[2], [0]]), 5).indexAdd_(0, tensor([1]), ones(1, 3));
  expect(x.tolist()).toEqual([
    [0, 0, 5],
    [6, 1, 1],
  ]);
  expect(x.T.tolist()).toEqual([
    [0, 6],
    [0, 1],
    [5, 1],
  ]);
  const y = ones(1, { requiresGrad: true }).mul(2);
  expect([y.detach_().requiresGrad, y.isLeaf]).toEqual([false, true]);
});
