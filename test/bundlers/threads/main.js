/** Trains a model on one thread and on two, and keeps what came of it. */
import { load } from '../../../examples/lenet/lenet.model.ts?compiled';

const x = Float32Array.from({ length: 64 * 1024 }, (_, i) => Math.sin(i));
const y = BigInt64Array.from({ length: 64 }, (_, i) => BigInt(i % 10));
const models = [await load(), await load({ threads: 2 })];
const losses = models.map(model => [0, 1, 2].map(() => model.trainStep({ x, y }).loss));
const states = models.map(model => model.saveState().join());
globalThis.answer = { threads: models.map(model => model.threads), losses, equal: states[0] === states[1] };
for (const model of models) model.dispose();
