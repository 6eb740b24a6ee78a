/** Gradients by `backward()`: of a mean, through a chain of products, of a power, twice through one graph. */
import { FloatTensor, type GradcError, newTensor, ones, type Tensor } from 'gradc';
import { print } from './print.js';

export function gradientOfMean(): void {
  const x = ones(2, 2).requiresGrad_();
  const y = x.add(2);
  const z = y.mul(y).mean();
  print('Y:', y);
  print('Z:', z);
  print('Z.data:', z.data);
  print('X.grad_fn', x.gradFn);
  z.backward();
  print(x.grad);
}

export function chainOfProducts(): void {
  const x = ones(2, 2).requiresGrad_();
  let s: Tensor = FloatTensor([[0.01, 0.02]]).requiresGrad_();
  for (let i = 0; i < 15; i++) s = s.mm(x);
  const z = s.mean();
  z.backward();
  print('Z:', z);
  print('X.grad:', x.grad);
  print('S.grad:', s.grad);
}

export function gradientOfPower(): void {
  const x = newTensor([2]).requiresGrad_();
  const y = x.add(2);
  const z = y.pow(2).add(3);
  z.backward();
  print('z:', z);
  print('x.grad:', x.grad);
}

export function backwardTwice(): void {
  const x = newTensor([2]).requiresGrad_();
  const y = x.add(2).pow(2).add(3);
  y.backward({ retainGraph: true });
  y.backward();
  print(x.grad);
}

export function backwardTwiceWithoutKeeping(): void {
  const x = newTensor([2]).requiresGrad_();
  const y = x.add(2).pow(2).add(3);
  y.backward();
  try {
    y.backward();
  } catch (error) {
    print((error as GradcError).sentence);
  }
}
