/** PyTorch's functions and methods that the op table does not generate tests for: questions, in-place forms, draws, checks of gradients. */
import * as gradc from 'gradc';
import {
  autograd,
  broadcastShapes,
  emptyStrided,
  eye,
  type GradcError,
  isNonzero,
  isTensor,
  linalg,
  manualSeed,
  nn,
  ones,
  optim,
  poisson,
  randintLike,
  randn,
  seed,
  type Tensor,
  tensor,
  zeros,
} from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';

const float64 = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, { dtype: 'float64' });

test('questions', () => {
  expect([isTensor(ones(2)), isTensor([2]), gradc.isComplex(ones(1)), gradc.isFloatingPoint(ones(1))]).toEqual([
    true,
    false,
    false,
    true,
  ]);
  expect([isNonzero(tensor(0)), isNonzero(tensor([2.5]))]).toEqual([false, true]);
  expect(() => isNonzero(ones(2))).toThrow(/more than one value is ambiguous/);
  expect(broadcastShapes([2, 1], [3], [])).toEqual([2, 3]);
  expect(() => broadcastShapes([2], [3])).toThrow(/must match|broadcast/);
});

describe('methods', () => {
  test('that are functions of linalg', () => {
    const A = float64([
      [3, 1],
      [1, 2],
    ]);
    expect(A.det().item()).toBeCloseTo(5, 12);
    expect(A.inverse().matmul(A).sub(eye(2)).abs().max().item()).toBeLessThan(1e-12);
    expect(A.slogdet().sign.item()).toBe(1);
    const { U, S, V } = A.svd();
    expect(U.mul(S).matmul(V.t()).sub(A).abs().max().item()).toBeLessThan(1e-12);
  });
  test('put_, fillDiagonal_', () => {
    const x = zeros(2, 3);
    expect(x.put_(tensor([1, -1, 1]), tensor([5, 6, 7], { dtype: 'float32' }), true).tolist()).toEqual([
      [0, 12, 0],
      [0, 0, 6],
    ]);
    expect(zeros(2, 3).fillDiagonal_(2).tolist()).toEqual([
      [2, 0, 0],
      [0, 2, 0],
    ]);
    expect(zeros(5, 2).fillDiagonal_(1, true).sum(1).tolist()).toEqual([1, 1, 0, 1, 1]);
    expect(zeros(5, 2).fillDiagonal_(1).sum(1).tolist()).toEqual([1, 1, 0, 0, 0]);
    expect(() => zeros(3).fillDiagonal_(1)).toThrow(/dimensions must larger than 1/);
  });
  test('apply_ and map_ work on values, so not on what requires a gradient', () => {
    expect(
      tensor([1, 2])
        .apply_(x => x * x + 1)
        .tolist(),
    ).toEqual([2, 5]);
    expect(
      tensor([1, 2])
        .map_(tensor([3, 4]), (a, b) => a - b)
        .tolist(),
    ).toEqual([-2, -2]);
    expect(() =>
      randn(2)
        .requiresGrad_()
        .apply_(x => x),
    ).toThrow(/Can't call apply_\(\) on Variable/);
  });
  test('in place: the derivative is that of the function', () => {
    const start = float64([0.5, 1.5]).requiresGrad_();
    start.mul(1).lgamma_().sum().backward();
    expect(start.grad!.tolist()).toEqual(start.detach().digamma().tolist());
    expect(float64([1, 2]).polygamma_(1).tolist()).toEqual(float64([1, 2]).polygamma(1).tolist());
    expect(() => tensor([1, 2]).lgamma_()).toThrow(
      /result type float32 can't be cast to the desired output type int64/,
    );
  });
});

test('what is overwritten goes on requiring a gradient, and gives zeros', () => {
  const names = (change: (y: Tensor) => void): unknown[] => {
    const x = ones(2).requiresGrad_();
    const y = x.mul(2);
    change(y);
    y.sum().backward();
    return [y.gradFn?.name, x.grad!.tolist()];
  };
  expect(names(y => y.zero_())).toEqual(['ZeroBackward0', [0, 0]]);
  expect(names(y => y.fill_(3))).toEqual(['FillBackward0', [0, 0]]);
  expect(names(y => y.copy_(ones(2)))).toEqual(['CopyBackwards', [0, 0]]);
  const source = ones(2).requiresGrad_();
  expect(zeros(2).copy_(source.mul(1)).gradFn?.name).toBe('CopyBackwards');
  const step = compile(
    (x: Tensor) => {
      const leaf = x.detach().clone().requiresGrad_();
      const y = leaf.mul(2);
      y.zero_();
      y.add(leaf).sum().backward();
      return leaf.grad!;
    },
    [input([2])],
  );
  expect(step(ones(2)).tolist()).toEqual([1, 1]);
});

test('steps bear the names of PyTorch 1.13', () => {
  const x = randn(2, 1, 4).requiresGrad_();
  expect(
    [
      x.squeeze(),
      x.squeeze(1),
      x.repeatInterleave(2),
      F.adaptiveAvgPool1d(x, 2),
      F.adaptiveAvgPool2d(x, 1),
      F.adaptiveAvgPool2d(x, [1, 2]),
      F.adaptiveMaxPool2d(x, [1, 2]),
      F.instanceNorm(x),
    ].map(y => y.gradFn?.name),
  ).toEqual([
    'SqueezeBackward0',
    'SqueezeBackward1',
    'IndexSelectBackward0',
    'SqueezeBackward1',
    'MeanBackward1',
    'AdaptiveAvgPool2DBackward0',
    'AdaptiveMaxPool2DBackward0',
    'ViewBackward0',
  ]);
});

describe('draws', () => {
  test('poisson has the mean and variance of its rate, on both ways to draw', () => {
    manualSeed(0);
    for (const rate of [0, 3, 40]) {
      const drawn = poisson(zeros(4000).add(rate));
      expect(Math.abs(drawn.mean().item() - rate)).toBeLessThan(0.06 * Math.max(1, Math.sqrt(rate)));
      expect(Math.abs(drawn.var().item() - rate)).toBeLessThan(0.1 * Math.max(1, rate));
    }
    expect(() => poisson(tensor([-1.5]))).toThrow(/invalid Poisson rate/);
    expect(() => compile((x: Tensor) => poisson(x), [input([2])])(ones(2))).toThrow(/poisson cannot be compiled/);
  });
  test('randintLike, seed, emptyStrided', () => {
    const drawn = randintLike(zeros(3, 2), 5, 8);
    expect([drawn.shape, drawn.dtype]).toEqual([[3, 2], 'float32']);
    expect(drawn.ge(5).logicalAnd(drawn.lt(8)).all().item()).toBe(true);
    expect(seed()).not.toBe(seed());
    expect(emptyStrided([2, 3], [1, 2]).stride()).toEqual([1, 2]);
    expect(() => emptyStrided([2], [1, 2])).toThrow(/as many whole numbers/);
  });
});

describe('LU', () => {
  test('factors any shape: P·L·U is the matrix', () => {
    manualSeed(1);
    for (const shape of [
      [4, 4],
      [2, 5, 3],
      [3, 5],
    ]) {
      const A = randn(shape, { dtype: 'float64' });
      const { P, L, U } = linalg.lu(A);
      expect(P.matmul(L).matmul(U).sub(A).abs().max().item()).toBeLessThan(1e-12);
    }
  });
  test('solves', () => {
    const A = randn(4, 4, { dtype: 'float64' });
    const b = randn(4, 2, { dtype: 'float64' });
    const { LU, pivots } = linalg.luFactor(A);
    expect(A.matmul(b.luSolve(LU, pivots)).sub(b).abs().max().item()).toBeLessThan(1e-10);
  });
});

test('the exponential of a matrix: a rotation, and far from zero', () => {
  const turn = (angle: number): Tensor =>
    float64([
      [0, -angle],
      [angle, 0],
    ]);
  const expected = (angle: number): number[][] => [
    [Math.cos(angle), -Math.sin(angle)],
    [Math.sin(angle), Math.cos(angle)],
  ];
  for (const angle of [0.3, 40]) {
    expect(
      gradc
        .matrixExp(turn(angle))
        .sub(float64(expected(angle)))
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-11);
  }
});

describe('gradients are checked', () => {
  const x = float64([0.3, -0.7, 1.1]).requiresGrad_();
  test('gradcheck and gradgradcheck accept what is right', () => {
    expect(autograd.gradcheck(a => a.sin().mul(a), [x])).toBe(true);
    expect(autograd.gradgradcheck((a: Tensor, b: Tensor) => a.exp().mul(b), [x, float64([1, 2, 3])])).toBe(true);
  });
  test('and tell where a gradient is wrong', () => {
    const wrong = {
      name: 'Wrong',
      forward: (_: unknown, a: Tensor) => a.mul(2),
      backward: (_: unknown, g: Tensor) => g.mul(3),
    };
    expect(() => autograd.gradcheck(a => autograd.apply(wrong, a), x)).toThrow(
      /Jacobian mismatch for output 0 with respect to input 0: numerical (2|1\.99999)\d*.*, analytical 3/,
    );
    expect(autograd.gradcheck(a => autograd.apply(wrong, a), x, { raiseException: false })).toBe(false);
    expect(() => autograd.gradcheck(a => a, x.detach())).toThrow(/at least one input tensor to require gradient/);
  });
  test('detectAnomaly names the step that makes NaN, and the line of its forward call', () => {
    const leaf = tensor([-1.5]).requiresGrad_();
    const run = (): void => leaf.sqrt().sum().backward();
    expect(run).not.toThrow();
    let error: GradcError | null = null;
    try {
      autograd.detectAnomaly(run);
    } catch (thrown) {
      error = thrown as GradcError;
    }
    expect(error?.message).toMatch(/Function 'SqrtBackward0' returned nan values in its 0th output/);
    expect(error?.message).toMatch(/forward call is in .*pytorch-functions\.test\.ts, line \d+/);
    expect(run).not.toThrow();
  });
  test('vhp', () => {
    const [, product] = autograd.vhp(a => a.pow(3).sum(), x.detach(), float64([1, 0, 2]));
    expect(product.tolist()).toEqual(
      x
        .detach()
        .mul(6)
        .mul(float64([1, 0, 2]))
        .tolist(),
    );
  });
});

test('setToNone by name, PReLU by position, ChannelShuffle', () => {
  const net = new nn.Linear(2, 1);
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  net.forward(ones(1, 2)).sum().backward();
  opt.zeroGrad({ setToNone: false });
  expect(net.weight.grad!.tolist()).toEqual([[0, 0]]);
  net.zeroGrad({ setToNone: true });
  expect(net.weight.grad).toBeNull();
  expect([new nn.PReLU(3).weight.shape, new nn.PReLU(2, 0.5).weight.tolist()]).toEqual([[3], [0.5, 0.5]]);
  const shuffled = new nn.ChannelShuffle(2).forward(tensor([[[1], [2], [3], [4]]]));
  expect(shuffled.flatten().tolist()).toEqual([1, 3, 2, 4]);
});

test('third derivatives of layer norm are those of its parts', () => {
  const [data, along] = [
    [0.3, -1.2, 0.8, 2],
    [1, 0.5, -2, 0.25],
  ].map(float64);
  const byParts = (x: Tensor): Tensor => {
    const centered = x.sub(x.mean());
    return centered.mul(centered.square().mean().add(1e-5).rsqrt());
  };
  const third = (normalized: (x: Tensor) => Tensor): Tensor => {
    const first = gradc.grad(x => normalized(x).pow(3).sum(), { createGraph: true });
    const second = gradc.grad(x => first(x).mul(along).sum(), { createGraph: true });
    return gradc.grad(x => second(x).mul(along).sum())(data);
  };
  expect(
    gradc.allclose(
      third(x => F.layerNorm(x, [4])),
      third(byParts),
      { rtol: 1e-9 },
    ),
  ).toBe(true);
});

describe('matrices of low rank', () => {
  const [left, right] = [
    float64([
      [1, 2],
      [0, 1],
      [2, -1],
      [1, 1],
    ]),
    float64([
      [1, 0, 2],
      [1, 3, -1],
    ]),
  ];
  const matrix = left.matmul(right);
  const product = ([U, S, V]: [Tensor, Tensor, Tensor]): Tensor => U.mul(S).matmul(V.mT);
  test('are what their largest singular values make, given in order or by name', () => {
    for (const triplets of [gradc.svdLowrank(matrix, 2, 3), gradc.svdLowrank(matrix, { q: 2, niter: 3 })]) {
      expect(triplets.map(part => part.shape)).toEqual([[4, 2], [2], [3, 2]]);
      expect(product(triplets).allclose(matrix)).toBe(true);
    }
  });
  test('have principal components around their mean', () => {
    const centered = matrix.sub(matrix.mean(0));
    expect(product(gradc.pcaLowrank(matrix, 2)).allclose(centered)).toBe(true);
    expect(product(gradc.pcaLowrank(matrix, 2, false)).allclose(matrix)).toBe(true);
  });
  test('of counts that are none are refused', () => {
    expect(() => gradc.svdLowrank(matrix, 4)).toThrow(/q\(=4\) must be non-negative integer and not greater than/);
    expect(() => gradc.svdLowrank(matrix, 1.5)).toThrow(/q\(=1\.5\)/);
    expect(() => gradc.pcaLowrank(matrix, { q: 2, niter: -1 })).toThrow(/niter\(=-1\)/);
  });
});
