/**
 * The WASM schedule: scheduled kernels against the plain ones run by the js backend, over odd sizes and all forms of
 * contractions, rows and pointwise nests; and the plain ones emitted as they stand.
 */
import { setFlagsFromString } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { compileKernel as compileJs } from '../backends/js/emit.js';
import { compileKernel } from '../backends/wasm/compile.js';
import { schedule } from '../backends/wasm/schedule.js';
import { arrayOf, type TypedArray } from '../compiler/ir/dtype.js';
import { call, index, iterOf, type Kernel, load, makeIter, store } from '../compiler/ir/kernel.js';
import { parseKernel, printKernel } from '../compiler/ir/text.js';
import { verifyKernel } from '../compiler/ir/verify.js';
import {
  type ConvShape,
  conv,
  convInputGrad,
  convWeightGrad,
  matmul,
  maxPool,
  nest,
  param,
  softmax,
  sums,
  transposed,
  windowGrad,
} from './support/plain-kernels.js';

const context = { note: () => {} };

/** The scheduled kernel; what each pass makes is legal loop IR. */
function scheduled(kernel: Kernel): Kernel {
  return schedule.reduce((ir, pass) => {
    const out = pass.run(ir, context);
    verifyKernel(out);
    return out;
  }, kernel);
}

function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24 - 0.5;
  });
}

/** Whether this engine knows relaxed SIMD; Node 20 has it behind a flag, which can still be set here. */
function hasRelaxed(): boolean {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
  try {
    compileKernel(scheduled(matmul(4, 4, 8)), { relaxed: true });
    return true;
  } catch {
    return false;
  }
}
const relaxed = hasRelaxed();

/** Scheduled, plain, and by the js backend: equal up to the rounding of sums. */
function expectEqual(kernel: Kernel, terms: number): void {
  const inputs = kernel.params.map(({ buffer }, i) =>
    buffer.dtype === 'float32' ? noise(buffer.size, i + 1) : new (arrayOf(buffer.dtype))(buffer.size),
  );
  const run = (compiled: (...arrays: TypedArray[]) => void): TypedArray[] => {
    const arrays = inputs.map(array => array.slice() as TypedArray);
    compiled(...arrays);
    return arrays;
  };
  const expected = run(compileJs(kernel));
  const results = {
    scheduled: run(compileKernel(scheduled(kernel))),
    plain: run(compileKernel(kernel)),
    ...(relaxed ? { relaxed: run(compileKernel(scheduled(kernel), { relaxed })) } : {}),
  };
  const tolerance = 1e-6 * Math.sqrt(terms) + 1e-6;
  for (const [how, result] of Object.entries(results)) {
    for (const [i, { buffer }] of kernel.params.entries()) {
      let worst = 0;
      for (let at = 0; at < buffer.size; at++) {
        const error = Math.abs(Number(result[i][at]) - Number(expected[i][at]));
        worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
      }
      expect(worst, `${how} ${buffer.name}`).toBeLessThan(tolerance);
    }
  }
}

test('engines since Node 20 know relaxed SIMD', () => expect(relaxed).toBe(true));

describe('matmul', () => {
  const sizes = [
    [1, 1, 1],
    [1, 400, 120],
    [3, 5, 7],
    [4, 8, 8],
    [5, 13, 30],
    [17, 33, 10],
    [64, 20, 12],
    [70, 41, 131],
    [40, 300, 264],
  ];
  for (const [m, k, n] of sizes) {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        const forms = `${transposeA ? ', left transposed' : ''}${transposeB ? ', right transposed' : ''}`;
        test(`${m}x${k} @ ${k}x${n}${forms}`, () => {
          expectEqual(matmul(m, k, n, { transposeA, transposeB }), k);
          expectEqual(matmul(m, k, n, { transposeA, transposeB, fused: true }), k);
        });
      }
    }
  }
  test('a long epilogue is a loop over the tile in memory', () => {
    for (const n of [3, 8, 13, 64]) expectEqual(matmul(6, 9, n, { long: true, fused: true }), 9);
    expect(printKernel(scheduled(matmul(6, 9, 16, { long: true })))).toMatch(/sums: float32\[\d+\] local/);
    expect(printKernel(scheduled(matmul(6, 9, 16, { fused: true })))).not.toContain('sums');
  });
  test('rows of a matrix from memory go by one after the other where a vector is all they are multiplied by', () => {
    const tile = /tile: float32/;
    const [k, n] = [1029, 450];
    expect(printKernel(scheduled(matmul(1, k, n, { transposeB: true })))).not.toMatch(tile);
    expect(printKernel(scheduled(matmul(1, k, n - 5, { transposeB: true })))).toMatch(tile);
    expect(printKernel(scheduled(matmul(2, k, n, { transposeB: true })))).toMatch(tile);
    expectEqual(matmul(1, k, n, { transposeB: true, fused: true }), k);
  });
  test('batches', () => expectEqual(matmul(6, 9, 11, { batch: 3 }), 9));
  test('batches, transposed', () => expectEqual(matmul(6, 9, 11, { batch: 3, transposeB: true, fused: true }), 9));
});

