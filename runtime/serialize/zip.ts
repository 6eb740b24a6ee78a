/**
 * Zip archives (PKWARE's APPNOTE.TXT), as far as `.npz` and PyTorch's checkpoints need them: stored and deflated members,
 * and the 64-bit fields.
 *
 * Members are found through the central directory only. It must agree with the headers before the members, no two members
 * may share bytes, and what a member inflates to is bounded before any memory is taken for it.
 */
import { deflateSync } from 'fflate';
import { fail } from '../../compiler/errors.js';
import type { Budget } from './budget.js';
import { damaged, refused } from './elements.js';
import { inflateInto } from './inflate.js';
import { readText } from './text.js';

const localSignature = 0x04034b50;
const memberSignature = 0x02014b50;
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locatorSignature = 0x07064b50;
const [localBytes, memberBytes, endBytes, end64Bytes, locatorBytes] = [30, 46, 22, 56, 20];

const stored = 0;
const deflated = 8;
/** Bits of a member's flags: encryption in its forms; sizes that follow the data; a name in UTF-8. */
const encryptedFlags = 0x2041;
const sizesFollowFlag = 0x0008;
const utf8Flag = 0x0800;
/** Where a 32-bit field holds this, the value is in the extra field of 64-bit values. */
const in64Bits = 0xffffffff;
const extraOf64Bits = 1;

const mostMembers = 100_000;
/** What a member takes in memory beside its name, about. */
const memberCost = 480;
/** Deflate makes at most 1032 bytes of one. */
const steepestDeflate = 1032;

/** A member of an archive. */
export interface Member {
  /** Was it inflated into memory of its own? Otherwise its bytes are those of the file. */
  readonly compressed: boolean;
  /** Bytes of its contents. */
  readonly size: number;
  /** The contents, checked against their checksum. */
  read(): Uint8Array;
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the directory says about a member. */
interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  /** Bytes in the file, and when inflated. */
  readonly packed: number;
  readonly size: number;
  /** Where its header begins. */
  readonly offset: number;
}
interface Directory {
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

/**
 * The members of an archive by name, paid for by `budget`, as what they inflate to is. Throws E401 where it is damaged, E402
 * where it asks for what is not allowed.
 */
export const readZip = (format: string, file: Uint8Array, budget: Budget): Map<string, Member> =>
  new ZipReader(format, file, budget).members();

/** A member, and where its data lie. */
class Located implements Member {
  readonly entry: Entry;
  readonly data: number;
  readonly #reader: ZipReader;
  constructor(reader: ZipReader, entry: Entry, data: number) {
    this.#reader = reader;
    this.entry = entry;
    this.data = data;
  }
  get compressed(): boolean {
    return this.entry.method === deflated;
  }
  get size(): number {
    return this.entry.size;
  }
  read(): Uint8Array {
    return this.#reader.contents(this);
  }
}

class ZipReader {
  readonly #format: string;
  readonly #file: Uint8Array;
  readonly #view: DataView;
  readonly #budget: Budget;

  constructor(format: string, file: Uint8Array, budget: Budget) {
    this.#format = format;
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    this.#budget = budget;
  }

  members(): Map<string, Member> {
    const directory = this.#directory();
    this.#budget.spend(memberCost * directory.count);
    const located = this.#located(directory);
    this.#checkOverlaps(located);
    const members = new Map<string, Member>();
    for (const member of located) {
      const { name } = member.entry;
      if (members.has(name)) this.#damaged(`two members are named '${name}'`);
      members.set(name, member);
    }
    return members;
  }

