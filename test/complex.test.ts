/**
 * Complex tensors as users meet them: made, read, printed, changed in place, trained, compiled, kept in files, refused. Texts and
 * numbers are PyTorch 1.13.1's.
 */
import { describe, expect, test } from 'vitest';
import { compile, compileDefinition } from '../compiler/jit.js';
import * as F from '../runtime/functional.js';
import {
  allclose,
  autograd,
  Complex,
  complex,
  complex64,
  complex128,
  cond,
  type DType,
  defineModel,
  entry,
  fft,
  float32,
  float64,
  full,
  input,
  isComplex,
  linspace,
  loadNpy,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  promoteTypes,
  rand,
  randn,
  resultType,
  saveNpy,
  saveSafetensors,
  type Tensor,
  tensor,
  viewAsComplex,
  viewAsReal,
  whileLoop,
  zeros,
} from '../runtime/index.js';

const i = new Complex(0, 1);
const three = (dtype: DType = complex64): Tensor => tensor([{ re: 1, im: 2 }, { re: -3.5, im: 0.25 }, 0], { dtype });
const parts = (z: Tensor): unknown => viewAsReal(z.detach()).tolist();

describe('made and read', () => {
  test('from parts, from numbers, filled', () => {
    expect(tensor([1, i]).dtype).toBe(complex64);
    expect(parts(tensor([[1, { re: 2, im: -1 }]]))).toEqual([
      [
        [1, 0],
        [2, -1],
      ],
    ]);
    expect(parts(zeros(2, { dtype: complex128 }))).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(parts(full([2], new Complex(1, -2)))).toEqual([
      [1, -2],
      [1, -2],
    ]);
    expect(parts(ones(1, { dtype: complex64 }).fill_(i))).toEqual([[0, 1]]);
    expect(parts(linspace(0, 1, 3, { dtype: complex64 }))).toEqual([
      [0, 0],
      [0.5, 0],
      [1, 0],
    ]);
    expect(() => tensor([i], { dtype: float32 })).toThrow(/the complex number \(0\+1j\) does not fit a real dtype/);
  });
  test('elements are Complex', () => {
    const z = three();
    expect(z.at(0).item<Complex>()).toEqual(new Complex(1, 2));
    expect(z.tolist()).toEqual([new Complex(1, 2), new Complex(-3.5, 0.25), new Complex(0, 0)]);
    expect(String(z.at(1).item<Complex>())).toBe('(-3.5+0.25j)');
    expect([isComplex(z), isComplex(z.abs()), z.elementSize(), z.isFloatingPoint()]).toEqual([true, false, 8, false]);
  });
  test('random numbers are those of PyTorch', () => {
    manualSeed(0);
    expect(String(randn(2, { dtype: complex64 }))).toBe('tensor([ 1.0896-0.2075j, -1.5406+0.4019j])');
    manualSeed(0);
    expect(String(rand(2, { dtype: complex64 }))).toBe('tensor([0.4963+0.7682j, 0.0885+0.1320j])');
  });
  test('promotion', () => {
    expect(promoteTypes(complex64, float64)).toBe(complex128);
    expect(resultType(ones(2, { dtype: float64 }), tensor(i))).toBe(complex128);
    expect(three().mul(ones(3, { dtype: float64 })).dtype).toBe(complex128);
    expect(three().mul(tensor(2, { dtype: float64 })).dtype).toBe(complex64);
    expect(tensor([1, 2]).mul(i).dtype).toBe(complex64);
  });
  test('parts share memory with the numbers, and so do views', () => {
    const z = three();
    z.real().fill_(7);
    z.reshape(3, 1).select(0, 1).fill_(i);
    expect(parts(z)).toEqual([
      [7, 2],
      [0, 1],
      [7, 0],
    ]);
    z.setAt(0, i).mul_(i);
    expect(parts(z)).toEqual([
      [-1, 0],
      [-1, 0],
      [0, 7],
    ]);
    z.copy_(tensor([1, 2, 3]));
    expect(parts(z)).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
    ]);
  });
});

