/**
 * Tensors in files: what is written is read again, PyTorch's own files hold what PyTorch put there, and every known attack on
 * a loader ends in an error that says what is wrong. Files in `reference/data/io` were written by PyTorch 1.13 and NumPy.
 */
import { readFileSync } from 'node:fs';
import {
  bfloat16,
  bool,
  float,
  float16,
  float64,
  int8,
  int16,
  int32,
  type LoadOptions,
  load,
  loadNpy,
  loadNpz,
  loadSafetensors,
  manualSeed,
  nn,
  ones,
  optim,
  rand,
  readSafetensors,
  save,
  saveNpy,
  saveNpz,
  saveSafetensors,
  type Tensor,
  tensor,
  uint8,
  zeros,
} from 'gradc';
import { describe, expect, test } from 'vitest';
import { writeZip } from '../runtime/serialize/zip.js';

const fileOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`reference/data/io/${name}`, import.meta.url)));
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, character => character.charCodeAt(0));
const concat = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap(part => [...part]));
/** A file with every occurrence of a text replaced by another of the same length. */
const patched = (file: Uint8Array, from: string, to: string): Uint8Array =>
  latin1(Buffer.from(file).toString('latin1').replaceAll(from, to));

const everyKind = (): Record<string, Tensor> => ({
  weight: rand(3, 4),
  transposed: rand(2, 3).t(),
  half: tensor([0.5, -2], { dtype: float16 }),
  bf: tensor([1.5], { dtype: bfloat16 }),
  double: tensor([Math.PI, Number.NaN, -Infinity], { dtype: float64 }),
  mask: tensor([true, false], { dtype: bool }),
  ids: tensor([1, -2]),
  small: tensor([7], { dtype: int32 }),
  short: tensor([-3], { dtype: int16 }),
  tiny: tensor([-128, 127], { dtype: int8 }),
  bytes: tensor([255], { dtype: uint8 }),
  empty: zeros(0, 2),
  scalar: tensor(2.5),
});
const contents = (tensors: Record<string, Tensor>): unknown =>
  Object.entries(tensors).map(([name, t]) => [name, t.dtype, t.shape, t.tolist()]);

