/**
 * Poisson numbers as PyTorch draws them: by products of uniform numbers for rates below 10, else by transformed rejection
 * (W. Hörmann, "The transformed rejection method for generating Poisson random variables", 1993).
 */
import { fail } from '../compiler/errors.js';
import { isConstant, type Tensor } from '../compiler/ops/tensor.js';
import { elementsOf } from './bridge.js';
import { valuesAs } from './draws.js';
import type { Generator } from './generator.js';
import { type RandomOptions, sourceFor } from './random.js';

/** log k!, summed below 32 and by Stirling's series from there. */
export function logFactorial(k: number): number {
  if (k < 32) return Array.from({ length: k }, (_, i) => Math.log(i + 1)).reduce((sum, x) => sum + x, 0);
  const x = k + 1;
  const correction = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5);
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + correction;
}

function byProducts(g: Generator, rate: number): number {
  const least = Math.exp(-rate);
  let product = g.uniform(53);
  let count = 0;
  for (; product > least; product *= g.uniform(53)) count++;
  return count;
}

function byRejection(g: Generator, rate: number): number {
  const b = 0.931 + 2.53 * Math.sqrt(rate);
  const a = -0.059 + 0.02483 * b;
  const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const surely = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const u = g.uniform(53) - 0.5;
    const v = g.uniform(53);
    const side = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / side + b) * u + rate + 0.43);
    if (side >= 0.07 && v <= surely) return k;
    if (k < 0 || (side < 0.013 && v > side)) continue;
    const density = -rate + k * Math.log(rate) - logFactorial(k);
    if (Math.log(v) + Math.log(inverseAlpha) - Math.log(a / (side * side) + b) <= density) return k;
  }
}

/**
 * Whole numbers with the Poisson distribution of each element's rate. Eagerly only: how many draws it takes is a matter of
 * chance.
 */
export function poisson(input: Tensor, options: RandomOptions = {}): Tensor {
  const g = sourceFor('poisson', options.generator);
  if (g === null || !isConstant(input)) {
    fail('E304', {
      problem: 'poisson cannot be compiled: how many random numbers it draws depends on them',
      hint: 'draw outside the entry and pass the numbers in',
    });
  }
  const rates = elementsOf(input, 'poisson').map(Number);
  const bad = rates.find(rate => !(rate >= 0));
  if (bad !== undefined)
    fail('E110', { op: 'poisson', problem: `invalid Poisson rate, expected rate to be non-negative, but got ${bad}` });
  const draw = (rate: number): number => (rate === 0 ? 0 : rate < 10 ? byProducts(g, rate) : byRejection(g, rate));
  return valuesAs(Float64Array.from(rates, draw), input.shape, input.dtype);
}
