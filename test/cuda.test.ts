/**
 * The CUDA backend without a GPU: generated code runs on the CPU through `support/cuda-host` and must agree with the plain
 * form run by the JavaScript backend; nvcc must compile it without spills; the loader must say why CUDA is unavailable.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ArtifactFiles } from '../backends/backend.js';
import { cudaBackend } from '../backends/cuda/backend.js';
import { buildWithNvcc, type NvccResult, nvccVersion } from '../backends/cuda/nvcc.js';
import { compileKernel } from '../backends/js/emit.js';
import { loaderManifest } from '../compiler/artifact/manifest.js';
import { arrayOf, type DType, dtypes, isFloat, limitsOf, type TypedArray } from '../compiler/ir/dtype.js';
import { constant, type Kernel } from '../compiler/ir/kernel.js';
import type { Program, Slot } from '../compiler/ir/program.js';
import { type CudaError, CudaUnavailableError, loadCuda, openCuda } from '../runtime/deploy/cuda.js';
import { encodeState } from '../runtime/deploy/state-file.js';
import { compileForHost, hasHostCompiler } from './support/cuda-host/compile.js';
import * as kernels from './support/cuda-host/kernels.js';
import {
  type KernelCase,
  openOnHost,
  programOfKernels,
  runKernelsOnHost,
  scheduleForCuda,
} from './support/cuda-host/run.js';
import { Bits } from './support/cuda-host/values.js';

const conv = { n: 3, c: 2, h: 9, w: 11, o: 5, k: 3, pad: 1 };
const zero = constant('float32', 0);

const choiceKinds = Object.keys(kernels.choices) as (keyof typeof kernels.choices)[];

/** One kernel of each kind, at sizes that fill no tile. */
const shapes: readonly Kernel[] = [
  kernels.unary('exp', [3, 100], 'float32'),
  kernels.unary('neg', [4, 257], 'int32'),
  kernels.unary('exp', [0], 'float32'),
  kernels.broadcast(0, 33),
  kernels.rowReduce('add', 3, 0, 'float32', zero),
  kernels.matmul(1, 8, 8, 0),
  kernels.broadcast(7, 33),
  kernels.broadcast(8, 64),
  kernels.broadcast(512, 512),
  kernels.unary('tanh', [512, 257], 'float32'),
  kernels.unary('abs', [131_072], 'int64'),
  kernels.binary('mul', 1001, 'int64'),
  kernels.rowReduce('add', 5, 777, 'float32', zero),
  kernels.rowReduce('add', 70, 8, 'float32', constant('float32', 2)),
  kernels.rowReduce('max', 1, 5000, 'float32', constant('float32', Number.NEGATIVE_INFINITY)),
  kernels.rowReduce('add', 1, 100_000, 'float32', zero),
  kernels.rowReduce('mul', 3, 40, 'float64', constant('float64', 3)),
  kernels.rowReduce('min', 2, 1500, 'int64', constant('int64', 7n)),
  kernels.rowReduce('add', 9, 100, 'int32', constant('int32', 5)),
  kernels.rowReduce('and', 3, 50, 'bool', constant('bool', true)),
  kernels.softmax(9, 65),
  kernels.softmax(3, 2000),
  kernels.softmax(5, 256),
  kernels.softmax(2, 32768),
  kernels.matmul(1, 5, 7, 9),
  kernels.matmul(2, 33, 45, 67),
  kernels.matmul(1, 64, 64, 64),
  kernels.matmul(1, 130, 300, 20),
  kernels.matmul(1, 68, 132, 36),
  kernels.matmul(1, 1024, 1028, 12),
  kernels.matmul(1, 9, 11, 2048),
  kernels.convForward(conv),
  kernels.convWeightGrad({ ...conv, n: 16 }),
  kernels.convDataGrad(conv),
  kernels.scatterAdd(20, 5, 7),
  kernels.scatterAdd(50, 64, 7),
  kernels.cumsum(5, 13),
  kernels.recurrence(3, 100, 4),
  kernels.inPlace(300),
  kernels.inPlace(131_072),
  kernels.runningSum(12, 1),
  kernels.runningSum(12, 40),
  ...choiceKinds.map(kind => kernels.chosen(kind, 5)),
];

