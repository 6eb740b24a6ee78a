/**
 * The incomplete gamma functions of a large first argument near the second, by Temme's uniform expansion: half of erfc of
 * η·√(a/2), and a correction in powers of 1/a whose coefficients are power series in η, where η²/2 = λ - 1 - log λ and
 * λ = x/a (N. M. Temme, "The asymptotic expansion of the incomplete gamma functions", 1979; DLMF 8.12).
 */
import type { Arith } from '../ir/arith.js';
import { constant, type Expr } from '../ir/kernel.js';
import { complementaryErf } from './erfc.js';

/** The expansion holds to double precision where a is larger and |x - a| is less than this part of a. */
const largeFrom = 200;
const nearWithin = 0.3;
const orders = 7;
const powers = 18;

export const isLargeAndNear = (s: Arith, a: Expr, x: Expr): Expr =>
  s.and(s.gt(a, largeFrom), s.lt(s.abs(s.sub(x, a)), s.mul(a, nearWithin)));

/** Coefficients of λ - 1 as a power series in η, from η¹ on. */
function inverseSeries(count: number): number[] {
  const alpha = [0, 1, 1 / 3];
  for (let n = 3; n <= count; n++) {
    let sum = alpha[n - 1];
    for (let j = 2; j < n; j++) sum -= j * alpha[j] * alpha[n - j + 1];
    alpha.push(sum / (n + 1));
  }
  return alpha;
}

/** Those of Stirling's series of Γ. */
const stirling = [1, 1 / 12, 1 / 288, -139 / 51840, -571 / 2488320, 163879 / 209018880, 5246819 / 75246796800];

/** The coefficient of ηⁿ in that of a⁻ᵏ, by k. */
const corrections: readonly (readonly number[])[] = (() => {
  const longest = powers + 2 * orders;
  const alpha = inverseSeries(longest + 2);
  const first = Array.from({ length: longest }, (_, n) => (n === 0 ? -1 / 3 : (n + 2) * alpha[n + 2]));
  const rows = [first];
  for (let k = 1; k < orders; k++) {
    const sign = k % 2 === 0 ? 1 : -1;
    const before = rows[k - 1];
    rows.push(before.slice(2).map((d, n) => sign * stirling[k] * first[n] + (n + 2) * d));
  }
  return rows.map(row => row.slice(0, powers));
})();

/** μ - log(1 + μ) for |μ| <= nearWithin, where the difference would lose what counts: by the series of artanh. */
function excess(s: Arith, mu: Expr): Expr {
  const r = s.div(mu, s.add(mu, 2));
  const square = s.square(r);
  const odd = Array.from({ length: 12 }, (_, i) => 1 / (2 * i + 3)).reverse();
  return s.sub(s.mul(mu, r), s.mul(s.mul(s.mul(r, square), 2), s.poly(square, odd)));
}

/** The upper or lower part where `isLargeAndNear`. */
export function partOfLarge(s: Arith, a: Expr, x: Expr, upper: boolean): Expr {
  const mu = s.div(s.sub(x, a), a);
  const half = excess(s, mu);
  const eta = s.mul(s.select(s.lt(mu, 0), constant(mu.dtype, -1), constant(mu.dtype, 1)), s.sqrt(s.mul(half, 2)));
  const inverse = s.div(1, a);
  const sum = corrections
    .map(row => s.poly(eta, [...row].reverse()))
    .reduceRight((rest, term) => s.add(s.mul(rest, inverse), term));
  const correction = s.mul(s.div(s.exp(s.neg(s.mul(a, half))), s.sqrt(s.mul(a, 2 * Math.PI))), sum);
  const main = s.mul(complementaryErf(s, s.mul(s.mul(eta, upper ? 1 : -1), s.sqrt(s.mul(a, 0.5)))), 0.5);
  return upper ? s.add(main, correction) : s.sub(main, correction);
}
