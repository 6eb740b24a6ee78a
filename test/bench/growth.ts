/**
 * `npm run bench -- --growth`: what a process holds after many calls of LeNet more than before them. The memory of a compiled
 * model is fixed; what is left is the JavaScript around it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { defineModel, entry, input, int64, manualSeed, optim } from 'gradc';
import * as F from 'gradc/functional';
import { LeNet } from '../../examples/lenet/lenet.model.js';
import { CompiledWorkload, type Inputs } from './compiled.js';
import { floats } from './data.js';

export interface Growth {
  readonly entry: string;
  readonly calls: number;
  /** Of JavaScript's heap and of array buffers, after collecting what is not used. */
  readonly heapBytes: number;
  readonly bufferBytes: number;
  /** Of linear memory. */
  readonly modelBytes: number;
}

/** One image to a step, so that many steps are no long wait. */
const lenet = (wanted: string) =>
  defineModel('lenet', () => {
    manualSeed(0);
    const net = new LeNet();
    const opt = new optim.SGD(net.parameters(), { lr: 0.01, momentum: 0.9 });
    const image = input([1, 1, 32, 32]);
    const entries = {
      predict: entry({ x: image }, ({ x }) => ({ logits: net.forward(x) })),
      trainStep: entry({ x: image, y: input([1], int64) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(net.forward(x), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
    };
    return { state: { net, opt }, entries: { [wanted]: entries[wanted as keyof typeof entries] } };
  });

export const measureGrowth = (calls: number): Growth[] => ['predict', 'trainStep'].map(name => growthOf(name, calls));

/** After as many calls again for the engine to settle: it compiles, and keeps what it learns. */
function growthOf(name: string, calls: number): Growth {
  const x = floats('lenet/x', 1024);
  const inputs: Inputs = name === 'predict' ? { x } : { x, y: BigInt64Array.of(3n) };
  const model = new CompiledWorkload({
    name,
    definition: lenet(name),
    entry: name,
    inputs: () => inputs,
  }).model({ relaxed: false });
  const modelBytes = (): number => Object.values(model.state)[0].buffer.byteLength;
  const run = (): void => {
    for (let i = 0; i < calls; i++) model[name](inputs);
  };
  run();
  const before = { ...held(), model: modelBytes() };
  run();
  const after = { ...held(), model: modelBytes() };
  return {
    entry: name,
    calls,
    heapBytes: after.heapUsed - before.heapUsed,
    bufferBytes: after.arrayBuffers - before.arrayBuffers,
    modelBytes: after.model - before.model,
  };
}

/** What is in use once everything that is not has been collected. */
function held(): NodeJS.MemoryUsage {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage();
}
