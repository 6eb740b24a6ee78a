/**
 * How LeNet takes an image: 28x28 grey as MNIST has them, padded to 32x32 with black, normalised by the mean and deviation of
 * MNIST's training images. Nothing of a platform is used here, so pages and services share it with the training.
 */
export const side = 28;
export const padded = 32;
export const pixels = padded * padded;
export const margin = (padded - side) / 2;
const [mean, deviation] = [0.1307, 0.3081];

/** What the network takes for a shade from 0, black, to 1. */
export const normalise = (shade: number): number => (shade - mean) / deviation;
export const shadeOf = (value: number): number => value * deviation + mean;

const ofByte = Float32Array.from({ length: 256 }, (_, byte) => normalise(byte / 255));

/** Images of 28x28 bytes, one after the other, to as many of 32x32 numbers. */
export function fromBytes(
  bytes: Uint8Array,
  images = new Float32Array((bytes.length / side ** 2) * pixels),
): Float32Array {
  images.fill(ofByte[0]);
  for (let from = 0; from < bytes.length; ) {
    const [image, row] = [Math.floor(from / side ** 2), Math.floor(from / side) % side];
    let to = image * pixels + (row + margin) * padded + margin;
    for (let column = 0; column < side; column++) images[to++] = ofByte[bytes[from++]];
  }
  return images;
}
