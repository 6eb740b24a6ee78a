/**
 * Files made to cost memory or time, of any size: floods of the smallest things that a format can ask for, texts that grow
 * when they are decoded, compressed nothing. Each is written so that no check but that of its cost stops it early.
 */
import { tensorOver } from '../../compiler/ops/tensor.js';
import { saveNpy, saveNpz } from '../../runtime/index.js';
import { writeZip } from '../../runtime/serialize/zip.js';
import type { FormatName } from './loaders.js';

export interface Attack {
  readonly name: string;
  /** A file of about so many bytes. */
  readonly file: (size: number) => Uint8Array;
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'utf8'));
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const u32 = (value: number): string => String.fromCharCode(...new Uint8Array(new Uint32Array([value]).buffer));
/** `unit(0), unit(1), …` until they fill `size` bytes. */
function flood(size: number, unit: (i: number) => string): string {
  const parts: string[] = [];
  for (let i = 0, length = 0; length < size; i++) {
    parts.push(unit(i));
    length += parts[i].length;
  }
  return parts.join('');
}
const repeated = (size: number, unit: string): string => unit.repeat(Math.ceil(size / unit.length));
const floats = (count: number) => tensorOver(new Float32Array(count), { dtype: 'float32', shape: [count] });

// ── npy and npz ──────────────────────────────────────────────────────────────────────────────────────────────────────

const npyHeader = (header: Uint8Array, data = 0): Uint8Array =>
  joined(bytes(`\x93NUMPY\x03\0${u32(header.length)}`), header, new Uint8Array(data));

const npy: readonly Attack[] = [
  { name: 'a header of spaces', file: size => npyHeader(bytes(repeated(size, ' '))) },
  {
    name: 'a shape of many sizes',
    file: size => npyHeader(bytes(`{'descr': '|u1', 'fortran_order': False, 'shape': (${repeated(size, '1,')})}`)),
  },
  { name: 'many entries', file: size => npyHeader(bytes(`{${flood(size, i => `'k${i}': '',`)}}`)) },
  { name: 'a header beyond ASCII', file: size => npyHeader(text(`{'descr': '${'€'.repeat(size / 3)}'}`)) },
  {
    name: 'elements in the other order',
    file: size => npyHeader(bytes(`{'descr': '>i2', 'fortran_order': True, 'shape': (${size / 2},)}`), size),
  },
  { name: 'an array as it should be', file: size => saveNpy(floats(size / 4)) },
];

const bomb = (size: number): number => size * 1000;
const npz: readonly Attack[] = [
  {
    name: 'one bomb',
    file: size =>
      writeZip(
        [
          [
            'x.npy',
            npyHeader(
              bytes(`{'descr': '|u1', 'fortran_order': False, 'shape': (${bomb(size / 16)},)}`),
              bomb(size / 16),
            ),
          ],
        ],
        { compressed: true },
      ),
  },
  { name: 'zeros, about twice', file: size => mixed(size, 2.9) },
  { name: 'zeros, 1.9 times', file: size => mixed(size, 1.9) },
  {
    name: 'noise, compressed',
    file: size => saveNpz({ x: tensorOver(noise(size), { dtype: 'uint8', shape: [size] }) }, { compressed: true }),
  },
  { name: 'many empty members', file: size => writeZip(members(size, i => [`${i}.npy`, new Uint8Array(0)], 100)) },
  { name: 'many other members', file: size => writeZip(members(size, i => [`${i}`, new Uint8Array(0)], 100)) },
  { name: 'many small arrays', file: size => writeZip(members(size, i => [`${i}.npy`, small], 220)) },
  {
    name: 'many small compressed arrays',
    file: size =>
      writeZip(
        members(size, i => [`${i}.npy`, small], 190),
        { compressed: true },
      ),
  },
  {
    name: 'long names',
    file: size => writeZip(members(size, i => [`${i}${'n'.repeat(30000)}`, new Uint8Array(0)], 60100)),
  },
  {
    name: 'long names beyond ASCII',
    file: size => writeZip(members(size, i => [`${i}${'€'.repeat(10000)}`, new Uint8Array(0)], 60100)),
  },
  { name: 'arrays as they should be', file: size => saveNpz({ x: floats(size / 8), y: floats(size / 8) }) },
];
const small = npyHeader(bytes("{'descr': '|u1', 'fortran_order': False, 'shape': ()}"), 1);
const members = (size: number, member: (i: number) => [string, Uint8Array], each: number): [string, Uint8Array][] =>
  Array.from({ length: Math.min(60000, Math.ceil(size / each)) }, (_, i) => member(i));