test('printing', () => {
  const printed = (z: Tensor): string => String(z);
  expect(printed(three())).toBe('tensor([ 1.0000+2.0000j, -3.5000+0.2500j,  0.0000+0.0000j])');
  expect(printed(three(complex128))).toBe(
    'tensor([ 1.0000+2.0000j, -3.5000+0.2500j,  0.0000+0.0000j],\n       dtype=torch.complex128)',
  );
  expect(printed(tensor(new Complex(1.5, -2)))).toBe('tensor(1.5000-2.j)');
  expect(printed(tensor([{ re: 1e-5, im: 1 }, 1]))).toBe('tensor([1.0000e-05+1.j, 1.0000e+00+0.j])');
  expect(
    printed(
      tensor([
        { re: 1e-9, im: 1e5 },
        { re: Number.NaN, im: Number.POSITIVE_INFINITY },
        { re: 0, im: 3 },
      ]),
    ),
  ).toBe('tensor([1.0000e-09+1.0000e+05j,        nan+infj, 0.0000e+00+3.0000e+00j])');
  expect(printed(zeros(0, 2, { dtype: complex64 }))).toBe('tensor([], size=(0, 2), dtype=torch.complex64)');
  expect(printed(zeros(2, 2, { dtype: complex128 }))).toBe(
    'tensor([[0.+0.j, 0.+0.j],\n        [0.+0.j, 0.+0.j]], dtype=torch.complex128)',
  );
  expect(printed(three().reshape(3, 1).conj())).toBe(
    'tensor([[ 1.0000-2.0000j],\n        [-3.5000-0.2500j],\n        [ 0.0000-0.0000j]])',
  );
  const z = three().requiresGrad_();
  expect(printed(z)).toBe('tensor([ 1.0000+2.0000j, -3.5000+0.2500j,  0.0000+0.0000j], requires_grad=True)');
  expect(printed(z.exp())).toBe(
    'tensor([-1.1312+2.4717j,  0.0293+0.0075j,  1.0000+0.0000j],\n       grad_fn=<ExpBackward0>)',
  );
  expect(printed(z.sum())).toBe('tensor(-2.5000+2.2500j, grad_fn=<SumBackward0>)');
  expect(printed(new nn.Parameter(three()))).toBe(
    'Parameter containing:\ntensor([ 1.0000+2.0000j, -3.5000+0.2500j,  0.0000+0.0000j], requires_grad=True)',
  );
});

describe('autograd', () => {
  test('names of steps', () => {
    const z = three().requiresGrad_();
    const names = [z.mul(2), z.add(1), z.conj(), z.abs(), z.sgn(), z.reshape(3, 1), z.real(), fft.fft(z), fft.irfft(z)];
    expect(names.map(({ gradFn }) => gradFn?.name)).toEqual([
      'MulBackward0',
      'AddBackward0',
      'ConjBackward0',
      'AbsBackward0',
      'SgnBackward0',
      'ReshapeAliasBackward0',
      'SelectBackward0',
      'FftC2CBackward0',
      'FftC2RBackward0',
    ]);
  });
  test('of a complex number alone is that of its real part; several need a gradient', () => {
    const z = three().requiresGrad_();
    z.mul(z).sum().backward();
    expect(parts(z.grad!)).toEqual([
      [2, -4],
      [-7, -0.5],
      [0, 0],
    ]);
    expect(() => z.mul(z).backward()).toThrow(/E201/);
  });
  test('hooks, retained gradients, second derivatives', () => {
    const z = three(complex128).requiresGrad_();
    const square = z.mul(z);
    square.retainGrad();
    const seen: Tensor[] = [];
    z.registerHook(grad => {
      seen.push(grad);
      return grad.mul(i);
    });
    square.abs().sum().backward();
    expect(seen[0].dtype).toBe(complex128);
    expect(allclose(z.grad!, seen[0].mul(i))).toBe(true);
    expect(square.grad?.dtype).toBe(complex128);
    const w = tensor([{ re: 0.5, im: -1 }], { dtype: complex128 }).requiresGrad_();
    const [first] = autograd.grad(w.exp().abs().square().sum(), w, { createGraph: true });
    const [second] = autograd.grad(first.real().sum(), w);
    expect(second.item<Complex>().re).toBeCloseTo(4 * Math.exp(1), 9);
  });
  test('leaves are not changed in place where gradients are recorded', () => {
    const z = three().requiresGrad_();
    expect(() => z.mul_(i)).toThrow(/E205/);
    noGrad(() => z.mul_(i));
    expect(parts(z)).toEqual([
      [-2, 1],
      [-0.25, -3.5],
      [0, 0],
    ]);
  });
});

test('functions with a gradient of their own', () => {
  class Square extends autograd.Function {
    static forward(context: autograd.FunctionContext, z: Tensor): Tensor {
      context.saveForBackward(z);
      return z.mul(z);
    }
    static backward(context: autograd.FunctionContext, grad: Tensor): Tensor {
      return grad.mul(context.savedTensors[0].conj()).mul(2);
    }
  }
  const [own, plain] = [three().requiresGrad_(), three().requiresGrad_()];
  Square.apply(own).abs().sum().backward();
  plain.mul(plain).abs().sum().backward();
  expect(String(own.grad)).toBe(String(plain.grad));
});

test('loops and branches in a trace refuse complex values by name', () => {
  const run = (body: (z: Tensor) => Tensor) => () => compile(body, [{ shape: [2], dtype: complex64 }]);
  expect(
    run(z =>
      cond(
        z.abs().sum().gt(1),
        () => z,
        () => z.neg(),
      ),
    ),
  ).toThrow(/E111: cond does not take complex64/);
  expect(
    run(z =>
      whileLoop(
        (c: Tensor) => c.abs().lt(9),
        (c: Tensor) => c.mul(2),
        z.sum(),
      ),
    ),
  ).toThrow(/E111: while.* does not take complex64/);
});

