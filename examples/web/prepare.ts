/**
 * What the page is given besides the model: a trained state and some digits to keep in mind. The state is that of `npm start`
 * where it has run; otherwise the compiled model is trained for one epoch here, which takes a few seconds.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildArtifact } from 'gradc/compiler';
import { instantiate } from 'gradc/deploy';
import { pixels, shadeOf } from '../lenet/image.js';
import { emptyBatch, fillBatch, shuffledOrder, trainingDigits } from '../lenet/mnist.js';

const batchSize = 64;
const remembered = 300;

/** Write the files into a folder where they are missing. */
export async function prepare(folder: string, modelFile: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const [state, digits] = ['lenet.trained.safetensors', 'lenet.digits.bin'].map(name => join(folder, name));
  if (!existsSync(state)) writeFileSync(state, await trainedState(modelFile));
  if (!existsSync(digits)) writeFileSync(digits, someDigits());
}

async function trainedState(modelFile: string): Promise<Uint8Array> {
  const { files } = await buildArtifact(modelFile, { checkTypes: false });
  const file = (suffix: string): Uint8Array<ArrayBuffer> => new Uint8Array(files.get(`lenet.${suffix}`) as Uint8Array);
  const manifest = JSON.parse(files.get('lenet.manifest.json') as string);
  const lenet = instantiate(new WebAssembly.Module(file('wasm')), manifest, file('safetensors'));
  const digits = trainingDigits();
  const order = shuffledOrder(digits.count, 0);
  const batch = emptyBatch(batchSize);
  for (let start = 0; start + batchSize <= digits.count; start += batchSize)
    lenet.trainStep({ ...fillBatch(batch, digits, order, start) });
  return lenet.saveState();
}

/** Each a byte for its class and one for every pixel. */
function someDigits(): Uint8Array {
  const { images, labels } = trainingDigits();
  const file = new Uint8Array(remembered * (1 + pixels));
  for (let i = 0; i < remembered; i++) {
    const image = images.subarray(i * pixels, (i + 1) * pixels);
    file.set([labels[i], ...Array.from(image, value => Math.round(255 * shadeOf(value)))], i * (1 + pixels));
  }
  return file;
}