const random = new Bits(7);

function inputsFor(kernel: Kernel): TypedArray[] {
  return kernel.params.map(({ buffer }) => {
    const { size, dtype } = buffer;
    if (buffer.name === 'indices') return BigInt64Array.from({ length: size }, () => BigInt(random.below(7)));
    if (isFloat(dtype)) return random.floats(dtype, size);
    if (dtype === 'int64') return BigInt64Array.from({ length: size }, () => BigInt(random.below(2000) - 1000));
    return (arrayOf(dtype) as Uint8ArrayConstructor).from({ length: size }, () =>
      random.below(dtype === 'bool' ? 2 : 100),
    );
  });
}

/** What the plain form gives, run by the JavaScript backend. */
function expected({ kernel, arrays }: KernelCase): TypedArray[] {
  const copies = arrays.map(array => array.slice());
  compileKernel(kernel)(...(copies as never[]));
  return copies;
}

/** Largest difference, relative to the largest value; NaN agrees with NaN and infinity with itself. */
function difference(got: TypedArray, want: TypedArray, dtype: DType): number {
  const [a, b] = [numbers(got, dtype), numbers(want, dtype)];
  const scale = b.filter(Number.isFinite).reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  return a.reduce(
    (worst, value, i) =>
      Object.is(value, b[i]) || value === b[i] ? worst : Math.max(worst, Math.abs(value - b[i]) / scale || Infinity),
    0,
  );
}
const numbers = (array: TypedArray, dtype: DType): number[] => Bits.numbers(array, dtype);

const tolerance: Partial<Record<DType, number>> = { float16: 1e-3, bfloat16: 8e-3, float32: 1e-5, float64: 1e-14 };

describe.skipIf(!hasHostCompiler)('generated code on the CPU (g++)', () => {
  const cases = shapes.map(kernel => ({ kernel, arrays: inputsFor(kernel) }));
  const wanted = cases.map(expected);
  beforeAll(() => runKernelsOnHost(cases));

  test.each(cases.map(({ kernel }, i) => [kernel.name, i] as const))('%s agrees with its plain form', (_, i) => {
    for (const [p, { buffer, access }] of cases[i].kernel.params.entries()) {
      if (access === 'read') continue;
      expect(difference(cases[i].arrays[p], wanted[i][p], buffer.dtype)).toBeLessThanOrEqual(
        tolerance[buffer.dtype] ?? 0,
      );
    }
  });
});

test.each(choiceKinds)('what choices share is written once: %s', kind => {
  const length = (count: number): number => {
    const files = cudaBackend.emit(programOfKernels('choices', [scheduleForCuda(kernels.chosen(kind, count))]));
    return [...files].map(([path, text]) => (path.endsWith('.cu') ? text.length : 0)).reduce((a, b) => a + b, 0);
  };
  expect(length(12) - length(8)).toBeLessThan(2 * (length(8) - length(4)));
});

