/** Printing against the text PyTorch 1.13 prints; the `printing` reference group holds many more. */
import {
  arange,
  bfloat16,
  float16,
  float32,
  float64,
  getPrintoptions,
  int32,
  nn,
  ones,
  setPrintoptions,
  type Tensor,
  tensor,
  zeros,
} from 'gradc';
import { afterEach, describe, expect, test } from 'vitest';

afterEach(() => setPrintoptions({ profile: 'default' }));

const floats = (values: number[]): Tensor => tensor(values, { dtype: float32 });

const printed: readonly (readonly [Tensor, string])[] = [
  [
    tensor([
      [1, -20],
      [300, 4],
    ]),
    'tensor([[  1, -20],\n        [300,   4]])',
  ],
  [tensor([true, false]), 'tensor([ True, False])'],
  [tensor(3.5), 'tensor(3.5000)'],
  [floats([1, 2, 3]), 'tensor([1., 2., 3.])'],
  [floats([1.5, -2.25, 3]), 'tensor([ 1.5000, -2.2500,  3.0000])'],
  [floats([1e-5, 1]), 'tensor([1.0000e-05, 1.0000e+00])'],
  [floats([123456, 1]), 'tensor([1.2346e+05, 1.0000e+00])'],
  [floats([1e5, 2e5]), 'tensor([100000., 200000.])'],
  [floats([1000.5, 0]), 'tensor([1000.5000,    0.0000])'],
  [floats([Number.NEGATIVE_INFINITY, Number.NaN]), 'tensor([-inf, nan])'],
  [floats([Number.POSITIVE_INFINITY, -1.5]), 'tensor([    inf, -1.5000])'],
  [floats([-0, 0]), 'tensor([-0., 0.])'],
  [tensor([1, 2], { dtype: float64 }), 'tensor([1., 2.], dtype=torch.float64)'],
  [tensor([1.5, 2], { dtype: float16 }), 'tensor([1.5000, 2.0000], dtype=torch.float16)'],
  [tensor([1, 2.5], { dtype: bfloat16 }), 'tensor([1.0000, 2.5000], dtype=torch.bfloat16)'],
  [tensor([1, 2], { dtype: int32 }), 'tensor([1, 2], dtype=torch.int32)'],
  [tensor([]), 'tensor([])'],
  [zeros(0, 3), 'tensor([], size=(0, 3))'],
  [arange(1001), 'tensor([   0,    1,    2,  ...,  998,  999, 1000])'],
  [ones(2, { requiresGrad: true }), 'tensor([1., 1.], requires_grad=True)'],
  [ones(2, { requiresGrad: true }).mul(2), 'tensor([2., 2.], grad_fn=<MulBackward0>)'],
];

describe('tensors', () => {
  test.each(printed.map(([value, text]) => ({ value, text })))('$text', ({ value, text }) => {
    expect(String(value)).toBe(text);
  });

  test('blocks of a 4-d tensor are set apart', () => {
    expect(String(arange(8).reshape(2, 2, 1, 2))).toBe(
      'tensor([[[[0, 1]],\n\n         [[2, 3]]],\n\n\n        [[[4, 5]],\n\n         [[6, 7]]]])',
    );
  });

  test('views print what they show', () => {
    expect(String(arange(6).reshape(2, 3).t().select(0, 1))).toBe('tensor([1, 4])');
  });

  test('exact ties round to even, as in Python', () => {
    setPrintoptions({ precision: 2 });
    expect(String(floats([0.125, 0.375, 0.625]))).toBe('tensor([0.12, 0.38, 0.62])');
    setPrintoptions({ precision: 0, sciMode: true });
    expect(String(floats([2.5, 3.5]))).toBe('tensor([2e+00, 4e+00])');
  });

  test('a summary of a large tensor reads only what it shows', () => {
    const large = zeros(100_000, 100);
    expect(String(large).split('\n')).toHaveLength(7);
  });
});

test('print options: settings, profiles, and back', () => {
  const x = floats([1e-6, 1]);
  setPrintoptions({ sciMode: false });
  expect(String(x)).toBe('tensor([    0.0000,     1.0000])');
  setPrintoptions({ profile: 'short' });
  expect(String(x)).toBe('tensor([1.00e-06, 1.00e+00])');
  setPrintoptions({ threshold: 10, edgeitems: 2 });
  expect(String(arange(30))).toBe('tensor([ 0,  1,  ..., 28, 29])');
  setPrintoptions({ profile: 'default' });
  expect(getPrintoptions()).toEqual({ precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80, sciMode: null });
});

describe('modules', () => {
  const texts: readonly (readonly [nn.Module, string])[] = [
    [new nn.Linear(3, 4), 'Linear(in_features=3, out_features=4, bias=True)'],
    [
      new nn.Conv2d(3, 8, 3, { stride: 2, padding: 1, bias: false }),
      'Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)',
    ],
    [new nn.BatchNorm2d(4), 'BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)'],
    [new nn.MaxPool2d(2), 'MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)'],
    [new nn.LSTM(3, 4, { numLayers: 2, batchFirst: true }), 'LSTM(3, 4, num_layers=2, batch_first=True)'],
    [new nn.LayerNorm(4), 'LayerNorm((4,), eps=1e-05, elementwise_affine=True)'],
    [new nn.GELU(), "GELU(approximate='none')"],
    [new nn.Sequential(), 'Sequential()'],
  ];
  test.each(texts.map(([module, text]) => ({ module, text })))('$text', ({ module, text }) => {
    expect(String(module)).toBe(text);
  });

  test('nested', () => {
    const net = new nn.Sequential(new nn.Linear(2, 3), new nn.ModuleDict({ act: new nn.ReLU() }));
    expect(String(net)).toBe(
      'Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): ModuleDict(\n    (act): ReLU()\n  )\n)',
    );
  });
});