/** Rotates what it is given towards -1; the model of the tests below. */
class Turn extends nn.Module {
  readonly factor = new nn.Parameter(
    tensor([
      { re: 1, im: 0.5 },
      { re: -1, im: 1 },
    ]),
  );
  forward(z: Tensor): Tensor {
    return z.mul(this.factor);
  }
}
const lossOf = (turned: Tensor): Tensor => turned.add(1).abs().square().sum();

test.each<[string, (net: Turn) => optim.SGD | optim.Adam]>([
  ['SGD', net => new optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 })],
  ['Adam', net => new optim.Adam(net.parameters(), { lr: 0.1 })],
])('%s trains complex parameters as their parts', (_, optimizer) => {
  const nets = [new Turn(), new Turn()];
  const opts = nets.map(net => optimizer(net));
  const given = tensor([i, 1]);
  const model = defineModel('turn', () => ({
    state: { net: nets[1], opt: opts[1] },
    entries: {
      step: entry({ z: input([2], complex64) }, ({ z }) => {
        opts[1].zeroGrad();
        const turned = nets[1].forward(z);
        const loss = lossOf(turned);
        loss.backward();
        opts[1].step();
        return { loss, turned };
      }),
    },
  }));
  const { executable, traced } = compileDefinition(model);
  expect(traced.state[0].type).toEqual({ dtype: float32, shape: [2, 2] });
  for (let n = 0; n < 4; n++) {
    opts[0].zeroGrad();
    const turned = nets[0].forward(given);
    const loss = lossOf(turned);
    loss.backward();
    opts[0].step();
    const compiled = executable.call('step', { z: viewAsReal(given) });
    expect(compiled.loss.item()).toBeCloseTo(loss.item(), 5);
    expect(compiled.turned.shape).toEqual([2, 2]);
    expect(allclose(viewAsComplex(compiled.turned), turned, { atol: 1e-6 })).toBe(true);
  }
  expect(allclose(nets[0].factor, nets[1].factor, { atol: 1e-6 })).toBe(true);
});

test('compile() takes and gives complex tensors', () => {
  const spectrum = compile(
    (x: Tensor, z: Tensor) => [fft.fft(x).mul(z), z.abs()],
    [
      { shape: [6], dtype: float32 },
      { shape: [6], dtype: complex64 },
    ],
  );
  const [x, z] = [randn(6), randn(6, { dtype: complex64 })];
  const [product, length] = spectrum(x, z);
  expect(allclose(product, fft.fft(x).mul(z), { atol: 1e-5 })).toBe(true);
  expect(allclose(length, z.abs())).toBe(true);
  expect(() => spectrum(x, x)).toThrow(/E110/);
});

test('files', () => {
  for (const dtype of [complex64, complex128] as const)
    expect(String(loadNpy(saveNpy(three(dtype))))).toBe(String(three(dtype)));
  expect(() => saveSafetensors({ z: three() })).toThrow(/complex64/);
});

describe('refused by name', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['an op', () => F.relu(three()), /E111: relu does not take complex64/],
    ['an order', () => three().lt(1), /E111: lt does not take complex64/],
    ['a number', () => tensor([1]).fmod(i), /E111: fmod does not take complex64/],
    ['a dtype', () => three().cumsum(0, { dtype: float32 }), /E111: cumsum with dtype float32/],
    ['a layer', () => new nn.Dropout().forward(three()), /does not take complex64/],
    ['a loss', () => F.mseLoss(three(), three()), /E111: mseLoss does not take complex64/],
    ['random numbers in place', () => nn.init.uniform_(three()), /does not take complex64/],
    ['memory', () => three().toTypedArray(), /E111: toTypedArray\(\) does not take complex64/],
    ['rounding', () => three().div(2, { roundingMode: 'floor' }), /E111: div with roundingMode 'floor'/],
    ['parts of other dtypes', () => complex(tensor([1]), tensor([1])), /Expected both inputs to be Float or Double/],
    ['a view of three', () => viewAsComplex(ones(3)), /Tensor must have a last dimension of size 2/],
    ['a view that is not dense', () => viewAsComplex(ones(2, 3, 2).transpose(0, 2)), /a last dimension with stride 1/],
    [
      'the imaginary part of real numbers',
      () => ones(2).imag(),
      /imag is not implemented for tensors with non-complex dtypes/,
    ],
    ['an in-place result', () => ones(2).mul_(i), /can't be cast to the desired output type float32/],
    ['rfft', () => fft.rfft(three()), /fft\.rfft: expects a real input tensor, but got complex64/],
    ['a length', () => fft.fft(three(), 0), /Invalid number of data points \(0\) specified/],
    ['a mode', () => fft.fft(three(), { norm: 'full' as never }), /Invalid normalization mode: "full"/],
  ])('%s', (_, call, message) => expect(call).toThrow(message));
});