describe.skipIf(!hasHostCompiler)('scalar functions on the CPU (g++)', () => {
  const cases = dtypes.map(dtype => {
    const kernel = kernels.everyFunction(dtype);
    const values = edgeValues(dtype);
    const [a, b] = [values.flatMap(x => values.map(() => x)), values.flatMap(() => values)];
    const sized = kernels.everyFunction(dtype, a.length);
    const outputs = sized.params.slice(2).map(({ buffer }) => new (arrayOf(buffer.dtype))(buffer.size));
    return {
      kernel: sized,
      arrays: [Bits.array(dtype, a), Bits.array(dtype, b), ...outputs],
      dtype,
      names: kernel.params.slice(2).map(({ buffer }) => buffer.name),
    };
  });
  const wanted = cases.map(expected);
  beforeAll(() => runKernelsOnHost(cases));

  for (const [c, { dtype, names, kernel, arrays }] of cases.entries()) {
    test.each(names.map((name, i) => [name, i + 2] as const))(`%s of ${dtype}`, (_, p) => {
      const result = kernel.params[p].buffer.dtype;
      const [got, want] = [numbers(arrays[p], result), numbers(wanted[c][p], result)];
      const allowed =
        result === 'float32' || result === 'float64'
          ? 16 * (result === 'float32' ? 2 ** -24 : 2 ** -53)
          : isFloat(result)
            ? (tolerance[result] ?? 0)
            : 0;
      for (const [i, value] of got.entries()) {
        const same =
          Object.is(value, want[i]) || value === want[i] || Math.abs(value - want[i]) <= allowed * Math.abs(want[i]);
        const given = [0, 1].map(side => numbers(arrays[side].slice(i, i + 1), dtype)[0]);
        expect(same, `${names[p - 2]}(${given.join(', ')}) = ${value}, not ${want[i]}`).toBe(true);
      }
    });
  }
});

function edgeValues(dtype: DType): number[] {
  if (dtype === 'bool') return [0, 1];
  if (isFloat(dtype)) return [0, -0, 0.5, -0.5, 1, -1, 1.5, 2.5, -2.5, 3, 10, -7.25, 1e-3, Infinity, -Infinity, NaN];
  const { min, max } = limitsOf(dtype);
  return dtype === 'int64'
    ? [0, 1, -1, 2, 7, -7, 31, 2 ** 40, -(2 ** 53)]
    : [...new Set([0, 1, 2, 3, 7, min === 0 ? 200 : -7, min === 0 ? 9 : -1, 13, min, max])];
}

// ── the C interface ──

const slot = (name: string, shape: readonly number[], offset: number): Slot => ({
  name,
  type: { dtype: 'float32', shape: [...shape] },
  offset,
});

/** State w[4]; `predict` gives x + w; `update` adds g to w in place. */
function counterProgram(): Program {
  const add = scheduleForCuda(kernels.binary('add', 4, 'float32'));
  const [w, x, out] = [slot('w', [4], 0), slot('x', [2, 2], 64), slot('out', [2, 2], 128)];
  return {
    name: 'counter',
    state: [w],
    stateBytes: 64,
    totalBytes: 192,
    entries: [
      { name: 'predict', inputs: [x], outputs: [out], steps: [{ kernel: add, args: [64, 0, 128] }] },
      { name: 'update', inputs: [{ ...x, name: 'g' }], outputs: [], steps: [{ kernel: add, args: [0, 64, 0] }] },
    ],
  };
}
const stateOf = (...values: number[]): Uint8Array => {
  const bytes = new Uint8Array(64);
  new Float32Array(bytes.buffer).set(values);
  return bytes;
};