describe('convolution', () => {
  const shapes: ConvShape[] = [
    { batch: 2, channels: 1, size: 12, filters: 6, kernel: 5, stride: 1, padding: 0 },
    { batch: 2, channels: 3, size: 9, filters: 5, kernel: 3, stride: 1, padding: 1 },
    { batch: 1, channels: 2, size: 11, filters: 4, kernel: 3, stride: 2, padding: 1 },
    { batch: 3, channels: 4, size: 8, filters: 7, kernel: 1, stride: 1, padding: 0 },
    { batch: 2, channels: 2, size: 5, filters: 3, kernel: 4, stride: 1, padding: 0 },
    { batch: 2, channels: 6, size: 14, filters: 16, kernel: 5, stride: 1, padding: 0 },
    { batch: 1, channels: 2, size: 17, filters: 9, kernel: 7, stride: 3, padding: 2 },
  ];
  for (const shape of shapes) {
    const { channels, size, filters, kernel, stride, padding } = shape;
    const name = `${channels}x${size}² to ${filters}, kernel ${kernel}, stride ${stride}, padding ${padding}`;
    test(`forward: ${name}`, () => expectEqual(conv(shape), shape.channels * shape.kernel ** 2));
    test(`weight gradient: ${name}`, () => expectEqual(convWeightGrad(shape), shape.batch * shape.size ** 2));
    test(`input gradient: ${name}`, () => expectEqual(convInputGrad(shape), shape.filters * shape.kernel ** 2));
  }
});

describe('factors of what follows a contraction', () => {
  const normalised = (columns: number, index: string): Kernel =>
    parseKernel(`kernel normalised(a: float32[1024] read, b: float32[${16 * columns}] read, v: float32[${columns}] read,
    out: float32[${64 * columns}] write):
  for i in parallel(64):
    for j in parallel(${columns}):
      acc: float32[1] register
      acc[0] = 0
      for k in serial(16):
        acc[0] += a[i*16 + k] * b[k*${columns} + j]
      out[i*${columns} + j] = acc[0] * (1 / sqrt(v[${index}] * v[${index}] + 0.1))
`);

  test('roots that few elements differ in are computed once, before it', () => {
    for (const [index, size] of [
      ['i', 64],
      ['j', 512],
    ] as const) {
      const text = printKernel(scheduled(normalised(512, index)));
      expect(text).toContain(`factor: float32[${size}] local`);
      expect(text.match(/sqrt/g)).toHaveLength(1);
      expectEqual(normalised(512, index), 16);
    }
  });

  test('where the elements are few, they stay where they are', () =>
    expect(printKernel(scheduled(normalised(64, 'i')))).not.toContain('factor'));
});

test('windows of a small image are written out where the weights are many', () => {
  const shape: ConvShape = { batch: 1, channels: 64, size: 5, filters: 64, kernel: 3, stride: 1, padding: 1 };
  expect(printKernel(scheduled(conv(shape)))).toContain('windows: float32[14400] local');
  expect(printKernel(scheduled(conv({ ...shape, filters: 8 })))).not.toContain('windows');
  for (const stride of [1, 2]) expectEqual(conv({ ...shape, stride }), shape.channels * shape.kernel ** 2);
});

