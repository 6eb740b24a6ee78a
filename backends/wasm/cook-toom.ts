/**
 * Fast convolution in one dimension, F(m, r): m outputs of a window of r taps from n = m + r - 1 inputs by n products
 * instead of m·r.
 *
 *   y = Aᵀ · ((G · w) ∘ (Bᵀ · x))
 *
 * Polynomials are multiplied through their values at n - 1 points and at infinity (Toom, Cook; transposed by Winograd, see
 * Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016). In exact arithmetic any points do; rounding
 * errors grow with the elements of the matrices, so points are few, small, and in pairs of both signs (Barabasz et al.,
 * "Error analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020).
 */
export type Row = readonly number[];

/** A matrix in which pairs of rows, or of columns, are equal but for signs: those of a point and its negative. */
export interface PairedMatrix {
  readonly rows: readonly Row[];
  readonly pairs: readonly (readonly [number, number])[];
  readonly paired: 'rows' | 'columns';
}

export interface FastConvolution {
  readonly outputs: number;
  readonly taps: number;
  readonly inputs: number;
  /** Aᵀ. */
  readonly output: PairedMatrix;
  /** G. */
  readonly weight: PairedMatrix;
  /** Bᵀ. */
  readonly input: PairedMatrix;
}

/** F(m, r) at 0, at each of the given points and its negative, and at infinity. */
export function fastConvolution(taps: number, points: readonly number[]): FastConvolution {
  const finite = [0, ...points.flatMap(p => [p, -p])];
  const inputs = finite.length + 1;
  const outputs = inputs - taps + 1;
  const pairs = points.map((_, i) => [2 * i + 1, 2 * i + 2] as const);
  const others = finite.map(p => finite.filter(q => q !== p));
  const scales = finite.map((p, i) => others[i].reduce((product, q) => product * (p - q), 1));
  const values = (count: number): Row[] => [...finite.map(p => powers(p, count)), unit(count - 1, count)];
  return {
    outputs,
    taps,
    inputs,
    output: { rows: transposed(values(outputs)), pairs, paired: 'columns' },
    weight: { rows: values(taps).map((row, i) => row.map(v => v / (scales[i] ?? 1))), pairs, paired: 'rows' },
    input: { rows: [...others.map(roots => [...polynomial(roots), 0]), polynomial(finite)], pairs, paired: 'rows' },
  };
}

const powers = (p: number, count: number): Row => Array.from({ length: count }, (_, k) => p ** k);
const unit = (at: number, count: number): Row => Array.from({ length: count }, (_, k) => Number(k === at));
const transposed = (rows: readonly Row[]): Row[] => rows[0].map((_, j) => rows.map(row => row[j]));

/** Coefficients, from the lowest power up, of the polynomial with these roots. */
const polynomial = (roots: readonly number[]): Row => roots.reduce<Row>(timesRoot, [1]);
const timesRoot = (factor: Row, root: number): Row => [0, ...factor].map((above, i) => above - root * (factor[i] ?? 0));

/** Half the distance from 1 to the next float32. */
const ROUNDING = 2 ** -24;

/**
 * A bound on the error of an output, summed over so many channels in so many dimensions, where no input and no weight is
 * above 1 in size. A term of the sum is rounded at most `times`, and the sizes of all terms add up to at most `channels`
 * times the largest row sum of |Aᵀ| · ((|G| · 1) ∘ (|Bᵀ| · 1)), to the power of the dimensions.
 */
export function errorBound({ output, weight, input }: FastConvolution, channels: number, dims: number): number {
  const times = dims * (roundings(output) + roundings(weight) + roundings(input)) + 1 + channels;
  const sizes = output.rows.map(row => size(row.map((c, i) => c * size(weight.rows[i]) * size(input.rows[i]))));
  return times * ROUNDING * channels * Math.max(...sizes) ** dims;
}

/** The same for the plain sum over the windows. */
export function plainErrorBound({ taps }: FastConvolution, channels: number, dims: number): number {
  const terms = channels * taps ** dims;
  return terms * ROUNDING * terms;
}

const size = (row: Row): number => row.reduce((sum, c) => sum + Math.abs(c), 0);

/** How often a term is rounded at most: as a coefficient, as a product, and in each sum of the longest row. */
const roundings = ({ rows }: PairedMatrix): number => Math.max(...rows.map(row => row.filter(c => c !== 0).length)) + 1;