describe.skipIf(!hasHostCompiler)('the C interface, loaded into Node', () => {
  const manifest = loaderManifest(counterProgram());
  const loaded = async (state: Uint8Array) => {
    const library = await compileForHost(cudaBackend.emit(counterProgram()));
    return loadCuda(library, manifest, encodeState(manifest, state));
  };

  test('entries share one state, which can be saved and loaded', async () => {
    const model = await loaded(stateOf(1, 2, 3, 4));
    const x = Float32Array.of(10, 20, 30, 40);
    expect(model.predict({ x }).out).toEqual(Float32Array.of(11, 22, 33, 44));
    for (let i = 0; i < 3; i++) model.update({ g: [1, 1, 1, 0.5] });
    expect(model.predict({ x }).out).toEqual(Float32Array.of(14, 25, 36, 45.5));
    expect(model.state.w).toEqual(Float32Array.of(4, 5, 6, 5.5));
    const file = model.saveState();
    model.update({ g: [9, 9, 9, 9] });
    model.loadState(file);
    expect(model.state.w).toEqual(Float32Array.of(4, 5, 6, 5.5));
    model.dispose();
    expect(() => model.predict({ x })).toThrow("E414: model 'counter' has been disposed of");
  });

  test('a wrong input is named, with what was expected and given', async () => {
    const model = await loaded(stateOf(1, 2, 3, 4));
    expect(() => model.predict({ x: new Float32Array(3) })).toThrow(
      "E411: predict: input 'x' must be float32[2, 2], 4 elements in a Float32Array; given Float32Array of 3 elements",
    );
    expect(() => model.predict({})).toThrow('it is missing');
    expect(() => model.loadState(new Uint8Array(5))).toThrow('E412');
    model.dispose();
  });

  test('an entry refuses to run before its state is loaded', async () => {
    const program = counterProgram();
    const model = await openOnHost(await compileForHost(cudaBackend.emit(program)), program);
    expect(() => model.entries.predict({ x: new Float32Array(4) })).toThrow('load_state has not been called');
    model.dispose();
  });

  test('the plain C side: sizes, names, errors, and entries on device memory', async () => {
    const library = koffi.load(await compileForHost(cudaBackend.emit(counterProgram())));
    const call = (name: string, ...args: string[]) => library.func(`int counter_${name}(${args.join(', ')})`);
    expect(call('abi_version')()).toBe(1);
    expect(library.func('size_t counter_workspace_bytes()')()).toBe(192);
    expect(library.func('const char* counter_error_name(int)')(35)).toBe('cudaErrorInsufficientDriver');

    const created: unknown[] = [null];
    expect(call('create', 'void*', '_Out_ void**')(null, created)).toBe(0);
    const [model] = created;
    const state = stateOf(1, 2, 3, 4);
    expect(call('load_state', 'void*', 'void*', 'size_t')(model, state, 63)).toBe(1);
    expect(library.func('const char* counter_last_error(void*)')(model)).toBe('load_state: the state has 64 bytes');
    expect(call('load_state', 'void*', 'void*', 'size_t')(model, state, 64)).toBe(0);

    const deviceMemory = library.func('void* cuda_host_device_memory(size_t)');
    const [x, out] = [deviceMemory(16), deviceMemory(16)];
    new Float32Array(koffi.view(x, 16)).set([5, 6, 7, 8]);
    const predict = call('predict_device', 'void*', 'void*', 'void*', 'void*');
    expect(predict(model, x, out, null)).toBe(0);
    expect(call('sync', 'void*')(model)).toBe(0);
    expect([...new Float32Array(koffi.view(out, 16))]).toEqual([6, 8, 10, 12]);
    expect(predict(model, new Float32Array(4), out, null)).toBe(1);
    expect(library.func('const char* counter_last_error(void*)')(model)).toContain(
      'predict_device: cudaErrorInvalidValue (1)',
    );

    const tensor = koffi.struct({
      name: 'const char*',
      dtype: 'const char*',
      dims: 'int',
      shape: 'int64_t*',
      bytes: 'size_t',
    });
    const info = library.func('counter_input_info', 'int', ['int', 'int', koffi.out(koffi.pointer(tensor))]);
    const found: { name?: string; dtype?: string; dims?: number; shape?: unknown; bytes?: number } = {};
    expect(info(0, 0, found)).toBe(0);
    expect([found.name, found.dtype, found.dims, found.bytes]).toEqual(['x', 'float32', 2, 16]);
    expect([...koffi.decode(found.shape, 'int64_t', 2)].map(Number)).toEqual([2, 2]);
    expect(info(0, 1, found)).toBe(1);
    expect(call('destroy', 'void*')(model)).toBe(0);
  });

  test('parameters that share memory are not restrict', () => {
    const source = String(cudaBackend.emit(counterProgram()).get('cuda/counter.cu'));
    expect(source).toMatch(/float\* a,\s+const float\* __restrict__ b,\s+float\* out/);
  });
});

// ── what the harness finds ──

