/**
 * The main job, end to end: compile LeNet with its training step, train it on MNIST with the compiled step, test it with the
 * compiled `predict`, replay the first steps eagerly to see that both are the same program, and write a report.
 *
 * Run by `npm start` from the root of the package. Exits with 1 where the accuracy or the agreement is not reached.
 */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fromTypedArray } from 'gradc';
import { type BuiltArtifact, buildArtifact, compareModel, gzipSize, writeFiles } from 'gradc/compiler';
import type { Model } from 'gradc/deploy';
import { pixels } from './image.js';
import { type Batch, type Digits, emptyBatch, fillBatch, shuffledOrder, testDigits, trainingDigits } from './mnist.js';
import { Progress } from './progress.js';
import { type Report, reportPage } from './report.js';

const modelFile = 'examples/lenet/lenet.model.ts';
const out = 'dist/lenet';
const batchSize = 64;
const epochs = 3;
const replaySteps = 50;
const compareSteps = 5;
const wantedAccuracy = 0.985;
const wantedAgreement = 1e-4;

const seconds = (since: number): number => (performance.now() - since) / 1000;

async function main(): Promise<boolean> {
  const start = performance.now();
  const built = await buildArtifact(modelFile, { targets: ['wasm', 'cuda'] });
  writeFiles(out, built.files);
  console.log(`built ${out} for wasm and cuda in ${seconds(start).toFixed(1)} s`);

  const digits = trainingDigits();
  const lenet = await loadArtifact();
  const training = train(lenet, digits);
  writeFileSync(join(out, 'lenet.trained.safetensors'), lenet.saveState());
  const test = evaluate(lenet, testDigits());
  const replay = replayEagerly(built, digits, training.losses);
  const batchOf = firstBatches(digits);
  const comparison = await compareModel(built.definition, {
    steps: compareSteps,
    inputs: (entry, step) =>
      entry === 'trainStep' ? batchOf(step) : { x: digits.images.slice(step * pixels, (step + 1) * pixels) },
  });

  const report: Report = {
    schemaVersion: 1,
    model: built.traced.name,
    node: process.version,
    accuracy: { correct: test.correct, images: test.images, part: test.correct / test.images },
    training: { epochs, batch: batchSize, steps: training.losses.length },
    secondsPerEpoch: {
      compiled: training.seconds / epochs,
      eager: (replay.milliseconds / 1000) * (training.losses.length / epochs),
    },
    milliseconds: {
      trainStep: { compiled: (1000 * training.seconds) / training.losses.length, eager: replay.milliseconds },
      predict: { compiled: test.milliseconds },
    },
    replay: {
      steps: replaySteps,
      largestRelativeDifference: replay.largest,
      compiled: training.losses.slice(0, replaySteps),
      eager: replay.losses,
    },
    differences: comparison.differences,
    files: [...built.files].map(([path, content]) => ({
      path,
      bytes: Buffer.byteLength(content),
      gzip: gzipSize(content),
    })),
  };
  writeFileSync(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(
    join(out, 'report.html'),
    reportPage(report, { built, losses: training.losses, confusion: test.confusion }),
  );
  console.log(`wrote ${out}/report.json and ${out}/report.html; ${seconds(start).toFixed(1)} s in all`);
  return checked(report, comparison.agrees);
}

/** The artifact as its users load it: nothing of the compiler takes part from here on. */
async function loadArtifact(): Promise<Model> {
  const { load } = await import(pathToFileURL(resolve(out, 'lenet.js')).href);
  return load();
}

/** The batches of the first epoch, as training sees them; each in memory of its own. */
function firstBatches(digits: Digits): (step: number) => Batch {
  const order = shuffledOrder(digits.count, 0);
  return step => fillBatch(emptyBatch(batchSize), digits, order, step * batchSize);
}

function train(lenet: Model, digits: Digits): { losses: number[]; seconds: number } {
  const start = performance.now();
  const losses: number[] = [];
  const batch = emptyBatch(batchSize);
  const steps = Math.floor(digits.count / batchSize);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const epochStart = performance.now();
    const order = shuffledOrder(digits.count, epoch);
    const progress = new Progress(`epoch ${epoch + 1}/${epochs}`, steps);
    let sum = 0;
    for (let step = 0; step < steps; step++) {
      const { loss } = lenet.trainStep({ ...fillBatch(batch, digits, order, step * batchSize) });
      losses.push(loss as number);
      sum += loss as number;
      progress.at(step + 1, () => `loss ${(sum / (step + 1)).toFixed(4)}`);
    }
    progress.end(`mean loss ${(sum / steps).toFixed(4)}, ${seconds(epochStart).toFixed(1)} s`);
  }
  return { losses, seconds: seconds(start) };
}

interface Test {
  readonly correct: number;
  readonly images: number;
  readonly milliseconds: number;
  readonly confusion: number[][];
}

function evaluate(lenet: Model, { count, images, labels }: Digits): Test {
  const progress = new Progress('test', count);
  const confusion = Array.from({ length: 10 }, () => new Array<number>(10).fill(0));
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const { logits } = lenet.predict({ x: images.subarray(i * pixels, (i + 1) * pixels) }, { copy: false });
    confusion[labels[i]][largest(logits as Float32Array)]++;
    progress.at(i + 1, () => '');
  }
  const milliseconds = (performance.now() - start) / count;
  const correct = confusion.reduce((sum, row, digit) => sum + row[digit], 0);
  progress.end(
    `${correct} of ${count} digits right: ${((100 * correct) / count).toFixed(2)} %, ${milliseconds.toFixed(3)} ms each`,
  );
  return { correct, images: count, milliseconds, confusion };
}

const largest = (logits: Float32Array): number =>
  logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);

/** The first training steps again, by the model as it was before tracing, op by op. */
function replayEagerly(
  { traced }: BuiltArtifact,
  digits: Digits,
  compiled: readonly number[],
): { losses: number[]; milliseconds: number; largest: number } {
  const progress = new Progress('eager replay', replaySteps);
  const { trainStep } = traced.parts.entries;
  const batchOf = firstBatches(digits);
  const losses: number[] = [];
  const times: number[] = [];
  for (let step = 0; step < replaySteps; step++) {
    const { x, y } = batchOf(step);
    const start = performance.now();
    const { loss } = trainStep.run({ x: fromTypedArray(x, [batchSize, 1, 32, 32]), y: fromTypedArray(y) });
    losses.push(loss.item());
    times.push(performance.now() - start);
    progress.at(step + 1, () => '');
  }
  const differences = losses.map((loss, i) => Math.abs(loss - compiled[i]) / Math.abs(loss));
  const milliseconds = times.sort((a, b) => a - b)[replaySteps >> 1];
  progress.end(
    `${replaySteps} losses agree within ${Math.max(...differences).toExponential(1)} relative, ${milliseconds.toFixed(1)} ms a step`,
  );
  return { losses, milliseconds, largest: Math.max(...differences) };
}

function checked({ accuracy, replay }: Report, agrees: boolean): boolean {
  const failures = [
    accuracy.part < wantedAccuracy && `the accuracy is below ${wantedAccuracy}`,
    !(replay.largestRelativeDifference <= wantedAgreement) &&
      `eager and compiled losses differ by more than ${wantedAgreement}`,
    !agrees && 'eager and compiled tensors differ: see report.json',
  ].filter(Boolean);
  for (const failure of failures) console.error(failure);
  return failures.length === 0;
}

process.exitCode = (await main()) ? 0 : 1;
