/** Data loading in PyTorch's order, and tensors in files. */

import { readFileSync } from 'node:fs';
import {
  arange,
  bfloat16,
  bool,
  data,
  float16,
  float64,
  Generator,
  int32,
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
  saveNpy,
  saveNpz,
  saveSafetensors,
  type Tensor,
  tensor,
  zeros,
} from 'gradc';
import { describe, expect, test } from 'vitest';

describe('DataLoader', () => {
  test('shuffles as PyTorch does, a new order each time', () => {
    manualSeed(1);
    const loader = new data.DataLoader(new data.TensorDataset(arange(10)), { batchSize: 3, shuffle: true });
    const epoch = (): unknown[] => [...loader].map(([batch]) => batch.tolist());
    expect(loader.length).toBe(4);
    expect(epoch()).toEqual([[4, 2, 0], [6, 8, 7], [9, 1, 5], [3]]);
    expect(epoch()).toEqual([[4, 8, 1], [5, 0, 2], [3, 6, 9], [7]]);
  });
  test('dropLast, and items of several kinds', () => {
    const items = Array.from({ length: 5 }, (_, i) => ({ x: tensor([i, i + 0.5]), y: i, name: `s${i}` }));
    const batches = [...new data.DataLoader(items, { batchSize: 2, dropLast: true })];
    expect(batches).toHaveLength(2);
    expect(batches[1].x.shape).toEqual([2, 2]);
    expect([batches[1].y.tolist(), batches[1].y.dtype, batches[1].name]).toEqual([[2, 3], 'int64', ['s2', 's3']]);
  });
  test('a collateFn of its own', () => {
    const loader = new data.DataLoader([1, 2, 3], { batchSize: 2, collateFn: items => items.join('-') });
    expect([...loader]).toEqual(['1-2', '3']);
  });
  test('the network trains on what it yields', () => {
    const set = new data.TensorDataset(rand(6, 2), zeros(6, { dtype: 'int64' }));
    const shapes = [...new data.DataLoader(set, { batchSize: 4 })].map(([x, y]) => [x.shape, y.shape]);
    expect(shapes).toEqual([
      [[4, 2], [4]],
      [[2, 2], [2]],
    ]);
  });
});

test('randomSplit and weighted sampling draw as PyTorch does', () => {
  const [a, b] = data.randomSplit([...Array(10).keys()], [7, 3], { generator: new Generator().manualSeed(42) });
  expect([a.indices, b.indices]).toEqual([
    [2, 6, 1, 8, 4, 5, 0],
    [9, 3, 7],
  ]);
  manualSeed(0);
  expect([...new data.WeightedRandomSampler([0.1, 0.5, 0.4], 8)]).toEqual([2, 2, 1, 2, 2, 2, 1, 1]);
  expect(data.randomSplit([1, 2, 3], [0.5, 0.5]).map(part => part.length)).toEqual([2, 1]);
});

test.each([
  [
    'tensors of different lengths',
    () => new data.TensorDataset(ones(2), ones(3)),
    /Size mismatch between tensors: \[2\], \[3\]/,
  ],
  ['lengths that do not add up', () => data.randomSplit([1, 2], [3, 1]), /Sum of input lengths \(4\)/],
  ['a batch size of zero', () => new data.DataLoader([1], { batchSize: 0 }), /batch_size should be a positive integer/],
  [
    'shuffle with a sampler',
    () => new data.DataLoader([1], { shuffle: true, sampler: new data.SequentialSampler([1]) }),
    /mutually exclusive/,
  ],
  [
    'nothing to shuffle',
    () => [...new data.DataLoader([], { shuffle: true })],
    /num_samples should be a positive integer/,
  ],
] as const)('%s', (_, call, message) => {
  expect(call).toThrow(message);
});

const everyKind = (): Record<string, Tensor> => ({
  weight: rand(3, 4),
  transposed: rand(2, 3).t(),
  half: tensor([0.5, -2], { dtype: float16 }),
  bf: tensor([1.5], { dtype: bfloat16 }),
  double: tensor([Math.PI], { dtype: float64 }),
  mask: tensor([true, false], { dtype: bool }),
  ids: tensor([1, -2]),
  small: tensor([7], { dtype: int32 }),
  empty: zeros(0, 2),
  scalar: tensor(2.5),
});

describe('safetensors', () => {
  test('round trip of every dtype, and metadata', () => {
    const state = everyKind();
    const file = readSafetensors(saveSafetensors(state, { format: 'pt' }));
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(Object.keys(file.tensors)).toEqual(Object.keys(state));
    for (const [name, read] of Object.entries(file.tensors)) {
      expect([read.dtype, read.shape, read.tolist()]).toEqual([
        state[name].dtype,
        state[name].shape,
        state[name].tolist(),
      ]);
    }
  });

  const craft = (header: unknown, dataBytes: number, claimed?: bigint): Uint8Array => {
    const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + dataBytes);
    new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
    file.set(text, 8);
    return file;
  };
  const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ w: { dtype, shape, data_offsets: offsets } });
  test.each([
    ['cut off before the header', new Uint8Array(3), /has no room for a header/],
    ['a header longer than the file', craft({}, 0, 2n ** 63n), /header claims 9223372036854775808 bytes/],
    ['a header that is no JSON', craft('{', 0), /not a JSON object/],
    ['an unknown dtype', craft(entry('F8', [1], [0, 1]), 1), /tensor 'w': unknown dtype "F8"/],
    ['a shape that overflows', craft(entry('F32', [2 ** 40, 2 ** 40], [0, 4]), 4), /impossible shape/],
    ['a negative size', craft(entry('F32', [-1], [0, 4]), 4), /impossible shape \[-1\]/],
    ['offsets past the end', craft(entry('F32', [1], [0, 4]), 2), /offsets \[0,4\] lie outside the 2 bytes/],
    ['offsets that run backwards', craft(entry('F32', [1], [4, 0]), 4), /lie outside/],
    ['a size that does not fit the shape', craft(entry('F32', [1], [0, 2]), 4), /takes 4 bytes, there are 2/],
    [
      'a huge shape over a small file',
      craft(entry('F32', [1_000_000_000], [0, 4]), 4),
      /takes 4000000000 bytes, there are 4/,
    ],
  ] as const)('%s', (_, file, message) => {
    expect(() => loadSafetensors(file)).toThrow(message);
  });
});

