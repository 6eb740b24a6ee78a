/**
 * `npm run bench -- --math`: elements a second of the functions of `vector-functions.ts`, from the first-level cache and back
 * to it, and how far they are from the exact results over all of float32.
 */
import { defineModel, entry, fromTypedArray, input, type Tensor, type TypedArray } from 'gradc';
import { compile } from 'gradc/compiler';
import { CompiledWorkload } from './compiled.js';
import { floats } from './data.js';
import { errorOf, type VectorFunction, vectorFunctions, wholeRange } from './vector-functions.js';

export interface VectorSpeed {
  readonly name: string;
  readonly millionsPerSecond: number;
  readonly largestUlp: number;
  readonly statedUlp: number;
  readonly unit: VectorFunction['of'];
}

const length = 4096;

/** 10^6 elements a second. */
function speedOf(fn: VectorFunction, relaxed: boolean): number {
  const definition = defineModel('math', () => ({
    state: {},
    entries: { run: entry({ x: input([length]), y: input([length]) }, ({ x, y }) => ({ out: fn.compute(x, y) })) },
  }));
  const [low, high] = fn.usual;
  const data = (name: string): Float32Array =>
    floats(name, length, { center: (low + high) / 2, bound: (high - low) / 2 });
  const inputs = (): Record<string, TypedArray> => ({ x: data('x'), y: data('y') });
  const compiled = new CompiledWorkload({ name: fn.name, definition, entry: 'run', inputs });
  const milliseconds = compiled.kernelTimes(relaxed, inputs(), 0.1).reduce((sum, { minMs }) => sum + minMs, 0);
  return length / milliseconds / 1000;
}

/** The largest error over float32, the exponents of powers such that most results are finite. */
function largestError(fn: VectorFunction, relaxed: boolean): number {
  const x = wholeRange(256);
  const y = x.map((value, i) => (Math.sin(i) * 128) / Math.max(1e-3, Math.abs(Math.log2(Math.abs(value) || 1))));
  const given = [x, y].map(array => fromTypedArray(array, [x.length]));
  const specs = given.map(() => input([x.length]));
  const call = compile((a: Tensor, b: Tensor) => [fn.compute(a, b)], specs, { relaxed });
  const actual = call(given[0], given[1])[0].toTypedArray() as Float32Array;
  return x.reduce((most, value, i) => Math.max(most, errorOf(fn, actual[i], fn.exact(value, y[i]), value)), 0);
}

export const measureVectorMath = (relaxed: boolean): VectorSpeed[] =>
  vectorFunctions.map(fn => ({
    name: fn.name,
    millionsPerSecond: speedOf(fn, relaxed),
    largestUlp: largestError(fn, relaxed),
    statedUlp: fn.ulp,
    unit: fn.of,
  }));
