/**
 * Ways to spoil a file: single bits, numbers at the edges of their types, pieces moved, doubled, dropped, or of another file.
 */
import type { Random } from './random.js';

/** What a mutation may draw from beside the file itself. */
export interface Material {
  /** Other files of the same format. */
  readonly corpus: readonly Uint8Array[];
  /** Pieces that mean something in the format. */
  readonly tokens: readonly Uint8Array[];
}

type Mutation = (random: Random, bytes: Uint8Array, material: Material) => Uint8Array;

const edges = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn];
const wideEdges = [...edges, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];

const spliced = (bytes: Uint8Array, start: number, end: number, piece: Uint8Array): Uint8Array => {
  const out = new Uint8Array(start + piece.length + bytes.length - end);
  out.set(bytes.subarray(0, start));
  out.set(piece, start);
  out.set(bytes.subarray(end), start + piece.length);
  return out;
};
/** A piece of at most `longest` bytes. */
const range = (random: Random, bytes: Uint8Array, longest = 64): [number, number] => {
  const start = random.below(bytes.length + 1);
  return [start, Math.min(bytes.length, start + 1 + random.below(longest))];
};

const mutations: readonly Mutation[] = [
  function flipBit(random, bytes) {
    const out = bytes.slice();
    if (out.length > 0) out[random.below(out.length)] ^= 1 << random.below(8);
    return out;
  },
  function setByte(random, bytes) {
    const out = bytes.slice();
    if (out.length > 0) out[random.below(out.length)] = random.below(256);
    return out;
  },
  function edgeNumber(random, bytes) {
    const width = random.pick([1, 2, 4, 8]);
    if (bytes.length < width) return bytes;
    const out = bytes.slice();
    const at = random.below(out.length - width + 1);
    const value = random.pick(wideEdges);
    for (let i = 0; i < width; i++) out[at + i] = Number((value >> BigInt(8 * i)) & 255n);
    return out;
  },
  function shiftNumber(random, bytes) {
    if (bytes.length < 4) return bytes;
    const out = bytes.slice();
    const view = new DataView(out.buffer);
    const at = random.below(out.length - 3);
    view.setUint32(at, view.getUint32(at, true) + random.below(17) - 8, true);
    return out;
  },
  function truncate(random, bytes) {
    return bytes.slice(0, random.below(bytes.length + 1));
  },
  function drop(random, bytes) {
    return spliced(bytes, ...range(random, bytes), new Uint8Array(0));
  },
  function double(random, bytes) {
    const [start, end] = range(random, bytes);
    return spliced(bytes, end, end, bytes.subarray(start, end));
  },
  function repeatOften(random, bytes) {
    const [start, end] = range(random, bytes, 8);
    const times = 1 + random.below(2000);
    const piece = new Uint8Array((end - start) * times);
    for (let i = 0; i < times; i++) piece.set(bytes.subarray(start, end), i * (end - start));
    return spliced(bytes, start, end, piece);
  },
  function copyOver(random, bytes) {
    const [start, end] = range(random, bytes);
    const out = bytes.slice();
    out.copyWithin(random.below(out.length + 1), start, end);
    return out;
  },
  function otherFile(random, bytes, { corpus }) {
    const other = random.pick(corpus);
    return spliced(bytes, ...range(random, bytes), other.subarray(...range(random, other)));
  },
  function insertToken(random, bytes, { tokens }) {
    const at = random.below(bytes.length + 1);
    return spliced(bytes, at, at, random.pick(tokens));
  },
  function token(random, bytes, { tokens }) {
    const piece = random.pick(tokens);
    const at = random.below(bytes.length + 1);
    return spliced(bytes, at, Math.min(bytes.length, at + piece.length), piece);
  },
];

/** One to four mutations, one after another. */
export function mutate(random: Random, bytes: Uint8Array, material: Material): Uint8Array {
  let out = bytes;
  for (let count = 1 + random.below(4); count > 0; count--) out = random.pick(mutations)(random, out, material);
  return out;
}