function noise(size: number): Uint8Array {
  const out = new Uint8Array(size);
  let state = 1;
  for (let i = 0; i < size; i++) out[i] = (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  return out;
}
function mixed(size: number, times: number): Uint8Array {
  const array = new Uint8Array(Math.floor(size * times));
  array.set(noise(size));
  return saveNpz({ x: tensorOver(array, { dtype: 'uint8', shape: [array.length] }) }, { compressed: true });
}

// ── safetensors ──────────────────────────────────────────────────────────────────────────────────────────────────────

function safetensorsOf(header: Uint8Array, data = 0): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return joined(length, header, new Uint8Array(data));
}
const emptyTensor = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
const safetensors: readonly Attack[] = [
  {
    name: 'many tensors',
    file: size => {
      const count = Math.ceil(size / 60);
      return safetensorsOf(
        bytes(
          `{${Array.from({ length: count }, (_, i) => `"${i}":{"dtype":"U8","shape":[],"data_offsets":[${i},${i + 1}]}`).join()}}`,
        ),
        count,
      );
    },
  },
  {
    name: 'many empty tensors',
    file: size => safetensorsOf(bytes(`{${flood(size, i => `"${i}":${emptyTensor},`).slice(0, -1)}}`)),
  },
  {
    name: 'long shapes',
    file: size =>
      safetensorsOf(
        bytes(
          `{${flood(size, i => `"${i}":{"dtype":"U8","shape":[${'0,'.repeat(63)}0],"data_offsets":[0,0]},`).slice(0, -1)}}`,
        ),
      ),
  },
  {
    name: 'one shape of many sizes',
    file: size =>
      safetensorsOf(bytes(`{"a":{"dtype":"U8","shape":[${repeated(size, '1,')}1],"data_offsets":[0,1]}}`), 1),
  },
  {
    name: 'much metadata',
    file: size => safetensorsOf(bytes(`{"__metadata__":{${flood(size, i => `"${i}":"",`).slice(0, -1)}}}`)),
  },
  { name: 'one long text', file: size => safetensorsOf(bytes(`{"__metadata__":{"a":"${repeated(size, 'x')}"}}`)) },
  {
    name: 'one long text beyond ASCII',
    file: size => safetensorsOf(text(`{"__metadata__":{"a":"€${repeated(size, 'x')}"}}`)),
  },
  {
    name: 'one long text of escapes',
    file: size => safetensorsOf(text(`{"__metadata__":{"a":"${repeated(size, '\\n')}"}}`)),
  },
  { name: 'a long name beyond ASCII', file: size => safetensorsOf(text(`{"€${repeated(size, 'x')}":${emptyTensor}}`)) },
  { name: 'spaces', file: size => safetensorsOf(bytes(`{${repeated(size, ' ')}}`)) },
  {
    name: 'spaces and a name beyond ASCII',
    file: size => safetensorsOf(text(`{"€":${emptyTensor}${repeated(size, ' ')}}`)),
  },
  {
    name: 'a long number',
    file: size => safetensorsOf(bytes(`{"a":{"dtype":"U8","shape":[${repeated(size, '1')}],"data_offsets":[0,1]}}`)),
  },
  { name: 'many fields', file: size => safetensorsOf(bytes(`{"a":{${flood(size, i => `"${i}":1,`).slice(0, -1)}}}`)) },
  { name: 'lists', file: size => safetensorsOf(bytes(`{"a":[${repeated(size, '[],')}[]]}`)) },
  {
    name: 'a tensor as it should be',
    file: size => safetensorsOf(bytes(`{"a":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}}`), size),
  },
];

// ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const unicode = (value: string): string => `X${u32(value.length)}${value}`;
const storage = (key: string): string =>
  `(${unicode('storage')}ctorch\nFloatStorage\n${unicode(key)}${unicode('cpu')}K\0tQ`;
const rebuild = 'ctorch._utils\n_rebuild_tensor_v2\n';
const list = (size: number, unit: (i: number) => string, before = ''): string => `${before}(${flood(size, unit)}l.`;
const float64 = (value: number): string =>
  String.fromCharCode(...new Uint8Array(new Float64Array([value]).buffer).reverse());
const int = (value: number): string => `J${u32(value)}`;

