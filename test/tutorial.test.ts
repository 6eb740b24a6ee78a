/** The listings of examples/tutorial print what PyTorch 1.13 prints for the same programs. */
import { afterEach, expect, test, vi } from 'vitest';
import * as autograd from '../examples/tutorial/autograd.js';
import * as network from '../examples/tutorial/network.js';
import * as tensors from '../examples/tutorial/tensors.js';

const printed = {
  countingElements: '6\n',
  zeroMatrix: 'test2: tensor([[0., 0., 0.],\n        [0., 0., 0.],\n        [0., 0., 0.]])\n',
  tensorFromLists:
    'test3: tensor([[1., 2., 3.],\n        [2., 3., 4.]])\ntorch.Size([2, 3])\ntest3[0]: tensor([1., 2., 3.])\ntest3[1]: tensor([2., 3., 4.])\nX_range: tensor([1., 2., 3., 4., 5.])\n',
  joining:
    'A: tensor([[1., 1., 1.],\n        [1., 1., 1.]])\nB: tensor([[1., 1., 1.],\n        [1., 1., 1.]])\ncat1_A_B: tensor([[1., 1., 1., 1., 1., 1.],\n        [1., 1., 1., 1., 1., 1.]])\ncat0_A_B: tensor([[1., 1., 1.],\n        [1., 1., 1.],\n        [1., 1., 1.],\n        [1., 1., 1.]])\n',
  matrixProduct:
    'result tensor([[1.4420, 1.4420, 1.4420],\n        [3.0020, 3.0020, 3.0020],\n        [1.8120, 1.8120, 1.8120]])\n',
  productOfRandomMatrix:
    'x tensor([[0.4963, 0.7682, 0.0885, 0.1320],\n        [0.3074, 0.6341, 0.4901, 0.8964],\n        [0.4556, 0.6323, 0.3489, 0.4017]])\nresult tensor([[1.4850, 1.4850, 1.4850],\n        [2.3280, 2.3280, 2.3280],\n        [1.8385, 1.8385, 1.8385]])\n',
  normalNumbers: 'test1: tensor([[ 1.5410, -0.2934, -2.1788],\n        [ 0.5684, -1.0845, -1.3986]])\n',
  typedArrays:
    'arr [[1. 1. 1.]\n [1. 1. 1.]\n [1. 1. 1.]]\ntensor tensor([[1., 1., 1.],\n        [1., 1., 1.],\n        [1., 1., 1.]], dtype=torch.float64)\n2 7\n',
  sum: 'tensor([[1.3870, 1.1340, 1.6530, 1.0440],\n        [1.7220, 1.1900, 1.1930, 1.1670],\n        [1.5520, 1.2660, 1.6070, 1.4680]])\n',
  gradientOfMean:
    'Y: tensor([[3., 3.],\n        [3., 3.]], grad_fn=<AddBackward0>)\nZ: tensor(9., grad_fn=<MeanBackward0>)\nZ.data: tensor(9.)\nX.grad_fn None\ntensor([[1.5000, 1.5000],\n        [1.5000, 1.5000]])\n',
  chainOfProducts:
    'Z: tensor(491.5200, grad_fn=<MeanBackward0>)\nX.grad: tensor([[1802.2400, 1802.2400],\n        [1884.1599, 1884.1599]])\nS.grad: None\n',
  gradientOfPower: 'z: tensor([19.], grad_fn=<AddBackward0>)\nx.grad: tensor([8.])\n',
  backwardTwice: 'tensor([16.])\n',
  backwardTwiceWithoutKeeping:
    'Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad().\n',
  modulesAndParameters: `Net(
  (conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
  (conv2): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
  (fc1): Linear(in_features=400, out_features=120, bias=True)
  (fc2): Linear(in_features=120, out_features=84, bias=True)
  (fc3): Linear(in_features=84, out_features=10, bias=True)
)
torch.Size([6, 1, 5, 5])
torch.Size([6])
torch.Size([16, 6, 5, 5])
torch.Size([16])
torch.Size([120, 400])
torch.Size([120])
torch.Size([84, 120])
torch.Size([84])
torch.Size([10, 84])
torch.Size([10])
`,
  forwardAndBackward: `tensor([[-0.0528, -0.0731,  0.0407,  0.0729, -0.0574,  0.0190, -0.0176,  0.0672,
         -0.0209,  0.1143]], grad_fn=<AddmmBackward0>)
conv1.weight 0.1326
conv1.bias 0.0247
conv2.weight 0.6533
conv2.bias 0.0198
fc1.weight 18.7162
fc1.bias 0.5774
fc2.weight 1.5828
fc2.bias 0.4111
fc3.weight -7.2424
fc3.bias -3.3524
`,
};

const listings: Record<keyof typeof printed, () => void> = { ...tensors, ...autograd, ...network };
afterEach(() => vi.restoreAllMocks());

test.each(Object.entries(printed))('%s', (name, expected) => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  listings[name as keyof typeof printed]();
  expect(log.mock.calls.map(([line]) => `${line}\n`).join('')).toBe(expected);
});
