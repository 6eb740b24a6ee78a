/**
 * Modules: what a program becomes as a file. Other tools accept it, it imports nothing, equal kernels are there once.
 */
import { parse } from '@webassemblyjs/wast-parser';
import { describe, expect, test } from 'vitest';
import wabt from 'wabt';
import { wasm } from '../backends/wasm/backend.js';
import { FunctionCode } from '../backends/wasm/code.js';
import type { Kernel } from '../compiler/ir/kernel.js';
import { launchesOf, type Program } from '../compiler/ir/program.js';
import { conv, matmul, softmax } from './support/plain-kernels.js';

const context = { note: () => {} };
const scheduled = (kernel: Kernel): Kernel => wasm.schedule.reduce((ir, pass) => pass.run(ir, context), kernel);

/** A program of one entry per list of kernels; each tensor has a place of its own, in order. */
function programOf(entries: Record<string, readonly Kernel[]>): Program {
  let end = 0;
  const place = (elements: number): number => {
    const at = end;
    end += Math.ceil((elements * 8) / 64) * 64;
    return at;
  };
  const launches = Object.entries(entries).map(([name, kernels]) => ({
    name,
    inputs: [],
    outputs: [],
    steps: kernels.map(kernel => ({ kernel, args: kernel.params.map(({ buffer }) => place(buffer.size)) })),
  }));
  return { name: 'model', state: [], stateBytes: 0, totalBytes: end, entries: launches };
}

const file = (program: Program, name: string, options = {}): Uint8Array =>
  wasm.emit(program, options).get(name) as Uint8Array;
const text = (program: Program): string => wasm.emit(program, { text: true }).get('model.wat') as string;

const convShape = { batch: 2, channels: 3, size: 9, filters: 5, kernel: 3, stride: 1, padding: 1 };
const program = programOf({
  predict: [matmul(7, 20, 9, { transposeB: true, fused: true }), softmax(7, 9)].map(scheduled),
  train: [conv(convShape), matmul(70, 300, 300)].map(scheduled),
});

describe('a module', () => {
  test('imports nothing and exports its memory and its entries', () => {
    const module = new WebAssembly.Module(file(program, 'model.wasm') as BufferSource);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(WebAssembly.Module.exports(module)).toEqual([
      { name: 'memory', kind: 'memory' },
      { name: 'predict', kind: 'function' },
      { name: 'train', kind: 'function' },
    ]);
  });

  test('computes with tensors at the places of the program, scratch memory behind them', () => {
    const [m, k, n] = [70, 300, 300];
    const kernel = scheduled(matmul(m, k, n));
    const one = programOf({ run: [kernel] });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(file(one, 'model.wasm') as BufferSource));
    const memory = exports.memory as WebAssembly.Memory;
    const [a, b, out] = launchesOf(one.entries[0].steps)[0].args.map(
      (at, i) => new Float32Array(memory.buffer, at, kernel.params[i].buffer.size),
    );
    a.fill(2);
    b.set(Float32Array.from(b, (_, i) => i % n));
    (exports.run as () => void)();
    expect([...out.slice(n, n + 4)]).toEqual([0, 600, 1200, 1800]);
    expect(memory.buffer.byteLength).toBeGreaterThan(one.totalBytes);
  });

  test('is accepted by wabt', async () => {
    const { readWasm } = await wabt();
    const module = readWasm(file(program, 'model.wasm'), { simd: true });
    expect(() => module.validate()).not.toThrow();
  });

  test('with relaxed SIMD fuses products and sums, and is accepted by wabt', async () => {
    const { readWasm } = await wabt();
    const module = readWasm(file(program, 'model.relaxed.wasm', { relaxed: true }), { simd: true, relaxed_simd: true });
    expect(() => module.validate()).not.toThrow();
    expect(module.toText({})).toContain('f32x4.relaxed_madd');
  });

  test('holds equal kernels once', () => {
    const [first, second] = [softmax(7, 9), softmax(7, 9)].map(scheduled);
    const functions = (source: string): number => source.match(/^ \(func /gm)!.length;
    expect(functions(text(programOf({ a: [first, second], b: [second] })))).toBe(
      functions(text(programOf({ a: [first], b: [] }))),
    );
  });

  test('has functions below 75 KB', async () => {
    const bytes = file(
      programOf({ run: [scheduled(conv({ ...convShape, kernel: 7, stride: 2 })), scheduled(softmax(64, 1000))] }),
      'model.wasm',
    );
    expect(Math.max(...functionSizes(bytes))).toBeLessThan(75 * 1024);
  });
});

test('without vectors @webassemblyjs/wast-parser reads the text', () => {
  const plain = programOf({ run: [matmul(3, 4, 5, { fused: true }), softmax(3, 5)] });
  expect(parse(text(plain)).type).toBe('Program');
});

/** Sizes of the bodies in the code section. */
function functionSizes(bytes: Uint8Array): number[] {
  let at = 8;
  const number = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = bytes[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
      shift += 7;
    }
  };
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = number();
    if (id !== 10) {
      at += size;
      continue;
    }
    const sizes: number[] = [];
    for (let count = number(); count > 0; count--) {
      const length = number();
      sizes.push(length);
      at += length;
    }
    return sizes;
  }
  return [];
}

describe('a function under construction', () => {
  const load = { name: 'f32.load', memory: { offset: 0, align: 4 } };

  test('computes outside a loop what does not change in it', () => {
    const code = new FunctionCode(['i32']);
    const pointer = code.read(code.variables[0], code.root);
    expect(code.op('f32', load, [pointer]).home).toBe(code.root);
  });

  test('keeps floats within a scope that needs the registers, addresses not', () => {
    const code = new FunctionCode(['i32']);
    const pointer = code.read(code.variables[0], code.root);
    const scope = code.loopScope(code.root, new Set(), false);
    code.keepWithin(scope, () => {
      expect(code.op('f32', load, [pointer]).home).toBe(scope);
      expect(code.op('i32', { name: 'i32.add' }, [pointer, pointer]).home).toBe(code.root);
    });
    expect(code.op('f32', load, [pointer]).home).toBe(code.root);
  });
});