  #damaged(problem: string): never {
    return damaged(this.#format, problem);
  }
  #refused(problem: string): never {
    return refused(this.#format, problem, 'write the archive anew, with plain members');
  }
  #u16(at: number): number {
    return this.#view.getUint16(at, true);
  }
  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }
  /** A size or an offset: one beyond 2^53 lies beyond every file. */
  #u64(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  /** Where the directory lies: right before the end record, which is the last thing in the file. */
  #directory(): Directory {
    const at = this.#endRecord();
    const disks = [this.#u16(at + 4), this.#u16(at + 6)];
    let directory = {
      count: this.#u16(at + 10),
      start: this.#u32(at + 16),
      end: this.#u32(at + 16) + this.#u32(at + 12),
    };
    let endsAt = at;
    const locator = at - locatorBytes;
    if (locator >= 0 && this.#u32(locator) === locatorSignature) {
      endsAt = this.#u64(locator + 8);
      if (endsAt + end64Bytes > locator || this.#u32(endsAt) !== end64Signature)
        this.#damaged('its 64-bit end record is not where it should be');
      disks.push(this.#u32(endsAt + 16), this.#u32(endsAt + 20));
      const start = this.#u64(endsAt + 48);
      const wide = { count: this.#u64(endsAt + 32), start, end: start + this.#u64(endsAt + 40) };
      const differs = (narrow: number, whole: number, limit: number): boolean => narrow !== limit && narrow !== whole;
      if (differs(directory.count, wide.count, 0xffff) || differs(directory.start, wide.start, in64Bits))
        this.#damaged('its two end records contradict each other');
      directory = wide;
    }
    if (disks.some(disk => disk !== 0)) this.#refused('the archive spans several files');
    if (directory.end !== endsAt) this.#damaged(`its directory ends at byte ${directory.end}, not at ${endsAt}`);
    if (directory.count > mostMembers) this.#refused(`${directory.count} members are more than ${mostMembers}`);
    return directory;
  }

  #endRecord(): number {
    const last = this.#file.length - endBytes;
    for (let at = last; at >= Math.max(0, last - 0xffff); at--)
      if (this.#u32(at) === endSignature && at + endBytes + this.#u16(at + 20) === this.#file.length) return at;
    return this.#damaged('not a zip file that can be read: it has no end record');
  }

  #located({ start, end, count }: Directory): Located[] {
    const located: Located[] = [];
    let at = start;
    for (let i = 0; i < count; i++) {
      if (at + memberBytes > end || this.#u32(at) !== memberSignature)
        this.#damaged(`its directory breaks off at byte ${at}`);
      const [nameLength, extraLength, commentLength] = [this.#u16(at + 28), this.#u16(at + 30), this.#u16(at + 32)];
      const extra = at + memberBytes + nameLength;
      if (extra + extraLength + commentLength > end) this.#damaged(`its directory breaks off at byte ${at}`);
      const entry = this.#entry(at, nameLength, extra, extraLength);
      if (!entry.name.endsWith('/'))
        located.push(new Located(this, entry, this.#dataOf(entry, at + memberBytes, nameLength, start)));
      at = extra + extraLength + commentLength;
    }
    if (at !== end) this.#damaged(`its directory has ${end - at} bytes more than its ${count} members`);
    return located;
  }

  #entry(at: number, nameLength: number, extra: number, extraLength: number): Entry {
    const [size, packed, offset] = this.#wide(
      [24, 20, 42].map(field => this.#u32(at + field)),
      extra,
      extraLength,
    );
    const entry: Entry = {
      name: this.#name(at + memberBytes, nameLength),
      method: this.#u16(at + 10),
      crc: this.#u32(at + 16),
      packed,
      size,
      offset,
    };
    if (this.#u16(at + 8) & encryptedFlags) this.#refused(`member '${entry.name}' is encrypted`);
    if (entry.method !== stored && entry.method !== deflated)
      this.#refused(`member '${entry.name}' is compressed by method ${entry.method}, neither stored nor deflated`);
    if (entry.method === stored && packed !== size)
      this.#damaged(`member '${entry.name}' is stored in ${packed} bytes but has ${size}`);
    if (size > packed * steepestDeflate)
      this.#refused(`member '${entry.name}' claims that ${packed} bytes inflate to ${size}`);
    return entry;
  }

  /** Fields of 32 bits, replaced by their 64-bit values where those are in the extra field. */
  #wide(fields: readonly number[], extra: number, length: number): number[] {
    const end = extra + length;
    for (let at = extra; at + 4 <= end; at += 4 + this.#u16(at + 2)) {
      if (this.#u16(at) !== extraOf64Bits) continue;
      let next = at + 4;
      const limit = Math.min(end, next + this.#u16(at + 2));
      return fields.map(field => {
        if (field !== in64Bits) return field;
        if (next + 8 > limit) this.#damaged('a 64-bit size is cut off');
        next += 8;
        return this.#u64(next - 8);
      });
    }
    return [...fields];
  }

  #name(at: number, length: number): string {
    const name = readText(this.#format, this.#file, at, at + length, this.#budget);
    const problem = nameProblem(name);
    return problem === null ? name : this.#refused(`member ${JSON.stringify(name)} ${problem}`);
  }

  /** Where the data of a member begin, after a header that must say what the directory says. */
  #dataOf(entry: Entry, nameAt: number, nameBytes: number, directoryStart: number): number {
    const { name, offset } = entry;
    if (offset + localBytes > directoryStart || this.#u32(offset) !== localSignature)
      return this.#damaged(`member '${name}' has no header at byte ${offset}`);
    const [nameLength, extraLength] = [this.#u16(offset + 26), this.#u16(offset + 28)];
    const extra = offset + localBytes + nameLength;
    const data = extra + extraLength;
    if (data + entry.packed > directoryStart)
      return this.#damaged(`member '${name}' ends at byte ${data + entry.packed}, the data end at ${directoryStart}`);
    const [size, packed] = this.#wide([this.#u32(offset + 22), this.#u32(offset + 18)], extra, extraLength);
    const sizesFollow = (this.#u16(offset + 6) & sizesFollowFlag) !== 0;
    const agrees =
      nameLength === nameBytes &&
      this.#sameBytes(offset + localBytes, nameAt, nameLength) &&
      this.#u16(offset + 8) === entry.method &&
      (sizesFollow || (size === entry.size && packed === entry.packed && this.#u32(offset + 14) === entry.crc));
    return agrees ? data : this.#damaged(`the header of member '${name}' contradicts the directory`);
  }

  #sameBytes(one: number, other: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.#file[one + i] !== this.#file[other + i]) return false;
    return true;
  }

  #checkOverlaps(located: readonly Located[]): void {
    const inOrder = [...located].sort((a, b) => a.entry.offset - b.entry.offset);
    for (let i = 1; i < inOrder.length; i++) {
      const [{ entry, data }, { entry: next }] = [inOrder[i - 1], inOrder[i]];
      if (data + entry.packed > next.offset) this.#refused(`members '${entry.name}' and '${next.name}' overlap`);
    }
  }

  contents({ entry, data }: Located): Uint8Array {
    const packed = this.#file.subarray(data, data + entry.packed);
    const bytes = entry.method === stored ? packed : this.#inflated(entry, packed);
    if (crc32(bytes) !== entry.crc) this.#damaged(`member '${entry.name}' does not match its checksum`);
    return bytes;
  }

  #inflated({ name, size }: Entry, packed: Uint8Array): Uint8Array {
    this.#budget.spend(size);
    const out = new Uint8Array(size);
    const filled = inflateInto(packed, out, {
      broken: problem => this.#damaged(`member '${name}' does not inflate: ${problem}`),
      overfull: () => this.#refused(`member '${name}' inflates to more than the ${size} bytes it claims`),
    });
    return filled === size ? out : this.#damaged(`member '${name}' inflates to ${filled} bytes, not to ${size}`);
  }
}

/** Why an archive may not have a member of this name; null where it may. */
function nameProblem(name: string): string | null {
  if (name === '' || /[\0\\]/.test(name)) return 'has an impossible name';
  const escapes = /^(\/|[a-z]:)/i.test(name) || name.split('/').some(part => part === '..' || part === '.');
  return escapes ? 'has a path that leads out of the archive' : null;
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ZipOptions {
  readonly compressed?: boolean;
  /** The data of each member begin at a multiple of so many bytes. */
  readonly alignment?: number;
}

/** An archive of some members, in the order given. */
export function writeZip(
  members: Iterable<readonly [name: string, contents: Uint8Array]>,
  { compressed = false, alignment = 1 }: ZipOptions = {},
): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  let count = 0;
  for (const [name, contents] of members) {
    const problem = nameProblem(name);
    if (problem !== null)
      fail('E208', { problem: `${JSON.stringify(name)} ${problem}; it cannot be put into a zip file` });
    const data = compressed ? deflateSync(contents) : contents;
    const nameBytes = new TextEncoder().encode(name);
    const padding = paddingOf(at + localBytes + nameBytes.length, alignment);
    const shared = memberHeader(compressed ? deflated : stored, crc32(contents), data.length, contents.length);
    const tail = [nameBytes.length, padding.length];
    locals.push(record(localSignature, [...shared, ...u16s(tail)]), nameBytes, padding, data);
    directory.push(
      record(memberSignature, [
        ...u16s([version]),
        ...shared,
        ...u16s([nameBytes.length, 0, 0, 0, 0]),
        ...u32s([0, at]),
      ]),
      nameBytes,
    );
    at += localBytes + nameBytes.length + padding.length + data.length;
    count++;
  }
  const directoryLength = directory.reduce((sum, { length }) => sum + length, 0);
  if (at + directoryLength >= in64Bits || count >= 0xffff)
    fail('E208', {
      problem: `${count} members of ${at} bytes are too much for a zip file`,
      hint: 'write several files',
    });
  const end = record(endSignature, [...u16s([0, 0, count, count]), ...u32s([directoryLength, at]), ...u16s([0])]);
  return joined([...locals, ...directory, end]);
}

/** The version of the format that a reader must know: 2.0, which has deflate. */
const version = 20;
/** The first of January 1980, midnight: the same contents give the same file. */
const [time, date] = [0, 0x21];

const memberHeader = (method: number, crc: number, packed: number, size: number): number[] => [
  ...u16s([version, utf8Flag, method, time, date]),
  ...u32s([crc, packed, size]),
];

/** An extra field that moves what follows to the next multiple of `alignment`; the id is the one PyTorch pads with. */
function paddingOf(at: number, alignment: number): Uint8Array {
  if (alignment === 1) return new Uint8Array(0);
  const extraHeader = 4;
  const length = (alignment - ((at + extraHeader) % alignment)) % alignment;
  return Uint8Array.from([0x46, 0x42, ...u16s([length]), ...new Uint8Array(length)]);
}

const u16s = (values: readonly number[]): number[] => values.flatMap(value => [value & 255, value >>> 8]);
const u32s = (values: readonly number[]): number[] => values.flatMap(value => u16s([value & 0xffff, value >>> 16]));
const record = (signature: number, rest: readonly number[]): Uint8Array =>
  Uint8Array.from([...u32s([signature]), ...rest]);

/** Pieces one after another. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

// ── checksum ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

/** CRC-32 of IEEE 802.3, a byte at a time. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