/** Programs for the stack machine; `N` is None, `l` makes a list of what lies above the mark `(`. */
const pickles: readonly { readonly name: string; readonly pickle: (size: number) => string }[] = [
  { name: 'None', pickle: size => list(size, () => 'N') },
  { name: 'None, one by one', pickle: size => `]${repeated(size, 'Na')}.` },
  { name: 'integers', pickle: size => list(size, i => int(i)) },
  { name: 'large integers', pickle: size => list(size, i => `\x8a\x07${u32(i)}\0\0\x10`) },
  { name: 'huge integers', pickle: size => list(size, () => `\x8a\xff${'\x7f'.repeat(255)}`) },
  { name: 'bigints', pickle: size => list(size, i => `\x8a\x08${u32(i)}\0\0\0\x40`) },
  { name: 'floats', pickle: size => list(size, i => `G${float64(i + 0.5)}`) },
  { name: 'whole floats', pickle: size => list(size, i => `G${float64(i)}`) },
  {
    name: 'short strings',
    pickle: size => list(size, i => `\x8c\x02${String.fromCharCode(33 + (i % 90), 33 + ((i / 90) % 90))}`),
  },
  { name: 'empty strings', pickle: size => list(size, () => '\x8c\0') },
  { name: 'short strings beyond ASCII', pickle: size => list(size, () => '\x8c\x04\xe2\x82\xaca') },
  { name: 'a long string', pickle: size => `X${u32(size)}${repeated(size, 'x').slice(0, size)}.` },
  {
    name: 'a long string beyond ASCII',
    pickle: size => `X${u32(size + 3)}\xe2\x82\xac${repeated(size, 'x').slice(0, size)}.`,
  },
  { name: 'dicts', pickle: size => list(size, () => '}') },
  { name: 'dicts of one entry', pickle: size => list(size, () => '}K\0Ns') },
  { name: 'one dict', pickle: size => `}(${flood(size, i => `${int(i)}N`)}u.` },
  {
    name: 'one dict of names',
    pickle: size =>
      `}(${flood(size, i => `\x8c\x04${String.fromCharCode(33 + (i % 90), 33 + ((i / 90) % 90), 33 + ((i / 8100) % 90), 33 + ((i / 729000) % 90))}N`)}u.`,
  },
  { name: 'lists', pickle: size => list(size, () => ']') },
  { name: 'lists of one', pickle: size => list(size, () => ']Na') },
  { name: 'tuples', pickle: size => list(size, () => ')') },
  { name: 'tuples of one', pickle: size => list(size, () => 'N\x85') },
  { name: 'nested tuples', pickle: size => `)${repeated(size, '\x85')}.` },
  { name: 'nested lists', pickle: size => `${repeated(size / 2, ']')}${repeated(size / 2 - 1, 'a')}.` },
  { name: 'doubled tuples', pickle: size => `)${flood(size, i => `\x94j${u32(i)}\x86`)}.` },
  { name: 'memos', pickle: size => `N${repeated(size, '\x94')}.` },
  { name: 'marks', pickle: size => repeated(size, '(') },
  { name: 'copies', pickle: size => list(size, () => 'h\0', ']q\x000') },
  { name: 'ordered dicts', pickle: size => list(size, () => 'h\0)R', 'ccollections\nOrderedDict\nq\x000') },
  { name: 'sizes', pickle: size => list(size, () => 'h\0h\x01R', 'ctorch\nSize\nq\x000)\x85q\x010') },
  { name: 'names', pickle: size => list(size, () => 'ctorch\nSize\n') },
  { name: 'long names', pickle: size => list(size, () => `c${'x'.repeat(1000)}\n${'y'.repeat(1000)}\n`) },
  {
    name: 'tensors',
    pickle: size => list(size, () => 'h\0h\x01R', `${rebuild}q\x000(${storage('k')}K\0K\0\x85K\x01\x85\x89}tq\x010`),
  },
  {
    name: 'parameters',
    pickle: size =>
      list(
        size,
        () => 'h\x02h\x03R',
        `ctorch._utils\n_rebuild_parameter\nq\x000${rebuild}(${storage('k')}K\0K\0\x85K\x01\x85\x89}tRq\x010h\x01\x88}\x87q\x020h\0q\x030h\x03q\x020h\x01\x88}\x87q\x030`,
      ),
  },
  { name: 'memories', pickle: size => list(size, i => storage(String(i))) },
  { name: 'thrown away', pickle: size => `${repeated(size, '}0')}N.` },
];

const legacyStart = '\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.}.';
const legacy: readonly Attack[] = pickles.map(({ name, pickle }) => ({
  name,
  file: size => bytes(`${legacyStart}${pickle(size)}].`),
}));
const zipped = (compressed: boolean): Attack[] =>
  pickles.map(({ name, pickle }) => ({
    name: compressed ? `${name}, compressed` : name,
    file: size => writeZip([['a/data.pkl', bytes(`\x80\x02${pickle(size)}`)]], { compressed }),
  }));

export const attacks: Readonly<Record<FormatName, readonly Attack[]>> = {
  npy,
  npz,
  safetensors,
  pt: [...zipped(false), ...zipped(true)],
  'pt-legacy': legacy,
};