describe('round trips', () => {
  test('safetensors, with metadata', () => {
    const state = everyKind();
    const { tensors, metadata } = readSafetensors(saveSafetensors(state, { format: 'pt' }));
    expect(metadata).toEqual({ format: 'pt' });
    expect(contents(tensors)).toEqual(contents(state));
  });

  test.each([false, true])('npz, compressed: %s; bfloat16 has no type there', compressed => {
    const { bf, ...state } = everyKind();
    expect(contents(loadNpz(saveNpz(state, { compressed })))).toEqual(contents(state));
    expect(() => saveNpy(bf)).toThrow(/NumPy has no type for bfloat16/);
  });

  test('npz from a Buffer of Node: its tensors are aligned and share no memory with it', () => {
    const saved = saveNpz({ values: tensor([1, 2, 3], { dtype: 'float32' }) });
    for (const start of [0, 1, 2, 3]) {
      const file = Buffer.alloc(start + saved.length).subarray(start);
      file.set(saved);
      const { values } = loadNpz(file);
      file.fill(0);
      expect(values.tolist()).toEqual([1, 2, 3]);
    }
  });
  test.each(['zip', 'legacy'] as const)('PyTorch: every dtype, %s', format => {
    const state = everyKind();
    const read = load(save(state, { format })) as Record<string, Tensor>;
    expect(contents(read)).toEqual(contents(state));
    expect(read.transposed.stride()).toEqual([1, 3]);
  });

  test.each(['zip', 'legacy'] as const)('PyTorch: shared memory, views, parameters and gradients, %s', format => {
    const x = rand(4, 6);
    const value = { x, row: x.select(0, 2), corner: x.narrow(1, 3, 2), same: x, wide: rand(1, 3).expand(5, 3) };
    const net = new nn.Linear(2, 1);
    const file = save({ ...value, weight: net.weight, leaf: ones(2).requiresGrad_() }, { format });
    const read = load(file) as Record<keyof typeof value | 'weight' | 'leaf', Tensor>;
    expect(read.same).toBe(read.x);
    read.x.fill_(7);
    expect([read.row.tolist(), read.corner.stride(), read.corner.sum().item()]).toEqual([Array(6).fill(7), [6, 1], 56]);
    expect([read.wide.shape, read.wide.stride()]).toEqual([
      [5, 3],
      [0, 1],
    ]);
    expect([read.weight instanceof nn.Parameter, read.weight.requiresGrad]).toEqual([true, true]);
    expect([read.leaf.requiresGrad, read.x.requiresGrad]).toEqual([true, false]);
  });

  test.each(['zip', 'legacy'] as const)('PyTorch: plain values, %s', format => {
    const shared = ['s', null];
    const value = {
      numbers: [
        0,
        255,
        256,
        65535,
        65536,
        -1,
        -(2 ** 31),
        2 ** 31,
        2 ** 53 - 1,
        2n ** 53n,
        -(2n ** 64n),
        0.1,
        -0,
        1e300,
      ],
      special: [Number.NaN, Infinity, -Infinity],
      text: ['', 'ä€😀', 'a'.repeat(300)],
      truth: [true, false],
      tuple: Object.freeze([1, Object.freeze([])]),
      byNumber: new Map<unknown, unknown>([
        [0, { step: 1 }],
        [1, []],
      ]),
      shared,
      again: shared,
      constructor: { toString: 'a key like any other' },
    };
    const read = load(save(value, { format })) as typeof value;
    expect(read).toEqual(value);
    expect(read.again).toBe(read.shared);
    expect([Object.isFrozen(read.tuple), Object.isFrozen(read.shared)]).toEqual([true, false]);
    expect(load(save(Array.from({ length: 3000 }, (_, i) => i)))).toHaveLength(3000);
  });

  test('floats with a whole value stay floats where that is asked for', () => {
    const file = save({ lr: float(1), betas: [0.9, float(0)], steps: 1 });
    expect(load(file)).toEqual({ lr: 1, betas: [0.9, 0], steps: 1 });
    expect(load(file, { keepFloats: true })).toEqual({ lr: float(1), betas: [0.9, float(0)], steps: 1 });
    expect(save(load(file, { keepFloats: true }))).toEqual(file);
  });

  test('a model and its optimizer go on where they were saved', () => {
    manualSeed(3);
    const make = () => {
      const net = new nn.Linear(3, 2);
      return { net, opt: new optim.Adam(net.parameters(), { lr: 0.1 }) };
    };
    const step = ({ net, opt }: ReturnType<typeof make>): number => {
      opt.zeroGrad();
      const loss = net.forward(ones(4, 3)).pow(2).sum();
      loss.backward();
      opt.step();
      return loss.item();
    };
    const [one, other] = [make(), make()];
    step(one);
    const file = save({ net: one.net.stateDict(), opt: one.opt.stateDict() });
    const saved = load(file) as { net: nn.StateDict; opt: optim.OptimizerState };
    other.net.loadStateDict(saved.net);
    other.opt.loadStateDict(saved.opt);
    expect([step(other), step(other)]).toEqual([step(one), step(one)]);
  });

  test.each([
    ['a function', () => save({ f: () => 1 }), /a value of type function/],
    ['an object of a class', () => save(new Date(0)), /an object of class Date/],
    [
      'a value that contains itself',
      () => {
        const a: unknown[] = [];
        a.push(a);
        return save(a);
      },
      /contains itself/,
    ],
    ['a path as a name', () => saveNpz({ '../x': ones(1) }), /leads out of the archive/],
    ['metadata as a name', () => saveSafetensors({ __metadata__: ones(1) }), /cannot be the name of a tensor/],
  ] as const)('%s is not written', (_, call, message) => {
    expect(call).toThrow(message);
  });
});