test('loops over padded images are cut at their edges, and nothing asks any more', () => {
  const shape: ConvShape = { batch: 1, channels: 2, size: 14, filters: 4, kernel: 3, stride: 1, padding: 1 };
  expect(printKernel(conv(shape))).toContain('?');
  expect(printKernel(scheduled(conv(shape)))).not.toContain('?');
});

describe('windows', () => {
  for (const size of [2, 5, 8, 13, 28]) test(`max of 2x2 in ${size}²`, () => expectEqual(maxPool(3, size), 1));
  for (const [size, kernel, stride] of [
    [28, 2, 2],
    [9, 2, 2],
    [13, 3, 2],
    [13, 3, 3],
    [11, 5, 1],
    [10, 3, 4],
  ]) {
    test(`gradient of windows of ${kernel}² in steps of ${stride} in ${size}²`, () =>
      expectEqual(windowGrad(2, size, kernel, stride), kernel ** 2));
  }
});

describe('sums and pointwise nests', () => {
  for (const [rows, columns] of [
    [1, 1],
    [3, 130],
    [130, 3],
    [17, 9],
    [64, 84],
    [2, 20011],
    [96, 256],
  ]) {
    test(`sum over rows and columns of ${rows}x${columns}`, () => {
      expectEqual(sums(rows, columns, 'rows'), rows);
      expectEqual(sums(rows, columns, 'columns'), columns);
    });
    test(`a transposing nest over ${rows}x${columns}`, () => expectEqual(transposed(rows, columns), 1));
  }
});

test('long sums over far elements go on in four vectors side by side', () => {
  const sidesOf = (rows: number, columns: number): string | undefined =>
    printKernel(scheduled(sums(rows, columns, 'rows'))).match(/float32\[(\d+)\] register/)?.[1];
  expect(sidesOf(64, 84)).toBe('16');
  expect(sidesOf(8, 84)).toBe('4');
  expect(sidesOf(64, 12)).toBe('4');
});

test('sums down the columns of a large matrix go along its rows, in an order that keeps every bit', () => {
  const kernel = sums(96, 256, 'rows');
  expect(printKernel(scheduled(kernel))).toContain('sums: float32[128] local');
  expect(printKernel(scheduled(sums(32, 256, 'rows')))).not.toContain('local');
  // An even number of blocks, and rows that divide the sum.
  expect(printKernel(scheduled(sums(96, 768, 'rows')))).toContain('sums: float32[192] local');
  expect(printKernel(scheduled(sums(100, 1024, 'rows')))).toContain('in serial(25)');
  const matrix = noise(96 * 256, 1);
  const [plain, blocked] = [new Float32Array(256), new Float32Array(256)];
  compileKernel(kernel)(matrix, plain);
  compileKernel(scheduled(kernel))(matrix, blocked);
  expect(blocked).toEqual(plain);
});

test('a sum down the columns that is changed before it is stored stays as it is', () => {
  const kernel = sums(96, 256, 'rows');
  const changed = printKernel(kernel).replace(/( *)(out\[.*\] = acc\[0\])/, '$1acc[0] = acc[0]*0.5\n$1$2');
  expect(changed).toContain('acc[0]*0.5');
  expectEqual(parseKernel(changed), 96);
});

test('what is read at quotients and remainders of a counter is read in vectors', () => {
  const heads = (width: number, size: number): Kernel =>
    parseKernel(`kernel heads(x: float32[${8 * size * Math.ceil(width / size)}] read, out: float32[${8 * width}] write):
  # reshape
  for i0 in parallel(8):
    for i1 in parallel(${width}):
      out[i0*${width} + i1] = x[i1 // ${size}*${8 * size} + i0*${size} + i1 % ${size}]
`);
  expect(printKernel(scheduled(heads(96, 32)))).toMatch(/vector\(4\)/);
  expect(printKernel(scheduled(heads(96, 32)))).not.toContain('//');
  for (const [width, size] of [
    [96, 32],
    [24, 12],
    [12, 6],
    [36, 8],
    [8, 8],
  ])
    expectEqual(heads(width, size), 0);
});

