/**
 * What the page trains on: half of each batch are drawings of the user, each time from another hand, half are digits of MNIST,
 * so that what is learned is not paid for with what was known.
 */
import { normalise, pixels } from '../lenet/image.js';
import { anotherHand, imageOf, type Stroke } from './strokes.js';

export const batchSize = 64;

interface Lesson {
  readonly strokes: readonly Stroke[];
  readonly digit: number;
}

export class Lessons {
  readonly #lessons: Lesson[] = [];
  readonly #known: Uint8Array;

  /** `known`: digits to keep in mind, each a byte for its class and 32x32 bytes of shades. */
  constructor(known: Uint8Array) {
    this.#known = known;
  }

  get count(): number {
    return this.#lessons.length;
  }

  add(strokes: readonly Stroke[], digit: number): void {
    this.#lessons.push({ strokes, digit });
  }

  /** Every second example is the user's, the newest one most often. */
  batch(): { x: Float32Array; y: Int32Array } {
    const x = new Float32Array(batchSize * pixels);
    const y = new Int32Array(batchSize);
    for (let i = 0; i < batchSize; i++) {
      const target = x.subarray(i * pixels, (i + 1) * pixels);
      y[i] = i % 2 === 0 && this.count > 0 ? this.#drawn(target) : this.#remembered(target);
    }
    return { x, y };
  }

  #drawn(image: Float32Array): number {
    const newest = Math.random() < 0.3;
    const lesson = this.#lessons[newest ? this.count - 1 : Math.floor(Math.random() * this.count)];
    image.set(imageOf(lesson.strokes, anotherHand()));
    return lesson.digit;
  }

  #remembered(image: Float32Array): number {
    const size = 1 + pixels;
    const start = size * Math.floor((Math.random() * this.#known.length) / size);
    for (let i = 0; i < pixels; i++) image[i] = normalise(this.#known[start + 1 + i] / 255);
    return this.#known[start];
  }
}