describe('NumPy files', () => {
  test('npy and npz round trips; bfloat16 has no type there', () => {
    const { bf, ...state } = everyKind();
    for (const compressed of [false, true]) {
      const read = loadNpz(saveNpz(state, { compressed }));
      expect(Object.entries(read).map(([name, t]) => [name, t.dtype, t.tolist()])).toEqual(
        Object.entries(state).map(([name, t]) => [name, t.dtype, t.tolist()]),
      );
    }
    expect(() => saveNpy(bf)).toThrow(/NumPy has no type for bfloat16/);
  });
  test('big-endian and Fortran order are read as they are meant', () => {
    const header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    const text = `${header.padEnd(117)}\n`;
    const file = new Uint8Array(10 + text.length + 12);
    file.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, text.length, 0]);
    file.set(new TextEncoder().encode(text), 10);
    [1, 4, 2, 5, 3, 6].forEach((value, i) => {
      file[10 + text.length + 2 * i + 1] = value;
    });
    expect(loadNpy(file).tolist()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });
  test.each([
    ['not an npy file', new Uint8Array(20), /does not begin with/],
    ['cut off', saveNpy(ones(4)).subarray(0, 130), /takes 16 bytes, there are 2/],
    ['a header cut off', saveNpy(ones(4)).subarray(0, 40), /the header ends at byte 128/],
  ] as const)('%s', (_, file, message) => {
    expect(() => loadNpy(file)).toThrow(message);
  });
  test('not a zip file', () => {
    expect(() => loadNpz(new Uint8Array(100))).toThrow(/not a zip file that can be read/);
  });
});

/** Files in `checkpoints/` were written by `torch.save` of PyTorch 1.13. */
describe('PyTorch checkpoints', () => {
  const bytesOf = (name: string): Uint8Array =>
    new Uint8Array(readFileSync(new URL(`checkpoints/${name}.pt`, import.meta.url)));
  const rounded = (t: Tensor): unknown => t.mul(1e4).round().tolist();

  test.each(['linear', 'linear_legacy'])('a state dict: %s', name => {
    const net = new nn.Linear(3, 2);
    net.loadStateDict(load(bytesOf(name)) as nn.StateDict);
    expect(rounded(net.bias!)).toEqual([-1188, 2937]);
    expect(rounded(net.weight.select(0, 1))).toEqual([2710, -5435, 3462]);
  });

  test('shared memory, strides, every dtype, plain values', () => {
    const { t, tT, bf, i, n, s, f, l } = load(bytesOf('mixed')) as Record<string, Tensor> &
      Record<'n' | 's' | 'f' | 'l', unknown>;
    t.select(0, 0).fill_(7);
    expect([tT.stride(), tT.select(1, 0).tolist()]).toEqual([
      [1, 4],
      [7, 7, 7, 7],
    ]);
    expect([bf.dtype, bf.tolist(), i.tolist()]).toEqual([bfloat16, [1, 3.140625], [1, -2, 2 ** 40]]);
    expect([n, s, f, l]).toEqual([3, 'text', 0.5, [1, 2.5, null, true]]);
  });

  test('an optimizer goes on from it', () => {
    const { model, optimizer } = load(bytesOf('checkpoint')) as {
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
    expect(String(opt)).not.toContain('fused: False');
  });

  /** A file of the old format around a pickle. */
  const legacy = (pickle: string): Uint8Array => {
    const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
    const version = [0x80, 2, 0x4d, 0xe9, 3, 0x2e];
    const ascii = (text: string): number[] => [...text].map(character => character.charCodeAt(0));
    return Uint8Array.from([...magic, ...version, ...ascii('}.'), ...ascii(pickle), ...ascii('].')]);
  };
  test.each([
    [
      'a call of the system',
      legacy('cos\nsystem\n(X\x02\0\0\0lstR.'),
      /it names os\.system, which is neither a tensor nor plain data/,
    ],
    ['a list that contains itself', legacy(']q\0h\0a.'), /a list or dict that contains itself/],
    ['an operation in the middle of which it ends', legacy('X\xff\xff\xff\xff'), /in the middle of an operation/],
    ['an empty stack', legacy('.'), /the stack is empty/],
    ['a tensor without memory', legacy('ctorch._utils\n_rebuild_tensor_v2\n)R.'), /a tensor without memory/],
    ['memory cut off', bytesOf('linear_legacy').slice(0, -4), /is cut off/],
    ['a zip file cut off', bytesOf('linear').slice(0, 300), /not a zip file that can be read/],
    ['neither format', new TextEncoder().encode('hello'), /neither a zip file nor of the format before it/],
  ] as const)('%s', (_, file, message) => {
    expect(() => load(file)).toThrow(message);
  });
});
