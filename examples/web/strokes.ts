/**
 * Drawings as lines, and how they become images as MNIST has them: the figure fitted into a box of 20 pixels, its ink centred
 * in 28, lines about two and a half pixels wide. Ink falls off with the distance to the line, so no canvas is needed.
 */
import { margin, normalise, padded, pixels } from '../lenet/image.js';

export type Point = readonly [x: number, y: number];
/** Each from pen down to pen up. */
export type Stroke = readonly Point[];

const box = 18;
const radius = 1.2;

type Segment = readonly [from: Point, to: Point];
type Map = (point: Point) => Point;

/** A single touch is a segment too. */
const segmentsOf = (strokes: readonly Stroke[]): Segment[] =>
  strokes.flatMap(stroke => stroke.map((point, i): Segment => [stroke[Math.max(0, i - 1)], point]));

/** Fit into the box, with the ink's centre of mass in the middle. */
function fitted(segments: readonly Segment[]): Segment[] {
  const points = segments.flat();
  const extent = ([0, 1] as const).map(axis => {
    const values = points.map(point => point[axis]);
    return Math.max(...values) - Math.min(...values);
  });
  const scale = box / Math.max(...extent, 1e-6);
  const weights = segments.map(([a, b]) => Math.hypot(b[0] - a[0], b[1] - a[1]) + 1e-6);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const centre = ([0, 1] as const).map(
    axis => segments.reduce((sum, [a, b], i) => sum + (weights[i] * (a[axis] + b[axis])) / 2, 0) / total,
  );
  return mapped(segments, ([x, y]) => [(x - centre[0]) * scale, (y - centre[1]) * scale]);
}

const mapped = (segments: readonly Segment[], map: Map): Segment[] => segments.map(([a, b]) => [map(a), map(b)]);

function distance(x: number, y: number, [[ax, ay], [bx, by]]: Segment): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** The image of a drawing as the network takes it; `change` acts on it around its centre, in pixels. */
export function imageOf(strokes: readonly Stroke[], change: Map = point => point): Float32Array {
  const segments = mapped(fitted(segmentsOf(strokes)), change);
  const image = new Float32Array(pixels).fill(normalise(0));
  for (let row = margin; row < padded - margin; row++) {
    for (let column = margin; column < padded - margin; column++) {
      const [x, y] = [column + 0.5 - padded / 2, row + 0.5 - padded / 2];
      const nearest = segments.reduce((least, segment) => Math.min(least, distance(x, y, segment)), Infinity);
      image[row * padded + column] = normalise(Math.min(1, Math.max(0, radius + 0.5 - nearest)));
    }
  }
  return image;
}

/** A small random turn, slant, stretch and shift: the same figure from another hand. */
export function anotherHand(): Map {
  const between = (low: number, high: number): number => low + (high - low) * Math.random();
  const [turn, slant] = [between(-0.2, 0.2), between(-0.15, 0.15)];
  const [width, height] = [between(0.85, 1.1), between(0.85, 1.1)];
  const [right, down] = [between(-1.5, 1.5), between(-1.5, 1.5)];
  const [sin, cos] = [Math.sin(turn), Math.cos(turn)];
  return ([x, y]) => {
    const [sx, sy] = [width * (x + slant * y), height * y];
    return [cos * sx - sin * sy + right, sin * sx + cos * sy + down];
  };
}