test('an image that is read in steps of two is staged with each element once, whatever the taps', () => {
  const shape: ConvShape = { batch: 1, channels: 2, size: 32, filters: 8, kernel: 3, stride: 2, padding: 1 };
  const staged = (of: ConvShape): number =>
    Number(printKernel(scheduled(conv(of))).match(/ b?a?: float32\[(\d+)\] local/)?.[1]);
  expect(staged(shape)).toBe(2 * 33 * 34);
  expectEqual(conv(shape), 18);
});

test('what is read along one counter and written along another is turned around in squares', () => {
  expect(printKernel(scheduled(transposed(17, 9)))).toMatch(/square: float32\[16\] register/);
  expect(printKernel(scheduled(transposed(3, 9)))).not.toContain('square');
  expect(printKernel(scheduled(matmul(64, 48, 32, { transposeB: true })))).toContain('square');
});

test('parts that are put side by side are apart where one of them is turned around', () => {
  const sideBySide = (rows: number, columns: number): Kernel =>
    parseKernel(`kernel side(a: float32[${rows * columns}] read, b: float32[${rows * columns}] read, out: float32[${2 * rows * columns}] write):
  # cat
  for i0 in parallel(${rows}):
    for i1 in parallel(${columns}):
      out[i0*${2 * columns} + i1] = a[i0*${columns} + i1]
    for i2 in parallel(${columns}):
      out[i0*${2 * columns} + i2 + ${columns}] = b[i2*${rows} + i0]
`);
  expect(printKernel(scheduled(sideBySide(32, 24)))).toContain('square');
  for (const [rows, columns] of [
    [32, 24],
    [17, 9],
    [8, 40],
    [3, 5],
  ])
    expectEqual(sideBySide(rows, columns), 0);
});

test('a short loop over long steps stays a loop', () => {
  const steps = (functions: number): Kernel => {
    const chain = `${'sin('.repeat(functions)}x[i*3 + r0]${')'.repeat(functions)}`;
    return parseKernel(`kernel chain(x: float64[6] read, out: float64[2] write):
  for i in parallel(2):
    out[i] = 0
    for r0 in serial(3):
      out[i] += ${chain}
`);
  };
  expect(printKernel(scheduled(steps(5)))).toContain('unroll(3)');
  expect(printKernel(scheduled(steps(200)))).not.toContain('unroll(3)');
});

test('a kernel of more locals than are looked at in pairs is emitted, and right', () => {
  const length = 6000;
  const [x, out] = [param('x', length), param('out', length)];
  const body = Array.from({ length }, (_, at) => {
    const value = load(x, index(at));
    return store(out, index(at), call('mul', value, value));
  });
  const kernel: Kernel = {
    name: 'squares',
    doc: '',
    params: [
      { buffer: x, access: 'read' },
      { buffer: out, access: 'write' },
    ],
    body,
  };
  expectEqual(kernel, 1);
});

describe('what fills no vector', () => {
  test('is finished as a vector after a contraction', () => {
    const shape: ConvShape = { batch: 1, channels: 1, size: 6, filters: 4, kernel: 3, stride: 1, padding: 1 };
    expect(printKernel(scheduled(conv(shape)))).not.toContain('in unroll(2)');
    expectEqual(conv(shape), 9);
  });

  test('is in a last vector that computes some elements again', () =>
    expect(printKernel(scheduled(maxPool(1, 28)))).not.toContain('acc[0]'));

  test('is done one by one where a kernel writes over what it reads', () => {
    const [x, i] = [param('x', 11), makeIter('i', 11)];
    const body = nest([i], 'parallel', [store(x, iterOf(i), call('add', load(x, iterOf(i)), load(x, iterOf(i))))]);
    const kernel: Kernel = { name: 'double', params: [{ buffer: x, access: 'readwrite' }], body, doc: '' };
    const elements = Float32Array.from({ length: 11 }, (_, at) => at);
    compileKernel(scheduled(kernel))(elements);
    expect([...elements]).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
  });
});

