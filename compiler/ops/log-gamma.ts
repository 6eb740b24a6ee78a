/** log |Γ(x)| in elementary functions. */
import type { Arith } from '../ir/arith.js';
import { constant, type Expr } from '../ir/kernel.js';

const infinite = (x: Expr): Expr => constant(x.dtype, Number.POSITIVE_INFINITY);

/** Coefficients of the Lanczos approximation with g = 7, n = 9 (C. Lanczos 1964, as computed by P. Godfrey). */
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** log Γ(x) for x >= 0.5. */
function logGammaRight(s: Arith, x: Expr): Expr {
  const z = s.sub(x, 1);
  const series = lanczos
    .slice(1)
    .reduce<Expr>((sum, c, i) => s.add(sum, s.div(c, s.add(z, i + 1))), constant(x.dtype, lanczos[0]));
  const t = s.add(z, 7.5);
  return s.add(s.sub(s.mul(s.add(z, 0.5), s.log(t)), t), s.log(s.mul(series, Math.sqrt(2 * Math.PI))));
}

/** By reflection on the left: log(π / |sin πx|) - log Γ(1 - x). */
export function logGamma(s: Arith, x: Expr): Expr {
  const left = s.lt(x, 0.5);
  const right = logGammaRight(s, s.select(left, s.sub(1, x), x));
  const whole = s.sub(x, s.floor(x));
  const reflected = s.sub(s.log(s.div(Math.PI, s.abs(s.sin(s.mul(whole, Math.PI))))), right);
  const value = s.select(left, s.select(s.eq(whole, 0), infinite(x), reflected), right);
  return s.select(s.eq(s.abs(x), Number.POSITIVE_INFINITY), infinite(x), value);
}
