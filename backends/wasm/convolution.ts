/**
 * Convolutions among contractions, known by how their operands move with the counters: one operand reads pairs of a counter
 * of outputs and a short one of the sum as one number, as in x[y + kh], the other only the short ones. So what a tensor's
 * dims are called, and whether taps count up or down, makes no difference.
 */
import type { Expr, Iter } from '../../compiler/ir/kernel.js';
import { type Contraction, sidesOf } from './operand.js';
import { type Coordinate, coordinatesOf } from './staging.js';

/** The counter of outputs and that of taps which the image reads as one sum. */
export interface Window {
  readonly place: Iter;
  readonly tap: Iter;
  /** Whether the sum goes down as the tap goes up. */
  readonly isFlipped: boolean;
  readonly coordinate: Coordinate;
}

/** A contraction that is a convolution. */
export interface Convolution {
  readonly contraction: Contraction;
  readonly image: Expr;
  readonly weight: Expr;
  readonly windows: readonly Window[];
  /** The counter of outputs that only the weights read. */
  readonly row: Iter;
  /** Those that only the image reads, in no window. */
  readonly images: readonly Iter[];
  /** Those of the sum that are no taps. */
  readonly channels: readonly Iter[];
}

/** A contraction as a convolution over windows of so many taps in steps of one; null if it is none. */
export function convolutionOf(contraction: Contraction, taps: number, mostWindows: number): Convolution | null {
  const { left, right, summed } = contraction;
  const sides = sidesOf(contraction);
  if (sides.batch.length > 0) return null;
  const candidates = [
    { image: left, weight: right, places: sides.left, rows: sides.right },
    { image: right, weight: left, places: sides.right, rows: sides.left },
  ];
  for (const { image, weight, places, rows } of candidates) {
    const windows = windowsOf(image, places, summed, taps);
    const channels = summed.filter(iter => !windows.some(({ tap }) => tap === iter));
    const images = places.filter(iter => !windows.some(({ place }) => place === iter));
    const isFound = windows.length > 0 && windows.length <= mostWindows && rows.length === 1 && channels.length > 0;
    if (isFound) return { contraction, image, weight, windows, row: rows[0], images, channels };
  }
  return null;
}

/** None where the image reads any counters together otherwise. */
function windowsOf(image: Expr, places: readonly Iter[], summed: readonly Iter[], taps: number): Window[] {
  const together = coordinatesOf(image, [...places, ...summed]).filter(({ members }) => members.length > 1);
  const windows = together.map((coordinate): Window | null => {
    const place = coordinate.members.find(({ iter, factor }) => places.includes(iter) && factor === 1);
    const tap = coordinate.members.find(({ iter, factor }) => summed.includes(iter) && Math.abs(factor) === 1);
    if (coordinate.members.length !== 2 || !place || tap?.iter.extent !== taps) return null;
    return { place: place.iter, tap: tap.iter, isFlipped: tap.factor < 0, coordinate };
  });
  return windows.includes(null) ? [] : (windows as Window[]);
}
