/**
 * `nn.utils.rnn`, and recurrent layers over sequences of different lengths, against numbers recorded from PyTorch 1.13.1:
 * eagerly, compiled for lengths that are fixed, and compiled for lengths that are an input of the entry.
 */
import { readFileSync } from 'node:fs';
import { arange, autograd, input, int64, manualSeed, nn, ones, randn, type Tensor, tensor } from 'gradc';
import { compile } from 'gradc/compiler';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from './support/tensors.js';

const { packPaddedSequence, packSequence, padPackedSequence, PackedSequence, unpackSequence } = nn.utils.rnn;

interface Recorded {
  readonly kind: 'RNN' | 'GRU' | 'LSTM';
  readonly options: nn.RecurrentOptions;
  readonly lengths: readonly number[];
  readonly steps: number;
  readonly h0: boolean;
  readonly enforceSorted: boolean;
  readonly totalLength: number | null;
  readonly paddingValue: number;
  readonly batchSizes: readonly number[];
  readonly sortedIndices: readonly number[] | null;
  readonly unsortedIndices: readonly number[] | null;
  readonly data: readonly number[];
  readonly outputData: readonly number[];
  readonly shape: readonly number[];
  readonly padded: readonly number[];
  readonly outLengths: readonly number[];
  readonly last: readonly (readonly number[])[];
  readonly grads: readonly (readonly number[])[];
}
const recorded = readFileSync(new URL('support/packed-recorded.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Recorded);

/** The layer, its input and its state, drawn as they were for the recording. */
function drawn(c: Recorded): { net: nn.GRU; x: Tensor; state: Tensor[] } {
  manualSeed(0);
  const net = new nn[c.kind](2, 3, c.options as never) as unknown as nn.GRU;
  const { batchFirst, numLayers = 1, bidirectional } = c.options;
  const batch = c.lengths.length;
  const x = randn(batchFirst ? [batch, c.steps, 2] : [c.steps, batch, 2]);
  const layers = numLayers * (bidirectional ? 2 : 1);
  const sizes = [(c.options as { projSize?: number }).projSize ?? 3, ...(c.kind === 'LSTM' ? [3] : [])];
  return { net, x, state: c.h0 ? sizes.map(size => randn(layers, batch, size)) : [] };
}

type Lengths = nn.utils.rnn.Lengths;
/** Pack, run, pad: the padded output, its lengths, the last state, and the gradients of the input, the state and the weights. */
const program =
  (c: Recorded, net: nn.GRU, totalLength: number | null) =>
  (lengths: Lengths, x: Tensor, ...state: Tensor[]): Tensor[] => {
    const leaves = [x, ...state].map(leaf => leaf.detach().requiresGrad_());
    const { batchFirst } = c.options;
    const packed = packPaddedSequence(leaves[0], lengths, { batchFirst, enforceSorted: c.enforceSorted });
    manualSeed(7);
    const given = state.length === 0 ? null : c.kind === 'LSTM' ? leaves.slice(1) : leaves[1];
    const [out, last] = net.forward(packed, given as Tensor);
    const lasts = [last].flat();
    const [padded, outLengths] = padPackedSequence(out, { batchFirst, totalLength, paddingValue: c.paddingValue });
    const weights = arange(1, padded.numel() + 1)
      .float()
      .reshape(padded.shape)
      .div(padded.numel());
    const loss = lasts.map(part => part.square().sum()).reduce((a, b) => a.add(b), padded.mul(weights).sum());
    return [padded, outLengths, ...lasts, ...(autograd.grad(loss, [...leaves, ...net.parameters()]) as Tensor[])];
  };

function expectRecorded(c: Recorded, [padded, lengths, ...rest]: readonly Tensor[]): void {
  expect(padded.shape).toEqual(c.shape);
  expectNumbers(padded, c.padded, 1e-6);
  expect(lengths.tolist()).toEqual(c.outLengths);
  const expected = [...c.last, ...c.grads];
  expect(rest.length).toBe(expected.length);
  for (const [i, part] of rest.entries()) expectNumbers(part, expected[i], 5e-6);
}

describe.each(recorded)('$kind $options of lengths $lengths', c => {
  test('packs', () => {
    const { x } = drawn(c);
    const { batchFirst } = c.options;
    const packed = packPaddedSequence(x, c.lengths, { batchFirst, enforceSorted: c.enforceSorted });
    expectNumbers(packed.data, c.data, 1e-6);
    expect(packed.batchSizes.tolist()).toEqual(c.batchSizes);
    expect(packed.sortedIndices?.tolist() ?? null).toEqual(c.sortedIndices);
    expect(packed.unsortedIndices?.tolist() ?? null).toEqual(c.unsortedIndices);
  });
  test('gives packed outputs', () => {
    const { net, x, state } = drawn(c);
    const { batchFirst } = c.options;
    manualSeed(7);
    const packed = packPaddedSequence(x, tensor(c.lengths), { batchFirst, enforceSorted: c.enforceSorted });
    const [out] = net.forward(packed, (c.kind === 'LSTM' && c.h0 ? state : (state[0] ?? null)) as Tensor);
    expectNumbers(out.data.detach(), c.outputData, 1e-6);
  });
  test('eagerly', () => {
    const { net, x, state } = drawn(c);
    expectRecorded(c, program(c, net, c.totalLength)(c.lengths, x, ...state));
  });
  test('compiled, the lengths fixed', () => {
    const { net, x, state } = drawn(c);
    const run = program(c, net, c.totalLength);
    const inputs = [x, ...state];
    const compiled = compile(
      (...given: Tensor[]) => run(c.lengths, ...(given as [Tensor])),
      inputs.map(({ shape }) => input(shape)),
    );
    expectRecorded(c, compiled(...inputs));
  });
  const dropsOut = (c.options.dropout ?? 0) > 0;
  test.skipIf(dropsOut)('compiled, the lengths an input', () => {
    const { net, x, state } = drawn(c);
    const run = program(c, net, Math.max(c.steps, c.totalLength ?? 0));
    const specs = [input([c.lengths.length], int64), ...[x, ...state].map(({ shape }) => input(shape))];
    const compiled = compile((...given: Tensor[]) => run(...(given as [Tensor, Tensor])), specs);
    const eager = run(c.lengths, x, ...state);
    const found = compiled(tensor(c.lengths), x, ...state);
    for (const [i, part] of found.entries()) expectNumbers(part, numbers(eager[i]), 5e-6);
    const full = c.lengths.map(() => c.steps);
    for (const [i, part] of compiled(tensor(full), x, ...state).entries())
      expectNumbers(part, numbers(run(full, x, ...state)[i]), 5e-6);
  });
});

const sequences = [2, 3, 1].map(length =>
  arange(length * 2)
    .reshape([length, 2])
    .float(),
);

test('sequences packed and unpacked again', () => {
  const packed = packSequence(sequences, { enforceSorted: false });
  expect(packed.batchSizes.tolist()).toEqual([3, 2, 1]);
  expect(unpackSequence(packed).map(part => part.tolist())).toEqual(sequences.map(part => part.tolist()));
  expect(() => packSequence(sequences)).toThrow(/must be sorted in decreasing order .*\n.*enforceSorted: false/s);
});

test('other data in the same layout, as an embedding makes it', () => {
  const tokens = packSequence([tensor([1, 2, 3]), tensor([0])]);
  const embed = new nn.Embedding(4, 2);
  const packed = new PackedSequence(embed.forward(tokens.data), tokens.batchSizes);
  const [padded] = padPackedSequence(packed, { batchFirst: true });
  expect(padded.select(0, 1).tolist()).toEqual([embed.weight.detach().select(0, 0).tolist(), [0, 0], [0, 0]]);
  expect(() => new PackedSequence(tokens.data, tensor([1]))).toThrow(/batch sizes tell of 1 steps.*shape \[4\]/);
  expect(String(packSequence([tensor([1, 2]), tensor([3])]))).toMatch(
    /PackedSequence\(data=tensor\(\[1, 3, 2\]\), batchSizes=tensor\(\[2, 1\]\), sortedIndices=null/,
  );
});

test('padding that is not finite stays out of the gradient, the lengths an input', () => {
  manualSeed(0);
  const net = new nn.LSTM(2, 3);
  const x = tensor([[[1, 2]], [[Number.NaN, Number.POSITIVE_INFINITY]]]);
  const step = compile(
    (lengths: Tensor, given: Tensor) => {
      const [, [last]] = net.forward(packPaddedSequence(given, lengths));
      return [last, ...(autograd.grad(last.sum(), [...net.parameters()]) as Tensor[])];
    },
    [input([1], int64), input([2, 1, 2])],
  );
  for (const part of step(tensor([1]), x.float())) expect(numbers(part).every(Number.isFinite)).toBe(true);
});

describe('what is refused', () => {
  const x = ones(3, 2, 1);
  test.each<[RegExp, () => unknown]>([
    [/lengths must be sorted in decreasing order/, () => packPaddedSequence(x, [2, 3])],
    [/lengths must be from 1 to 3, but one is 0/, () => packPaddedSequence(x, [2, 0])],
    [/lengths must be from 1 to 3, but one is 4/, () => packPaddedSequence(x, [4, 1])],
    [/as many lengths as the batch has sequences, 2, but got shape \[3\]/, () => packPaddedSequence(x, [3, 1, 1])],
    [/expected at least two dims, but got a 1-d tensor/, () => packPaddedSequence(ones(3), [3])],
    [
      /totalLength must be at least .* is 2 where that is 3/,
      () => padPackedSequence(packSequence([ones(3, 2)]), { totalLength: 2 }),
    ],
    [
      /GRU: input.size\(-1\) must be equal to input_size. Expected 2, got 4/,
      () => new nn.GRU(2, 3).forward(packSequence([ones(3, 4)])),
    ],
    [
      /GRU: Expected hidden state of shape \[1, 1, 3\], got \[1, 2, 3\]/,
      () => new nn.GRU(2, 3).forward(packSequence([ones(3, 2)]), ones(1, 2, 3)),
    ],
    [
      /LSTM: Expected cell state of shape \[1, 2, 3\], got \[2, 2, 3\]/,
      () => new nn.LSTM(2, 3).forward(ones(3, 2, 2), [ones(1, 2, 3), ones(2, 2, 3)]),
    ],
    [
      /For unbatched 2-D input of shape \[3, 2\], the state should also be 2-D/,
      () => new nn.GRU(2, 3).forward(ones(3, 2), ones(1, 2, 3)),
    ],
    [/a PackedSequence must hold vectors/, () => new nn.GRU(2, 3).forward(packSequence([ones(3)]))],
  ])('%s', (message, ask) => {
    expect(ask).toThrow(message);
  });
  test('the steps that there are, where only the running program knows how many', () => {
    const specs = [input([2], int64)];
    expect(() => compile(lengths => packPaddedSequence(x, lengths).data, specs)).toThrow(
      /'data' of a PackedSequence depends on lengths/,
    );
    expect(() => compile(lengths => padPackedSequence(packPaddedSequence(x, lengths))[0], specs)).toThrow(
      /how long the longest sequence is .*totalLength: 3/s,
    );
  });
  test('lengths that a compiled program is given, where it checks values', () => {
    const pad = compile(
      lengths => padPackedSequence(packPaddedSequence(x, lengths), { totalLength: 3 })[0],
      [input([2], int64)],
      { checkValues: true },
    );
    expect(
      pad(tensor([3, 1]))
        .select(1, 1)
        .tolist(),
    ).toEqual([[1], [0], [0]]);
    expect(() => pad(tensor([3, 4]))).toThrow(/lengths must be from 1 to 3/);
    expect(() => pad(tensor([1, 3]))).toThrow(/must be sorted in decreasing order/);
  });
});
