/**
 * Chebyshev's, Hermite's, Laguerre's and Legendre's polynomials of a degree, by the recurrence over three degrees that each
 * family has (Abramowitz & Stegun, chapter 22). They have the derivative of what they are made of.
 */
import { getDefaultDtype, isFloat } from '../ir/dtype.js';
import { composite, type Op } from './define.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import type { Tensor } from './tensor.js';

type Polynomial = Op<(input: Tensor, n: number) => Tensor>;

interface Family {
  /** The polynomial of degree 1. */
  readonly first: (x: Tensor) => Tensor;
  /** That of degree k + 1 from those of k and k - 1. */
  readonly next: (k: number, x: Tensor, current: Tensor, previous: Tensor) => Tensor;
}

/** The polynomial of degree n; 0 below degree 0. */
function ofDegree({ first, next }: Family, x: Tensor, n: number): Tensor {
  if (n < 0) return x.zerosLike();
  let [previous, current] = [x.onesLike(), first(x)];
  if (n === 0) return previous;
  for (let k = 1; k < n; k++) [previous, current] = [current, next(k, x, current, previous)];
  return current;
}

const polynomial = (name: string, doc: string, family: Family, inputTo: (x: Tensor) => Tensor = x => x): Polynomial =>
  composite({
    name: `special.${name}`,
    doc: `${doc} of degree n.`,
    signature: 'input: tensor, n: int',
    compute: ({ input, n }) => ofDegree(family, inputTo(isFloat(input.dtype) ? input : input.to(getDefaultDtype())), n),
    samples: [
      sampleWithoutGradient(random([4]), 0),
      sample(random([4]), 1),
      sample(random([2, 3]), 5),
      sample(exactly([2], [1, -1]), 3),
    ],
  });

const chebyshev = (first: Family['first']): Family => ({
  first,
  next: (_, x, current, previous) => x.mul(2).mul(current).sub(previous),
});
const firstKind = chebyshev(x => x);
const secondKind = chebyshev(x => x.mul(2));
const thirdKind = chebyshev(x => x.mul(2).sub(1));
const fourthKind = chebyshev(x => x.mul(2).add(1));
/** From [0, 1] to [-1, 1]. */
const shifted = (x: Tensor): Tensor => x.mul(2).sub(1);

export const chebyshevPolynomialT: Polynomial = polynomial(
  'chebyshevPolynomialT',
  "Chebyshev's polynomial of the first kind",
  firstKind,
);
export const chebyshevPolynomialU: Polynomial = polynomial(
  'chebyshevPolynomialU',
  "Chebyshev's polynomial of the second kind",
  secondKind,
);
export const chebyshevPolynomialV: Polynomial = polynomial(
  'chebyshevPolynomialV',
  "Chebyshev's polynomial of the third kind",
  thirdKind,
);
export const chebyshevPolynomialW: Polynomial = polynomial(
  'chebyshevPolynomialW',
  "Chebyshev's polynomial of the fourth kind",
  fourthKind,
);
export const shiftedChebyshevPolynomialT: Polynomial = polynomial(
  'shiftedChebyshevPolynomialT',
  "Chebyshev's polynomial of the first kind, shifted to [0, 1],",
  firstKind,
  shifted,
);
export const shiftedChebyshevPolynomialU: Polynomial = polynomial(
  'shiftedChebyshevPolynomialU',
  "Chebyshev's polynomial of the second kind, shifted to [0, 1],",
  secondKind,
  shifted,
);
export const shiftedChebyshevPolynomialV: Polynomial = polynomial(
  'shiftedChebyshevPolynomialV',
  "Chebyshev's polynomial of the third kind, shifted to [0, 1],",
  thirdKind,
  shifted,
);
export const shiftedChebyshevPolynomialW: Polynomial = polynomial(
  'shiftedChebyshevPolynomialW',
  "Chebyshev's polynomial of the fourth kind, shifted to [0, 1],",
  fourthKind,
  shifted,
);

export const hermitePolynomialH: Polynomial = polynomial('hermitePolynomialH', "The physicists' Hermite polynomial", {
  first: x => x.mul(2),
  next: (k, x, current, previous) => x.mul(current).sub(previous.mul(k)).mul(2),
});
export const hermitePolynomialHe: Polynomial = polynomial(
  'hermitePolynomialHe',
  "The probabilists' Hermite polynomial",
  {
    first: x => x,
    next: (k, x, current, previous) => x.mul(current).sub(previous.mul(k)),
  },
);
export const laguerrePolynomialL: Polynomial = polynomial('laguerrePolynomialL', "Laguerre's polynomial", {
  first: x => x.neg().add(1),
  next: (k, x, current, previous) =>
    x
      .neg()
      .add(2 * k + 1)
      .mul(current)
      .sub(previous.mul(k))
      .div(k + 1),
});
export const legendrePolynomialP: Polynomial = polynomial('legendrePolynomialP', "Legendre's polynomial", {
  first: x => x,
  next: (k, x, current, previous) =>
    x
      .mul(current)
      .mul(2 * k + 1)
      .sub(previous.mul(k))
      .div(k + 1),
});
