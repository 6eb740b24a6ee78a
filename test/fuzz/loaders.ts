/**
 * Mutated files of every format: whatever is in a file, loading it gives values or one of the two errors for files, within a
 * second and within memory of twice the file and 16 MB.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { takeCount } from './allocations.js';
import { type Material, mutate } from './mutate.js';
import { Random } from './random.js';

// After allocations.js has replaced the constructors that these keep.
const { GradcError } = await import('../../compiler/errors.js');
const { Tensor, tensorOver, eagerValue } = await import('../../compiler/ops/tensor.js');
const { load, loadNpy, loadNpz, loadSafetensors, save, saveNpz } = await import('../../runtime/index.js');
const { Budget } = await import('../../runtime/serialize/budget.js');
const { readZip, writeZip } = await import('../../runtime/serialize/zip.js');

type File = Uint8Array;
export type FormatName = 'npy' | 'npz' | 'safetensors' | 'pt' | 'pt-legacy';
interface Format {
  readonly name: FormatName;
  /** Names of its files. */
  readonly files: RegExp;
  readonly load: (file: File) => unknown;
  readonly corpus: readonly File[];
  readonly tokens: readonly string[];
  /** Spoil the inside of a file and make its outside fit again, to get past the first checks. */
  readonly inside?: (random: Random, file: File, material: Material) => File;
}

const numbers = ['0', '-1', '1e999', '9007199254740993', '4294967296', '18446744073709551616'];
const pickleTokens = [
  'cos\nsystem\n',
  'ctorch\nFloatStorage\n',
  'ctorch._utils\n_rebuild_tensor_v2\n',
  '(',
  't',
  'R',
  'b',
]
  .concat(['h\0', 'q\0', '}', ']', 'a', 's', 'u', 'e', '0', '1', '2', 'Q', '\x81', '\x85', '\x86', '\x87', '\x8a\xff'])
  .concat(['N', 'K\xff', 'J\xff\xff\xff\x7f', 'G\x7f\xf0\0\0\0\0\0\0', '\x93', '\x94', '\x95', '.']);
const zipTokens = [
  'PK\x01\x02',
  'PK\x03\x04',
  'PK\x05\x06',
  'PK\x06\x06',
  'PK\x06\x07',
  '\xff\xff\xff\xff',
  '../',
  '/data/0',
];

/** Every format with the files to start from, of which some lie in `folder`. */
export function formats(folder: string): Format[] {
  const files = (pattern: RegExp): File[] =>
    readdirSync(folder)
      .filter(name => pattern.test(name))
      .map(name => new Uint8Array(readFileSync(join(folder, name))));
  return [
    {
      name: 'npy',
      files: /\.npy$/,
      load: file => loadNpy(file),
      corpus: files(/\.npy$/),
      tokens: [...numbers, "'shape': (", "'descr': '|O'", "'fortran_order': True", ', ', ')', '1,'.repeat(70)],
    },
    {
      name: 'npz',
      files: /\.npz$/,
      load: file => loadNpz(file),
      corpus: [...files(/\.npz$/), saveNpz({ zeros: zeros(4000), x: zeros(3) }, { compressed: true })],
      tokens: zipTokens,
      inside: insideZip('npz'),
    },
    {
      name: 'safetensors',
      files: /\.safetensors$/,
      load: file => loadSafetensors(file),
      corpus: files(/\.safetensors$/),
      tokens: [
        ...numbers,
        '"__proto__":',
        '"dtype":"F64"',
        '[',
        ']',
        '{',
        '}',
        '"',
        '\\',
        ':',
        '"a":[0,8]',
        '__metadata__',
      ],
      inside: insideSafetensors,
    },
    {
      name: 'pt',
      files: /(?<!_legacy)\.pt$/,
      load: file => load(file),
      corpus: [...files(/(?<!_legacy)\.pt$/), save(everything())],
      tokens: [...pickleTokens, ...zipTokens],
      inside: insideZip('torch file'),
    },
    {
      name: 'pt-legacy',
      files: /_legacy\.pt$/,
      load: file => load(file),
      corpus: [...files(/_legacy\.pt$/), save(everything(), { format: 'legacy' })],
      tokens: pickleTokens,
    },
  ];
}

const zeros = (count: number) => tensorOver(new Float32Array(count), { dtype: 'float32', shape: [count] });

