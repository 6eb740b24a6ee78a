/** How fast the longer scalar functions are: what bounds kernels that spend their time in them. */
import { call, iterOf, type Kernel, load, loop, makeIter, store } from '../../ir/kernel.js';
import type { EntryProgram, Program } from '../../ir/program.js';
import type { ScalarFn } from '../../ir/scalar.js';
import { launchTimes } from './kernel-times.js';

export type FunctionRates = Readonly<Partial<Record<ScalarFn, number>>>;

/** Those that models spend time in; others count as a number of operations. */
const measured = [
  'div',
  'sqrt',
  'exp',
  'expm1',
  'log',
  'log1p',
  'tanh',
  'sigmoid',
  'erf',
  'sin',
  'cos',
  'pow',
] as const;

const length = 2048;
const seconds = 0.04;

/** 10^9 elements a second, between the first-level cache and itself. */
export const measureFunctions = (relaxed: boolean): FunctionRates =>
  Object.fromEntries(measured.map(fn => [fn, rateOf(fn, relaxed)]));

function rateOf(fn: ScalarFn, relaxed: boolean): number {
  const [x, out] = ['x', 'out'].map(name => ({ name, dtype: 'float32', size: length, scope: 'param' }) as const);
  const i = makeIter('i', length);
  const element = load(x, iterOf(i));
  const arity = fn === 'div' || fn === 'pow' ? [element, element] : [element];
  const kernel: Kernel = {
    name: fn,
    doc: fn,
    params: [
      { buffer: x, access: 'read' },
      { buffer: out, access: 'write' },
    ],
    body: [loop(i, 'parallel', [store(out, iterOf(i), call(fn, ...arity))])],
  };
  const type = { dtype: 'float32', shape: [length] } as const;
  const entry: EntryProgram = {
    name: 'run',
    inputs: [{ name: 'x', type, offset: 0 }],
    outputs: [{ name: 'out', type, offset: 4 * length }],
    steps: [{ kernel, args: [0, 4 * length] }],
  };
  const program: Program = { name: fn, state: [], stateBytes: 0, totalBytes: 8 * length, entries: [entry] };
  const values = Float32Array.from({ length }, (_, i) => (i + 0.5) / length);
  const [{ minMs }] = launchTimes(program, entry, new Map([['x', values]]), relaxed, seconds);
  return length / minMs / 1e6;
}
