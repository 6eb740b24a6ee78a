/** Settings of layers given in PyTorch's order are those given by name; dtypes of their parameters. */
import { manualSeed, nn, ones, randn } from 'gradc';
import { beforeEach, describe, expect, test } from 'vitest';

beforeEach(() => void manualSeed(0));

describe('in order as by name', () => {
  test.each<[nn.Module, nn.Module]>([
    [new nn.BatchNorm2d(3, 1e-3, 0.2, false), new nn.BatchNorm2d(3, { eps: 1e-3, momentum: 0.2, affine: false })],
    [new nn.InstanceNorm1d(3, 1e-3, 0.2, true), new nn.InstanceNorm1d(3, { eps: 1e-3, momentum: 0.2, affine: true })],
    [new nn.LazyBatchNorm1d(1e-3, 0.2), new nn.LazyBatchNorm1d({ eps: 1e-3, momentum: 0.2 })],
    [new nn.LayerNorm([2, 3], 1e-3, false), new nn.LayerNorm([2, 3], { eps: 1e-3, elementwiseAffine: false })],
    [new nn.GroupNorm(2, 4, 1e-3, false), new nn.GroupNorm(2, 4, { eps: 1e-3, affine: false })],
    [new nn.LocalResponseNorm(2, 1e-3, 0.5, 2), new nn.LocalResponseNorm(2, { alpha: 1e-3, beta: 0.5, k: 2 })],
    [new nn.Embedding(4, 2, 1, 0.5), new nn.Embedding(4, 2, { paddingIdx: 1, maxNorm: 0.5 })],
    [new nn.RNNCell(2, 3, false, 'relu'), new nn.RNNCell(2, 3, { bias: false, nonlinearity: 'relu' })],
    [new nn.GRUCell(2, 3, false), new nn.GRUCell(2, 3, { bias: false })],
    [new nn.LSTMCell(2, 3, false), new nn.LSTMCell(2, 3, { bias: false })],
    [new nn.MultiheadAttention(4, 2, 0.1, false), new nn.MultiheadAttention(4, 2, { dropout: 0.1, bias: false })],
    [new nn.Conv2d(2, 4, 3, 2, 1), new nn.Conv2d(2, 4, { kernelSize: 3, stride: 2, padding: 1 })],
    [new nn.Conv1d(2, 4, 3), new nn.Conv1d({ inChannels: 2, outChannels: 4, kernelSize: 3 })],
    [new nn.ConvTranspose2d(2, 4, 3, 2), new nn.ConvTranspose2d(2, 4, { kernelSize: 3, stride: 2 })],
    [new nn.MaxPool2d(3, 2), new nn.MaxPool2d({ kernelSize: 3, stride: 2 })],
    [new nn.AvgPool1d(2), new nn.AvgPool1d({ kernelSize: 2 })],
    [
      new nn.TransformerEncoderLayer(4, 2, 8, 0.2, 'gelu', 1e-3, true),
      new nn.TransformerEncoderLayer(4, 2, {
        dimFeedforward: 8,
        dropout: 0.2,
        activation: 'gelu',
        layerNormEps: 1e-3,
        batchFirst: true,
      }),
    ],
    [
      new nn.TransformerEncoder(new nn.TransformerEncoderLayer(4, 2, 8), 1, new nn.LayerNorm(4)),
      new nn.TransformerEncoder(new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 8 }), 1, {
        norm: new nn.LayerNorm(4),
      }),
    ],
    [
      new nn.Transformer(4, 2, 1, 2, 8, { dropout: 0 }),
      new nn.Transformer({
        dModel: 4,
        nhead: 2,
        numEncoderLayers: 1,
        numDecoderLayers: 2,
        dimFeedforward: 8,
        dropout: 0,
      }),
    ],
  ])('%s', (inOrder, named) => {
    expect(String(inOrder)).toBe(String(named));
    expect(Object.keys(inOrder.stateDict())).toEqual(Object.keys(named.stateDict()));
  });
  test('too many, and one twice, are refused', () => {
    const GroupNorm = nn.GroupNorm as new (...given: unknown[]) => nn.GroupNorm;
    expect(() => new GroupNorm(2, 4, 1e-3, true, 5)).toThrow(/takes 2 settings but 3 were given\n.*eps, affine/s);
    expect(() => new GroupNorm(2, 4, 1e-3, { eps: 1e-3 })).toThrow(/got 'eps' twice/);
    const Conv2d = nn.Conv2d as new (...given: unknown[]) => nn.Conv2d;
    expect(() => new Conv2d(2, 4)).toThrow(/missing setting 'kernelSize'/);
    expect(() => new Conv2d(2, 4, 3, { kernelSize: 3 })).toThrow(/got 'kernelSize' twice/);
    expect(() => new nn.ConvTranspose1d(1, 1, 1, { paddingMode: 'reflect' as 'zeros' })).toThrow(
      /Only 'zeros' padding mode is supported for ConvTranspose1d, not 'reflect'/,
    );
  });
});

test('dtypes of parameters and buffers', () => {
  const dtype = 'float64';
  const layers: nn.Module[] = [
    new nn.BatchNorm1d(3, { dtype }),
    new nn.LayerNorm(3, { dtype }),
    new nn.GroupNorm(1, 3, { dtype }),
    new nn.LSTM(3, 2, { dtype, projSize: 1 }),
    new nn.GRUCell(3, 2, { dtype }),
  ];
  for (const layer of layers) {
    const dtypes = [...layer.parameters()].map(parameter => parameter.dtype);
    expect(new Set(dtypes)).toEqual(new Set([dtype]));
    const output = [layer.forward(randn(4, 3, { dtype }))].flat()[0];
    expect(output.dtype).toBe(dtype);
  }
  expect(new nn.Embedding(3, 2, { dtype }).forward(ones(1, { dtype: 'int64' })).dtype).toBe(dtype);
  const lazy = new nn.LazyBatchNorm1d({ dtype });
  expect(lazy.forward(randn(4, 3, { dtype })).dtype).toBe(dtype);
});

test('max pooling gives the places of its maxima, from which it is undone', () => {
  const x = randn(1, 2, 4, 4);
  const pool = new nn.MaxPool2d(2, { returnIndices: true });
  const [values, indices] = pool.forward(x);
  const back = new nn.MaxUnpool2d(2).forward(values, indices);
  expect(values.tolist()).toEqual(new nn.MaxPool2d(2).forward(x).tolist());
  expect(back.eq(x).sum().item()).toBe(8);
  const [all, places] = new nn.AdaptiveMaxPool2d(2, { returnIndices: true }).forward(x);
  expect([all.tolist(), places.tolist()]).toEqual([values.tolist(), indices.tolist()]);
  expect(new nn.MaxPool1d(2, 2, 0, 1, true).forward(randn(1, 4))[1].dtype).toBe('int64');
});