/** A value with every kind of part. */
function everything(): unknown {
  const x = zeros(12);
  const shared = [1, 'one', null];
  const views = { x, rows: x.view(3, 4), columns: x.view(3, 4).t(), wide: x.narrow(0, 0, 1).expand(5) };
  const numbersToo = { int: 2n ** 70n, float: 0.1, whole: 3, negative: -70000, truth: [true, false] };
  return { views, numbersToo, shared, again: shared, pair: Object.freeze([1, 2]), map: new Map([[0, { step: 1 }]]) };
}

/** One member of an archive spoilt, with a checksum that fits. */
const insideZip =
  (format: string) =>
  (random: Random, file: File, material: Material): File => {
    const members = [...readZip(format, file, new Budget(format, file.length, {}))].map(
      ([name, member]) => [name, member.read()] as const,
    );
    const chosen = random.below(members.length + 1) % members.length;
    return writeZip(
      members.map(([name, bytes], i) => [name, i === chosen ? mutate(random, bytes, material) : bytes]),
      { compressed: random.below(3) === 0 },
    );
  };

/** The header spoilt, with a length that fits. */
function insideSafetensors(random: Random, file: File, material: Material): File {
  const start = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = mutate(random, file.subarray(8, start), material);
  const out = new Uint8Array(8 + header.length + file.length - start);
  new DataView(out.buffer).setBigUint64(0, BigInt(header.length), true);
  out.set(header, 8);
  out.set(file.subarray(start), 8 + header.length);
  return out;
}

// ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What happened over many files. */
export interface Tally {
  loaded: number;
  refused: number;
  /** Milliseconds of the slowest load: of the processor, and by the clock, which counts what else the machine does. */
  slowest: number;
  slowestByClock: number;
  /** The most bytes that one load allocated in typed arrays, and in the JavaScript heap. */
  arrays: number;
  heap: number;
  /** What must not be: another error, too much time, too much memory. */
  readonly faults: string[];
}

/** Milliseconds of the processor that a load may take. */
export const longest = 1000;
export const memoryLimit = (file: File): number => 2 * file.length + 16 * 2 ** 20;

/** The file of one case. */
export function caseOf(format: Format, seed: number, index: number): File {
  const random = new Random(seed, index);
  const material = {
    corpus: format.corpus,
    tokens: format.tokens.map(text => Uint8Array.from(Buffer.from(text, 'latin1'))),
  };
  const file = random.pick(format.corpus);
  return format.inside !== undefined && random.below(2) === 0
    ? format.inside(random, file, material)
    : mutate(random, file, material);
}

export function fuzz(format: Format, count: number, seed: number): Tally {
  const tally: Tally = { loaded: 0, refused: 0, slowest: 0, slowestByClock: 0, arrays: 0, heap: 0, faults: [] };
  for (let index = 0; index < count; index++) runCase(format, caseOf(format, seed, index), `case ${index}`, tally);
  return tally;
}

function runCase(format: Format, file: File, label: string, tally: Tally): void {
  const fault = (problem: string): void => void tally.faults.push(`${format.name} ${label}: ${problem}`);
  takeCount();
  const heap = getHeapStatistics().used_heap_size;
  const start = performance.now();
  const processor = process.cpuUsage();
  try {
    checkValues(format.load(file));
    tally.loaded++;
  } catch (error) {
    const expected = error instanceof GradcError && (error.code === 'E401' || error.code === 'E402');
    if (expected) tally.refused++;
    else fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const { user, system } = process.cpuUsage(processor);
  const took = (user + system) / 1000;
  tally.slowestByClock = Math.max(tally.slowestByClock, performance.now() - start);
  const grown = getHeapStatistics().used_heap_size - heap;
  const arrays = takeCount();
  if (took > longest) fault(`took ${took} ms of the processor`);
  if (arrays + Math.max(0, grown) > memoryLimit(file))
    fault(`a file of ${file.length} bytes took ${arrays} bytes in arrays and ${grown} in the heap`);
  tally.slowest = Math.max(tally.slowest, took);
  tally.arrays = Math.max(tally.arrays, arrays);
  tally.heap = Math.max(tally.heap, grown);
}

/** Every tensor lies within its memory. */
function checkValues(value: unknown, seen = new Set<unknown>()): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (!(value instanceof Tensor)) {
    for (const part of value instanceof Map ? value.values() : Object.values(value)) checkValues(part, seen);
    return;
  }
  const { storage, offset, strides } = eagerValue(value, 'the fuzzer');
  const last = value.shape.reduce((sum, dim, d) => sum + (dim - 1) * strides[d], offset);
  if (value.numel() > 0 && !(last < storage.array.length)) throw new Error(`a tensor reaches element ${last}`);
}
