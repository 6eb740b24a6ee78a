/** The constants of Fourier transforms: roots of unity computed in float64 from exact angles, kept as tensors. */
import { arrayOf, type DType } from '../../ir/dtype.js';
import type { Shape } from '../../ir/shape.js';
import { setMakesInference, type Tensor, tensorOver } from '../tensor.js';

/** The sign of the exponent: -1 forward, 1 back. */
export type Sign = -1 | 1;

/** e^(±2πi·turn/n): the angle reduced to an eighth of a circle, where sine and cosine are most exact. */
export function rootOfUnity(turn: number, n: number, sign: Sign): readonly [re: number, im: number] {
  const eighths = (8 * (((turn % n) + n) % n)) / n;
  const octant = Math.floor(eighths);
  const rest = ((octant % 2 === 0 ? eighths - octant : octant + 1 - eighths) * Math.PI) / 4;
  const [c, s] = [Math.cos(rest), Math.sin(rest)];
  const [x, y] = octant % 4 === 0 || octant % 4 === 3 ? [c, s] : [s, c];
  return [octant > 1 && octant < 6 ? -x : x, sign * (octant > 3 ? -y : y)];
}

const kept = new Map<string, Tensor>();
/** Tables kept before the oldest are dropped. */
const keptLimit = 256;

/** A table by name, made once; it takes part in any computation, whatever mode it was first asked for in. */
export function table(name: string, dtype: DType, shape: Shape, values: () => readonly number[]): Tensor {
  const key = `${name} ${dtype}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const mode = setMakesInference(false);
  try {
    const array = new (arrayOf(dtype))(shape.reduce((count, extent) => count * extent, 1)) as Float64Array;
    array.set(values());
    const made = tensorOver(array, { dtype, shape });
    if (kept.size >= keptLimit) kept.delete(kept.keys().next().value!);
    kept.set(key, made);
    return made;
  } finally {
    setMakesInference(mode);
  }
}

const counted = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The transform of n numbers as a real matrix [2n, planes·n], on their parts one after the other. */
export const denseMatrix = (n: number, planes: 1 | 2, sign: Sign, dtype: DType): Tensor =>
  table(`dense ${n} ${planes} ${sign}`, dtype, [2 * n, planes * n], () =>
    counted(2).flatMap(part =>
      counted(n).flatMap(k =>
        counted(planes).flatMap(plane =>
          counted(n).map(j => {
            const [re, im] = rootOfUnity(k * j, n, sign);
            return part === plane ? re : part === 0 ? -im : im;
          }),
        ),
      ),
    ),
  );

/** Complex factors in two planes, [2, ...shape]. */
export const planes = (
  name: string,
  dtype: DType,
  shape: Shape,
  factors: () => readonly (readonly [number, number])[],
): Tensor =>
  table(name, dtype, [2, ...shape], () => {
    const numbers = factors();
    return [...numbers.map(([re]) => re), ...numbers.map(([, im]) => im)];
  });

/** Between the two steps of a transform of rows · columns numbers: e^(±2πi·k·j/(rows·columns)) for row k, column j. */
export const twiddles = (rows: number, columns: number, sign: Sign, dtype: DType): Tensor =>
  planes(`twiddles ${rows} ${columns} ${sign}`, dtype, [rows, columns], () =>
    counted(rows).flatMap(k => counted(columns).map(j => rootOfUnity(k * j, rows * columns, sign))),
  );

/** The chirp e^(±πi·k²/n). The square is taken modulo 2n, so that the angle stays exact. */
const chirpAt = (k: number, n: number, sign: Sign) =>
  rootOfUnity(Number((BigInt(k) * BigInt(k)) % BigInt(2 * n)), 2 * n, sign);
export const chirp = (n: number, sign: Sign, dtype: DType): Tensor =>
  planes(`chirp ${n} ${sign}`, dtype, [n], () => counted(n).map(k => chirpAt(k, n, sign)));

/** The spectrum of the conjugate chirp laid around a circle of `size`, a power of 2, divided by `size`. */
export const chirpSpectrum = (n: number, size: number, sign: Sign, dtype: DType): Tensor =>
  planes(`chirp spectrum ${n} ${size} ${sign}`, dtype, [size], () => {
    const back = sign === 1 ? -1 : 1;
    const around = counted(size).map((k): readonly [number, number] => {
      const distance = Math.min(k, size - k);
      return distance < n ? chirpAt(distance, n, back) : [0, 0];
    });
    return spectrum(around).map(([re, im]) => [re / size, im / size] as const);
  });

/** How often each of the first n/2 + 1 frequencies of n real numbers counts, times a scale. */
export const halfWeights = (n: number, scale: number, dtype: DType): Tensor =>
  table(`half ${n} ${scale}`, dtype, [Math.floor(n / 2) + 1], () =>
    counted(Math.floor(n / 2) + 1).map(k => (k === 0 || 2 * k === n ? scale : 2 * scale)),
  );

/** The transform of a power of 2 of plain numbers, by halves. */
function spectrum(values: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const n = values.length;
  if (n === 1) return [...values];
  const [even, odd] = [0, 1].map(first => spectrum(values.filter((_, i) => i % 2 === first)));
  const turned = odd.map(([re, im], k): readonly [number, number] => {
    const [c, s] = rootOfUnity(k, n, -1);
    return [re * c - im * s, re * s + im * c];
  });
  const joined = (sign: number) =>
    even.map(([re, im], k): readonly [number, number] => [re + sign * turned[k][0], im + sign * turned[k][1]]);
  return [...joined(1), ...joined(-1)];
}