// Equal terms round the same way every time: one by one in float32 they would be off by 1 %.
test('a long sum stays accurate', () => {
  const count = 1_000_003;
  const out = new Float32Array(1);
  compileKernel(scheduled(sums(1, count, 'columns')))(new Float32Array(count).fill(0.1), out);
  expect(Math.abs(out[0] / (count * Math.fround(0.1)) - 1)).toBeLessThan(1e-5);
});

describe('what is read at half of a counter', () => {
  const doubled = (columns: number, shift: number): Kernel =>
    parseKernel(`kernel doubled(x: float32[${3 * columns}] read, out: float32[${6 * columns}] write):
  for i in parallel(6):
    for j in parallel(${columns}):
      out[i*${columns} + j] = x[i // 2 * ${columns} + (j + ${shift}) // 2] * 2
`);
  for (const columns of [2, 4, 5, 6, 10, 28, 64, 70])
    for (const shift of [0, 1, 2])
      test(`${columns} columns, ${shift} further on`, () => expectEqual(doubled(columns, shift), 1));

  test('is in vectors that follow one another', () => {
    const rows = (columns: number, shift: number): string => printKernel(scheduled(doubled(columns, shift)));
    expect(rows(64, 2)).toMatch(/vector\(4\):\n.* \/\/ 2/);
    expect(rows(64, 1)).not.toContain('// 2');
    expect(rows(65, 0)).not.toContain('// 2');
  });
});

test('labels of 64 bits equal the counter that they are, and none by their low half', () => {
  const kernel = parseKernel(`kernel onehot(y: int64[5] read, out: float32[110] write):
  for i in parallel(5):
    for j in parallel(22):
      out[i*22 + j] = (y[i] == i64(j) ? 1 : 0) + (i64(j + 1) == y[i] ? 2 : 0)
`);
  const labels = [3n, -1n, 21n, (1n << 32n) + 4n, -(1n << 32n)];
  const out = new Float32Array(110);
  compileKernel(scheduled(kernel))(BigInt64Array.from(labels), out);
  const expected = labels.flatMap(y =>
    Array.from({ length: 22 }, (_, j) => (y === BigInt(j) ? 1 : 0) + (y === BigInt(j + 1) ? 2 : 0)),
  );
  expect([...out]).toEqual(expected);
});

describe('rows', () => {
  for (const columns of [1, 3, 10, 64, 131]) test(`softmax over ${columns}`, () => expectEqual(softmax(5, columns), 1));
});

/** A contraction, window or row of random sizes. */
function randomKernel(below: (bound: number) => number): { kernel: Kernel; terms: number } {
  const shape: ConvShape = {
    batch: 1 + below(3),
    channels: 1 + below(5),
    size: 4 + below(12),
    filters: 1 + below(9),
    kernel: 1 + below(4),
    stride: 1 + below(3),
    padding: below(3),
  };
  const [m, k, n] = [1 + below(40), 1 + below(60), 1 + below(50)];
  const forms = { transposeA: below(2) === 1, transposeB: below(2) === 1, fused: below(2) === 1, batch: 1 + below(2) };
  const choices = [
    () => ({ kernel: matmul(m, k, n, forms), terms: k }),
    () => ({ kernel: conv(shape), terms: shape.channels * shape.kernel ** 2 }),
    () => ({ kernel: convWeightGrad(shape), terms: shape.batch * shape.size ** 2 }),
    () => ({ kernel: convInputGrad(shape), terms: shape.filters * shape.kernel ** 2 }),
    () => ({ kernel: windowGrad(shape.batch, shape.size, shape.kernel, 1 + below(4)), terms: shape.kernel ** 2 }),
    () => ({ kernel: sums(m, n, below(2) === 1 ? 'rows' : 'columns'), terms: m + n }),
    () => ({ kernel: transposed(m, n), terms: 1 }),
    () => ({ kernel: softmax(m, n), terms: n }),
  ];
  return choices[below(choices.length)]();
}

test('two hundred kernels of random sizes', () => {
  let state = 2026;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  for (let i = 0; i < 200; i++) {
    const { kernel, terms } = randomKernel(below);
    expectEqual(kernel, terms);
  }
});
