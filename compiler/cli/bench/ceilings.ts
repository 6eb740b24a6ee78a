/**
 * What the machine can do, measured in the same run as the workloads: arithmetic from registers, the longer functions, and
 * memory traffic at several sizes of data. A kernel's roofline is the slower of what it computes and what it moves
 * (Williams, Waterman and Patterson, "Roofline", 2009).
 */
import binaryen from 'binaryen';
import { type FunctionRates, measureFunctions } from './function-rates.js';
import { bestTime } from './timing.js';

export interface Ceilings {
  /** 10^9 operations a second of `f32x4.mul` and `f32x4.add`. */
  readonly mulAddGflops: number;
  /** The same of `f32x4.relaxed_madd`; null where the engine has no relaxed SIMD. */
  readonly fusedGflops: number | null;
  /** 10^9 results a second, of the best variant that the engine runs. */
  readonly functions: FunctionRates;
  /** Reading one array and writing another of together `bytes`, in 10^9 bytes a second; by size. */
  readonly streams: readonly { readonly bytes: number; readonly gigabytesPerSecond: number }[];
}

const accumulators = 12;
const rounds = 1 << 16;
/** How long nothing has to get better; a starved compiler of the engine shows in arithmetic most. */
const seconds = { arithmetic: 1, stream: 0.3 };
const streamSizes = [1 << 14, 1 << 18, 1 << 20, 1 << 22, 1 << 26];

/** An engine without relaxed SIMD refuses the module. */
const fits = (bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> => WebAssembly.validate(bytes as BufferSource);

export function measureCeilings(): Ceilings {
  const fusedGflops = arithmetic('(f32x4.relaxed_madd {acc} (local.get $x) (local.get $y))');
  return {
    mulAddGflops: arithmetic('(f32x4.add (f32x4.mul {acc} (local.get $x)) (local.get $y))')!,
    fusedGflops,
    functions: measureFunctions(fusedGflops !== null),
    streams: streamSizes.map(bytes => ({ bytes, gigabytesPerSecond: stream(bytes) })),
  };
}

/** The rate of `acc = step(acc)` on enough accumulators to hide the latency of one; null where the engine lacks it. */
function arithmetic(step: string): number | null {
  const names = Array.from({ length: accumulators }, (_, i) => `$acc${i}`);
  const bytes = assemble(`(module (func (export "run") (param $n i32) (result f32)
    (local $x v128) (local $y v128) ${names.map(name => `(local ${name} v128)`).join(' ')}
    (local.set $x (f32x4.splat (f32.const 0.5)))
    (local.set $y (f32x4.splat (f32.const 1)))
    ${names.map((name, i) => `(local.set ${name} (f32x4.splat (f32.const ${i})))`).join('\n')}
    (loop $again
      ${names.map(name => `(local.set ${name} ${step.replace('{acc}', `(local.get ${name})`)})`).join('\n')}
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (f32x4.extract_lane 0 ${names.reduce((sum, name) => (sum === '' ? `(local.get ${name})` : `(f32x4.add ${sum} (local.get ${name}))`), '')})))`);
  if (!fits(bytes)) return null;
  const run = instantiate(bytes).run as (rounds: number) => void;
  const milliseconds = bestTime(() => run(rounds), seconds.arithmetic);
  return (rounds * accumulators * 4 * 2) / milliseconds / 1e6;
}

/** y = max(x * a, 0) over arrays of together `bytes`. */
function stream(bytes: number): number {
  const half = bytes / 2;
  const step = (offset: number): string =>
    `(v128.store offset=${offset} (local.get $to) (f32x4.pmax (local.get $zero)
      (f32x4.mul (v128.load offset=${offset} (local.get $from)) (local.get $a))))`;
  const module = assemble(`(module (memory (export "memory") ${Math.ceil(bytes / 65536)})
    (func (export "run") (param $from i32) (param $to i32) (param $end i32)
      (local $a v128) (local $zero v128)
      (local.set $a (f32x4.splat (f32.const 0.5)))
      (loop $again
        ${Array.from({ length: 8 }, (_, i) => step(16 * i)).join('\n')}
        (local.set $from (i32.add (local.get $from) (i32.const 128)))
        (local.set $to (i32.add (local.get $to) (i32.const 128)))
        (br_if $again (i32.lt_u (local.get $from) (local.get $end))))))`);
  const run = instantiate(module as Uint8Array<ArrayBuffer>).run as (from: number, to: number, end: number) => void;
  const repeats = Math.max(1, (1 << 22) / bytes);
  const milliseconds = bestTime(() => {
    for (let i = 0; i < repeats; i++) run(0, half, half);
  }, seconds.stream);
  return (repeats * bytes) / milliseconds / 1e6;
}

function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.SIMD128 | binaryen.Features.RelaxedSIMD);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

const instantiate = (bytes: Uint8Array<ArrayBuffer>): WebAssembly.Exports =>
  new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;

/** The rate for data of a size: that of the smallest measured size that is as large. */
export function streamRate({ streams }: Ceilings, bytes: number): number {
  return (streams.find(stream => stream.bytes >= bytes) ?? streams[streams.length - 1]).gigabytesPerSecond;
}