/** The code of one kernel, changed by hand, run on NaNs. */
async function runChanged(kernel: Kernel, change: (source: string) => string): Promise<void> {
  const program = programOfKernels('changed', [scheduleForCuda(kernel)]);
  const files: ArtifactFiles = new Map(
    [...cudaBackend.emit(program)].map(([path, text]) => [path, path.endsWith('.cu') ? change(String(text)) : text]),
  );
  const model = await openOnHost(await compileForHost(files), program);
  model.loadState(new Uint8Array(program.stateBytes));
  try {
    model.entries.run0();
  } finally {
    model.dispose();
  }
}
const replaced = (from: string, to: string) => (source: string) => {
  expect(source).toContain(from);
  return source.replace(from, to);
};

describe.skipIf(!hasHostCompiler)('the harness finds', () => {
  test('a barrier that some threads skip', () =>
    expect(
      runChanged(kernels.softmax(3, 2000), replaced('__syncthreads();', 'if (threadIdx.x != 7) __syncthreads();')),
    ).rejects.toThrow(/divergent barrier/));
  test('a shuffle that some lanes skip', () =>
    expect(
      runChanged(kernels.softmax(9, 65), replaced('highest = warp_max', 'if (lane != 3) highest = warp_max')),
    ).rejects.toThrow(/shuffle in line/));
  test('a write past the end of memory', () =>
    expect(
      runChanged(kernels.unary('exp', [300], 'float32'), replaced('out[i0] =', 'out[i0 + 300] =')),
    ).rejects.toThrow(/past the end/));
  test('a launch that no device takes', () =>
    expect(runChanged(kernels.unary('exp', [300], 'float32'), replaced('<<<2, 256,', '<<<2, 2048,'))).rejects.toThrow(
      /cudaErrorInvalidConfiguration/,
    ));
});

// ── nvcc ──

const nvcc = await nvccVersion();
const hasDevice = existsSync('/dev/nvidia0') || existsSync('/dev/dxg');

describe.skipIf(nvcc === null)('nvcc', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradc-cuda-'));
  const all = [
    ...shapes,
    ...dtypes.map(dtype => kernels.everyFunction(dtype)),
    kernels.matmul(1, 2048, 2048, 512),
    kernels.matmul(1, 2048, 2048, 2048),
    kernels.matmul(1, 512, 512, 5000),
    kernels.matmul(1, 512, 512, 512),
  ].map(scheduleForCuda);
  const program = programOfKernels('kernels', all);
  let built: NvccResult;
  beforeAll(async () => {
    built = await buildWithNvcc(cudaBackend.emit(program), folder);
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('compiles every kernel for sm_80 and sm_90 without spills or stack', () => {
    const kernelsOf = (architecture: string): string[] =>
      built.resources.filter(r => r.architecture === architecture).map(r => r.kernel);
    expect(kernelsOf('sm_80').length).toBeGreaterThanOrEqual(all.length);
    expect(kernelsOf('sm_90').sort()).toEqual(kernelsOf('sm_80').sort());
    expect(built.resources.filter(r => r.spillBytes > 0)).toEqual([]);
    expect(built.resources.filter(r => r.stackBytes > 0 && !r.kernel.startsWith('every_'))).toEqual([]);
  });

  test('the large contraction keeps two blocks on a multiprocessor', () => {
    const large = built.resources.filter(r => r.kernel === 'matmul_1_2048_2048_512');
    expect(large.map(r => r.architecture)).toEqual(['sm_80', 'sm_90']);
    for (const { registers } of large) expect(registers).toBeLessThanOrEqual(128);
  });

  test.skipIf(hasDevice)('without a driver the loader says so by the name of the error', async () => {
    const error = await openCuda(built.libraryPath, loaderManifest(program)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CudaUnavailableError);
    expect([35, 100]).toContain((error as CudaError).code);
    expect((error as CudaError).message).toMatch(/cudaErrorInsufficientDriver|cudaErrorNoDevice/);
  });
});
