/** Making tensors, joining and multiplying them, and sharing their memory with typed arrays. */
import { cat, fromTypedArray, manualSeed, newTensor, ones, rand, randn, range, tensor, zeros } from 'gradc';
import { matrixText, print } from './print.js';

export function countingElements(): void {
  const x = tensor([[[-0.746, -0.387, 0.02]], [[-0.514, 0.677, -0.422]]]);
  print(x.numel());
}

export function zeroMatrix(): void {
  const test2 = zeros(3, 3);
  print('test2:', test2);
}

export function tensorFromLists(): void {
  const test3 = newTensor([
    [1, 2, 3],
    [2, 3, 4],
  ]);
  const xRange = range(1, 5);
  print('test3:', test3);
  print(test3.size());
  print('test3[0]:', test3.select(0, 0));
  print('test3[1]:', test3.select(0, 1));
  print('X_range:', xRange);
}

export function joining(): void {
  const a = ones([2, 3]);
  const b = ones([2, 3]);
  print('A:', a);
  print('B:', b);
  print('cat1_A_B:', cat([a, b], 1));
  print('cat0_A_B:', cat([a, b], 0));
}

export function matrixProduct(): void {
  const x = tensor([
    [0.147, 0.269, 0.66, 0.366],
    [0.649, 0.982, 0.384, 0.987],
    [0.617, 0.501, 0.523, 0.171],
  ]);
  const y = ones(3, 4);
  print('result', x.mm(y.t()));
}

export function productOfRandomMatrix(): void {
  manualSeed(0);
  const x = rand(3, 4);
  const y = ones(3, 4);
  print('x', x);
  print('result', x.mm(y.t()));
}

export function normalNumbers(): void {
  manualSeed(0);
  const test1 = randn(2, 3);
  print('test1:', test1);
}

/** Both directions share memory: what one side changes, the other sees. */
export function typedArrays(): void {
  const one = ones(3, 3);
  const array = one.toTypedArray() as Float32Array;
  print('arr', matrixText(array, one));
  const two = new Float64Array(9).fill(1);
  const shared = fromTypedArray(two, [3, 3]);
  print('tensor', shared);
  two[0] = 7;
  one.add_(1);
  print(array[0], shared.select(0, 0).select(0, 0).item());
}

export function sum(): void {
  const x = tensor([
    [0.387, 0.134, 0.653, 0.044],
    [0.722, 0.19, 0.193, 0.167],
    [0.552, 0.266, 0.607, 0.468],
  ]);
  const y = ones(3, 4);
  print(x.add(y));
}