describe('files of PyTorch and NumPy', () => {
  const rounded = (t: Tensor): unknown => t.mul(1e4).round().tolist();

  test.each(['linear.pt', 'linear_legacy.pt'])('a state dict: %s', name => {
    const net = new nn.Linear(3, 2);
    net.loadStateDict(load(fileOf(name)) as nn.StateDict);
    expect(rounded(net.bias!)).toEqual([-1188, 2937]);
    expect(rounded(net.weight.select(0, 1))).toEqual([2710, -5435, 3462]);
  });

  test('an optimizer goes on from a checkpoint', () => {
    const { model, optimizer } = load(fileOf('checkpoint.pt')) as {
      model: nn.StateDict;
      optimizer: optim.TorchOptimizerState;
    };
    const net = new nn.Linear(3, 2);
    net.loadStateDict(model);
    const opt = new optim.Adam(net.parameters());
    opt.loadStateDict(optimizer);
    expect(opt.paramGroups[0].lr).toBe(0.05);
    const { step, exp_avg } = opt.stateOf(net.bias!);
    expect([(step as Tensor).item(), rounded(exp_avg as Tensor)]).toEqual([1, [4000, 4000]]);
    expect(Object.keys(opt.paramGroups[0])).not.toContain('foreach');
  });

  test('big-endian tensors, as the file says', () => {
    const file = save({ x: tensor([1, 2]) });
    const big = patched(file, '\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0', '\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02');
    expect(() => load(big)).toThrow(/does not match its checksum/);
    const members = [
      ['a/data.pkl', memberOf(file, 'data.pkl')],
      ['a/byteorder', latin1('big')],
      ['a/data/0', latin1('\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02')],
    ] as const;
    expect((load(writeZip(members)) as { x: Tensor }).x.tolist()).toEqual([1, 2]);
  });

  test('big-endian and Fortran order in npy', () => {
    const file = npy(
      "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }",
      '\0\x01\0\x04\0\x02\0\x05\0\x03\0\x06',
    );
    expect(loadNpy(file).tolist()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });
});

// ── attacks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An npy file around a header. */
function npy(header: string, data = ''): Uint8Array {
  return latin1(`\x93NUMPY\x01\0${String.fromCharCode(header.length & 255, header.length >> 8)}${header}${data}`);
}
const npyOf = (descr: string, shape: string, data = ''): Uint8Array =>
  npy(`{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`, data);

describe('npy files that are refused', () => {
  test.each([
    ['not an npy file', new Uint8Array(20), /does not begin with/],
    ['cut off', saveNpy(ones(4)).subarray(0, 130), /takes 16 bytes, there are 2/],
    ['longer than its array', concat(saveNpy(ones(1)), latin1('x')), /takes 4 bytes, there are 5/],
    ['a header cut off', saveNpy(ones(4)).subarray(0, 40), /the header ends at byte 128/],
    ['an unknown version', patched(saveNpy(ones(1)), 'NUMPY\x01', 'NUMPY\x09'), /unknown version 9/],
    ['Python objects', npyOf("'|O'", '(1,)', '\x80\x04'), /E402: refused: npy: an array of Python objects/],
    ['a structured type', npyOf("[('x', '<f4')]", '(1,)'), /cannot read the header/],
    ['a type without a dtype', npyOf("'<c32'", '(1,)', '12345678'), /type '<c32' has no dtype/],
    ['an entry twice', npy("{'descr': '|u1', 'descr': '<f8', 'fortran_order': False, 'shape': ()}"), /'descr' twice/],
    ['an entry too many', npy("{'descr': '|u1', 'x': '', 'fortran_order': False, 'shape': ()}"), /cannot read/],
    ['a product that overflows', npyOf("'<f4'", '(4294967296, 4294967296, 4294967296)'), /impossible shape/],
    ['a size beyond 2^53', npyOf("'<f4'", '(9007199254740993,)'), /impossible shape/],
    ['a size that wraps to nothing in 64 bits', npyOf("'<f8'", '(2305843009213693952,)'), /impossible shape/],
    ['a huge shape over no data', npyOf("'<f4'", '(1000000000,)'), /takes 4000000000 bytes, there are 0/],
    ['too many dims', npyOf("'<f4'", `(${'1, '.repeat(65)})`, '1234'), /a shape of 65 dims/],
    ['a negative size', npyOf("'<f4'", '(-1,)'), /cannot read the header/],
  ] as const)('%s', (_, file, message) => {
    expect(() => loadNpy(file)).toThrow(message);
  });
});

describe('safetensors files that are refused', () => {
  const craft = (header: unknown, dataBytes: number, claimed?: bigint): Uint8Array => {
    const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + dataBytes);
    new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
    file.set(text, 8);
    return file;
  };
  const part = (dtype: unknown, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });
  const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ w: part(dtype, shape, offsets) });
  const bytes = (from: number, to: number) => part('U8', [to - from], [from, to]);
  const text = (value: unknown): string => JSON.stringify(value);
  test.each([
    ['cut off before the header', new Uint8Array(3), /has no room for a header/],
    ['a header longer than the file', craft({}, 0, 2n ** 63n), /header claims 9223372036854775808 bytes/],
    ['a header that is no JSON', craft('{', 0), /not a JSON object/],
    ['a header that is a list', craft('[]', 0), /not a JSON object/],
    ['an unknown dtype', craft(entry('F8', [1], [0, 1]), 1), /tensor 'w': unknown dtype "F8"/],
    ['a dtype that is a list', craft(entry(['F32'], [1], [0, 4]), 4), /unknown dtype \["F32"\]/],
    ['a shape that overflows', craft(entry('F32', [2 ** 40, 2 ** 40], [0, 4]), 4), /impossible shape/],
    ['a negative size', craft(entry('F32', [-1], [0, 4]), 4), /impossible shape \[-1\]/],
    ['a size that is no integer', craft(entry('U8', [1.5], [0, 1]), 1), /impossible shape \[1.5\]/],
    ['offsets past the end', craft(entry('F32', [1], [0, 4]), 2), /offsets \[0,4\] lie outside the 2 bytes/],
    ['offsets that run backwards', craft(entry('F32', [1], [4, 0]), 4), /lie outside/],
    ['three offsets', craft(entry('F32', [1], [0, 4, 8]), 4), /lie outside/],
    ['a size that does not fit the shape', craft(entry('F32', [1], [0, 2]), 2), /takes 4 bytes, there are 2/],
    ['a huge shape over a small file', craft(entry('F32', [1e9], [0, 4]), 4), /takes 4000000000 bytes, there are 4/],
    ['tensors that overlap', craft({ a: bytes(0, 3), b: bytes(2, 4) }, 4), /'b': begins at byte 2, .* ends at byte 3/],
    ['a hole', craft({ a: bytes(0, 2), b: bytes(3, 4) }, 4), /'b': begins at byte 3, .* ends at byte 2/],
    ['bytes of no tensor', craft({ a: bytes(0, 2) }, 4), /the tensors end at byte 2 of 4/],
    ['a name twice', craft(`{"a":${text(bytes(0, 1))},"a":${text(bytes(0, 1))}}`, 1), /has a name twice/],
    ['a field twice', craft('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1), /twice/],
    ['__proto__', craft(`{"__proto__":${text(bytes(0, 1))}}`, 1), /E402: refused: .*'__proto__'/],
    ['a tensor that is a list', craft(`{"a":${'['.repeat(1e6)}`, 0), /described by \[\[+, which is no object/],
    ['deep nesting', craft(`{"a":{"more":${'['.repeat(1e6)}`, 0), /nested deeper than 3 levels/],
    [
      'a flood of fields',
      craft({ a: Object.fromEntries([...Array(1e5).keys()].map(i => [i, 0])) }, 0),
      /take more than \d+ bytes/,
    ],
    [
      'a flood of names',
      craft({ __metadata__: Object.fromEntries([...Array(1e5)].map((_, i) => [i, ''])) }, 0),
      /take more/,
    ],
    [
      'a name that is not UTF-8',
      craft(entry('U8', [1], [0, 1]), 1).map(byte => (byte === 0x77 ? 0xff : byte)),
      /not UTF-8/,
    ],
    ['a list of 66 sizes', craft(entry('U8', Array(66).fill(1), [0, 1]), 1), /a list of many numbers/],
    ['text after the header', craft('{} {', 0), /not a JSON object that can be read: byte/],
    ['metadata of another kind', craft({ __metadata__: { a: 1 } }, 0), /must map strings to strings/],
  ] as const)('%s', (_, file, message) => {
    expect(() => loadSafetensors(file)).toThrow(message);
  });
});

/** The contents of a stored member of an archive that gradc wrote. */
function memberOf(file: Uint8Array, name: string): Uint8Array {
  const text = Buffer.from(file).toString('latin1');
  const header = text.indexOf(`archive/${name}`) - 30;
  const view = new DataView(file.buffer, file.byteOffset);
  const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
  return file.slice(start, start + view.getUint32(header + 18, true));
}

describe('zip archives that are refused', () => {
  const one = saveNpy(ones(2));
  const archive = writeZip([
    ['aa/x.npy', one],
    ['bb/x.npy', one],
  ]);
  const central = (nth: number, file = archive): number => {
    const text = Buffer.from(file).toString('latin1');
    return nth === 0 ? text.indexOf('PK\x01\x02') : text.indexOf('PK\x01\x02', central(nth - 1, file) + 1);
  };
  /** The archive with numbers written into it. */
  const withNumbers = (
    file: Uint8Array,
    ...numbers: readonly (readonly [at: number, bytes: 2 | 4, value: number])[]
  ) => {
    const out = file.slice();
    const view = new DataView(out.buffer);
    for (const [at, bytes, value] of numbers)
      if (bytes === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
    return out;
  };
  /** The second member's header again inside the data of the first, and the directory pointing there. */
  const overlapping = (): Uint8Array => {
    const inner = writeZip([['b.npy', one]]);
    const local = inner.subarray(0, central(0, inner));
    const outer = writeZip([
      ['a.npy', local],
      ['b.npy', one],
    ]);
    return withNumbers(outer, [central(1, outer) + 42, 4, 30 + 'a.npy'.length]);
  };
  const end = archive.length - 22;
  const zeroBytes = new Uint8Array(64 * 2 ** 20);
  const packed = writeZip([['x.npy', one]], { compressed: true });
  /** Both headers of a compressed member with another size. */
  const sized = (size: number): Uint8Array => withNumbers(packed, [22, 4, size], [central(0, packed) + 24, 4, size]);
  const many = (): Uint8Array => {
    const end64 = withNumbers(new Uint8Array(56), [0, 4, 0x06064b50], [32, 4, 1e6]);
    const locator = withNumbers(new Uint8Array(20), [0, 4, 0x07064b50]);
    return concat(end64, locator, withNumbers(new Uint8Array(22), [0, 4, 0x06054b50], [10, 2, 0xffff]));
  };

  test('the untouched archive is read', () => {
    expect(contents(loadNpz(archive))).toEqual([
      ['aa/x', 'float32', [2], [1, 1]],
      ['bb/x', 'float32', [2], [1, 1]],
    ]);
  });
  test.each([
    ['not a zip file', new Uint8Array(100), /not a zip file that can be read/],
    ['nothing at all', new Uint8Array(0), /not a zip file that can be read/],
    ['cut off', archive.subarray(0, archive.length - 5), /not a zip file that can be read/],
    ['cut off at the start', archive.subarray(5), /its directory ends at byte/],
    ['bytes after the end', concat(archive, latin1('xx')), /not a zip file that can be read/],
    ['bytes before the start', concat(latin1('xx'), archive), /its directory ends at byte/],
    ['more members than there are', withNumbers(archive, [end + 10, 2, 3]), /its directory breaks off/],
    ['fewer members than there are', withNumbers(archive, [end + 10, 2, 1]), /bytes more than its 1 members/],
    ['a million members', many(), /E402: .*1000000 members are more than 100000/],
    ['several disks', withNumbers(archive, [end + 4, 2, 1]), /spans several files/],
    ['a member twice', patched(archive, 'bb/', 'aa/'), /two members are named 'aa\/x.npy'/],
    ['a path out of the archive', patched(archive, 'aa/', '../'), /E402: .*leads out of the archive/],
    ['an absolute path', patched(archive, 'aa/', '/aa'), /leads out of the archive/],
    ['a Windows path', patched(archive, 'aa/', 'C:/'), /leads out of the archive/],
    ['a backslash', patched(archive, 'aa/', '..\\'), /has an impossible name/],
    ['a zero byte in a name', patched(archive, 'aa/', 'a\0/'), /has an impossible name/],
    ['a name that is not UTF-8', patched(archive, 'aa/', '\xff\xfe/'), /is not UTF-8/],
    ['__proto__', writeZip([['__proto__.npy', one]]), /E402: .*'__proto__'/],
    ['an encrypted member', withNumbers(archive, [central(0) + 8, 2, 1]), /is encrypted/],
    ['an unknown method', withNumbers(archive, [central(0) + 10, 2, 12]), /compressed by method 12/],
    ['headers that contradict', withNumbers(archive, [14, 4, 0]), /contradicts the directory/],
    ['a header elsewhere', withNumbers(archive, [central(0) + 42, 4, 7]), /has no header at byte 7/],
    [
      'data past the directory',
      withNumbers(archive, [central(1) + 20, 4, 900], [central(1) + 24, 4, 900]),
      /ends at byte/,
    ],
    ['a wrong checksum', withNumbers(archive, [14, 4, 1], [central(0) + 16, 4, 1]), /does not match its checksum/],
    ['members that overlap', overlapping(), /E402: .*'a.npy' and 'b.npy' overlap/],
    ['a size no deflate can reach', sized(2 ** 31), /E402: .*claims that \d+ bytes inflate to 2147483648/],
    ['more bytes than claimed', sized(100), /E402: .*inflates to more than the 100 bytes it claims/],
    ['fewer bytes than claimed', sized(200), /inflates to 136 bytes, not to 200/],
    ['a bomb', writeZip([['x.npy', zeroBytes]], { compressed: true }), /take more than \d+ bytes of memory/],
    [
      'damaged deflate data',
      patched(packed, String.fromCharCode(...packed.subarray(36, 40)), '\xff\xff\xff\xff'),
      /does not inflate/,
    ],
  ] as const)('%s', (_, file, message) => {
    expect(() => loadNpz(file)).toThrow(message);
  });
  test('more is allowed where the caller says so', () => {
    const file = saveNpz({ x: zeros(8 * 2 ** 20) }, { compressed: true });
    expect(() => loadNpz(file)).toThrow(/allow more with the option maxMemory/);
    expect(loadNpz(file, { maxMemory: 2 ** 26 }).x.shape).toEqual([8 * 2 ** 20]);
  });
});

describe('PyTorch files that are refused', () => {
  const magic = '\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.';
  /** A file of the old format around a pickle, the keys of its memory, and that memory. */
  const legacy = (pickle: string, keys = '].', memory = ''): Uint8Array =>
    latin1(`${magic}\x80\x02M\xe9\x03.}.${pickle}${keys}${memory}`);
  const unicode = (text: string): string => `X${String.fromCharCode(text.length)}\0\0\0${text}`;
  const bytes8 = (value: number): string => `${String.fromCharCode(value)}\0\0\0\0\0\0\0`;
  /** A persistent id of 4 floats. */
  const floats = (key = 'k', count = 'K\x04', type = 'FloatStorage'): string =>
    `(${unicode('storage')}ctorch\n${type}\n${unicode(key)}${unicode('cpu')}${count}tQ`;
  const rebuilt = (memory: string, offset: string, size: string, stride: string): string =>
    `ctorch._utils\n_rebuild_tensor_v2\n(${memory}${offset}${size}${stride}\x89}tR`;
  const [keys, data] = [`]${unicode('k')}a.`, bytes8(4) + '\0'.repeat(16)];
  const tensorFile = (offset: string, size: string, stride: string): Uint8Array =>
    legacy(`${rebuilt(floats(), offset, size, stride)}.`, keys, data);
  const long = (bits: number): string =>
    `\x8a\x08${String.fromCharCode(...new Uint8Array(new BigInt64Array([1n << BigInt(bits)]).buffer))}`;

  test('the crafted file as it should be is read', () => {
    const read = load(tensorFile('K\x01', 'K\x03\x85', 'K\x01\x85')) as Tensor;
    expect([read.dtype, read.tolist(), read.storageOffset()]).toEqual(['float32', [0, 0, 0], 1]);
  });
  test.each([
    [
      'a call of the system',
      legacy(`cos\nsystem\n(${unicode('ls')}tR.`),
      /E402: .*it names os\.system, which is neither/,
    ],
    ['a name from the stack', legacy(`${unicode('builtins')}${unicode('eval')}\x93.`), /it names builtins\.eval/],
    ['a name of numbers', legacy('K\x01K\x02\x93.'), /it names \?\.\?/],
    ['an object of a class', legacy('ctorch\nSize\n)\x81.'), /E402: .*the operation NEWOBJ at byte 36/],
    ['an old instance', legacy('(ios\nsystem\n.'), /the operation INST/],
    ['an extension code', legacy('\x82\x01.'), /the operation EXT1/],
    ['a persistent id as text', legacy('Pid\n.'), /the operation PERSID/],
    ['a byte that is no operation', legacy('\xff.'), /0xff at byte \d+ is no operation/],
    ['a newer protocol', legacy('\x80\x63.'), /protocol 99/],
    [
      'attributes of a tensor',
      legacy(`${rebuilt(floats(), 'K\0', ')', ')')}}b.`),
      /sets attributes of what is no dict/,
    ],
    ['a function as the value', legacy('ctorch\nSize\n.'), /a function, a type or bare memory/],
    ['a list that contains itself', legacy(']q\0h\0a.'), /a list or dict that contains itself/],
    ['a tuple that contains itself', legacy(']q\0h\0\x85a.'), /a list or dict that contains itself/],
    ['a dict that contains itself', legacy(`}q\0${unicode('a')}h\0s.`), /a list or dict that contains itself/],
    ['deep nesting', legacy(`${']'.repeat(1000)}${'a'.repeat(999)}.`), /nested deeper than 200 levels/],
    ['a key twice', legacy(`}(${unicode('a')}N${unicode('a')}Nu.`), /the key "a" twice/],
    ['__proto__', legacy(`}${unicode('__proto__')}Ns.`), /E402: .*'__proto__'/],
    ['a key that is a tuple', legacy('})Ns.'), /neither a string nor a number/],
    ['a key without a value', legacy('}(Nu.'), /a key of a dict comes without a value/],
    ['an operation in the middle of which it ends', legacy('X\xff\xff\xff\xff'), /in the middle of an operation/],
    ['a string of 2^63 bytes', legacy(`\x8d${'\xff'.repeat(8)}`), /in the middle of an operation/],
    ['a string that is not UTF-8', legacy('X\x01\0\0\0\xff.'), /is not UTF-8/],
    ['a line without an end', legacy('ctorch').subarray(0, -2), /does not end/],
    ['an empty stack', legacy('.'), /the stack is empty/],
    ['a value below the mark', legacy('N(0.'), /the stack is empty/],
    ['no mark', legacy('t.'), /there is no mark/],
    ['values left over', legacy('NN.'), /values left on the stack/],
    ['a memo never set', legacy('h\x07.'), /memo 7 was never set/],
    ['a call of a dict', legacy('})R.'), /it calls what is no function/],
    ['a flood of dicts', legacy(`(${'}'.repeat(4e6)}t.`), /take more than \d+ bytes of memory/],
    ['a flood of marks', legacy('('.repeat(4e6)), /take more than \d+ bytes of memory/],
    ['a flood of nothing', legacy(`(${'N'.repeat(4e6)}l.`), /take more than \d+ bytes of memory/],
    ['a flood of floats', legacy(`(${'G?\xf0\0\0\0\0\0\0'.repeat(1e6)}l.`), /take more than \d+ bytes of memory/],
    ['a flood of strings', legacy(`(${'\x8c\x02ab'.repeat(1e6)}l.`), /take more than \d+ bytes of memory/],
    ['a flood of copies', legacy(`]q\0(${'h\0'.repeat(4e6)}t.`), /take more than \d+ bytes of memory/],
    ['a tensor without memory', legacy('ctorch._utils\n_rebuild_tensor_v2\n)R.'), /a tensor without memory/],
    ['a tensor past its memory', tensorFile('K\x02', 'K\x03\x85', 'K\x01\x85'), /reaches element 4 of 4/],
    ['a stride past its memory', tensorFile('K\0', 'K\x02\x85', 'K\x04\x85'), /reaches element 4 of 4/],
    ['a negative offset', tensorFile('J\xff\xff\xff\xff', 'K\x01\x85', 'K\x01\x85'), /a tensor with offset/],
    ['a negative stride', tensorFile('K\x03', 'K\x02\x85', 'J\xff\xff\xff\xff\x85'), /a tensor with offset/],
    ['a negative size', tensorFile('K\0', 'J\xff\xff\xff\xff\x85', 'K\x01\x85'), /impossible shape/],
    [
      'a size that is a deep list',
      tensorFile('K\0', `${']'.repeat(2e4)}${'a'.repeat(19_999)}\x85`, ')'),
      /impossible shape \[\[…\]\]/,
    ],
    [
      'gradients of integers',
      legacy(
        `${rebuilt(floats('k', 'K\x04', 'LongStorage'), 'K\0', ')', ')').replace('\x89}tR', '\x88}tR')}.`,
        keys,
        '\0'.repeat(40),
      ),
      /a tensor of int64 requires a gradient/,
    ],
    ['strides for another shape', tensorFile('K\0', 'K\x01\x85', ')'), /a tensor with offset/],
    [
      'sizes whose product overflows',
      tensorFile('K\0', `${long(40)}${long(40)}\x86`, 'K\0K\0\x86'),
      /impossible shape/,
    ],
    [
      'an extent that overflows',
      tensorFile('K\0', `K\x02${long(30)}\x86`, `${long(52)}${long(40)}\x86`),
      /reaches element/,
    ],
    ['memory used in two ways', legacy(`(${floats()}${floats('k', 'K\x03')}t.`, keys, data), /used in two ways/],
    [
      'memory of two types',
      legacy(`(${floats()}${floats('k', 'K\x04', 'IntStorage')}t.`, keys, data),
      /used in two ways/,
    ],
    [
      'memory of no dtype',
      legacy(`${floats('k', 'K\x04', 'ComplexFloatStorage')}.`),
      /refused: torch file: complex numbers, torch\.ComplexFloatStorage/,
    ],
    ['memory that promises 2^50 bytes', legacy(`${floats('k', long(48))}.`, keys, data), /the memory 'k' is cut off/],
    ['bare memory', legacy(`${floats()}.`, keys, data), /bare memory/],
    ['memory that is missing', legacy(`${floats()}.`, '].', '\0'.repeat(24)), /the memory 'k' of a tensor is missing/],
    ['memory of no tensor', legacy('N.', keys, data), /"k" twice, or no tensor uses it/],
    ['memory twice', legacy(`${floats()}.`, `]${unicode('k')}a${unicode('k')}a.`, data + data), /"k" twice/],
    ['memory of another length', legacy(`${floats()}.`, keys, bytes8(5) + '\0'.repeat(16)), /has 5 elements, not 4/],
    ['memory cut off', fileOf('linear_legacy.pt').slice(0, -4), /is cut off/],
    ['bytes after the end', concat(fileOf('linear_legacy.pt'), latin1('x')), /goes on for 1 bytes after its end/],
    ['a zip file cut off', fileOf('linear.pt').slice(0, 300), /not a zip file that can be read/],
    ['neither format', latin1('hello'), /neither a zip file nor of the format before it/],
    ['nothing at all', new Uint8Array(0), /neither a zip file nor of the format before it/],
    ['another pickle', latin1('\x80\x02K\x01.'), /neither a zip file nor of the format before it/],
  ] as const)('%s', (_, file, message) => {
    const before = process.cpuUsage();
    expect(() => load(file)).toThrow(message);
    expect(process.cpuUsage(before).user, 'microseconds of the processor').toBeLessThan(1e6);
  });

  const pickle = latin1(`\x80\x02${rebuilt(floats(), 'K\0', 'K\x04\x85', 'K\x01\x85')}.`);
  const zip = (...members: readonly (readonly [string, Uint8Array])[]): Uint8Array => writeZip(members);
  test('the crafted archive as it should be is read', () => {
    const file = zip(['a/data.pkl', pickle], ['a/data/k', new Uint8Array(16)]);
    expect((load(file) as Tensor).tolist()).toEqual([0, 0, 0, 0]);
  });
  test.each([
    ['no pickle', zip(['a/x', pickle]), /has no data.pkl/],
    ['two pickles', zip(['a/data.pkl', pickle], ['b/data.pkl', pickle]), /more than one data.pkl/],
    ['a pickle that goes on', zip(['a/data.pkl', latin1('N.N.')]), /goes on for 2 bytes after its end/],
    ['missing memory', zip(['a/data.pkl', pickle]), /the memory 'k' of a tensor is missing/],
    [
      'memory of another length',
      zip(['a/data.pkl', pickle], ['a/data/k', new Uint8Array(15)]),
      /has 15 bytes, .* take 16/,
    ],
    ['an unknown byte order', zip(['a/data.pkl', pickle], ['a/byteorder', latin1('odd')]), /unknown byte order "odd"/],
    [
      'a TorchScript program',
      zip(['a/data.pkl', pickle], ['a/constants.pkl', pickle]),
      /E402: .*a TorchScript program/,
    ],
  ] as const)('%s', (_, file, message) => {
    expect(() => load(file)).toThrow(message);
  });
  test('more objects are allowed where the caller says so', () => {
    const file = save(Array.from({ length: 1_000_000 }, (_, i) => i % 7));
    const options: LoadOptions = { maxMemory: 2 ** 26 };
    expect(() => load(file)).toThrow(/allow more with the option maxMemory/);
    expect(load(file, options)).toHaveLength(1_000_000);
  });
});
