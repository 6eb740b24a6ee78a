/**
 * The workloads' numbers against PyTorch's: outputs, gradients, losses and parameters after training steps, recorded in one
 * npz file for each workload. Its keys: `out`, `grad/<parameter>`, `losses3`, `post1/<parameter>`, `post3/<parameter>`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadNpz, type ModelDefinition, nn, type Tensor, type TypedArray } from 'gradc';
import { CompiledWorkload, type Inputs } from './compiled.js';
import type { Workload } from './workloads.js';

/** How far one tensor or group of tensors is from PyTorch's: the largest difference over the largest element. */
export interface Agreement {
  readonly workload: string;
  readonly what: string;
  /** Where the difference is largest. */
  readonly tensor: string;
  readonly relative: number;
  readonly agrees: boolean;
}

/** float32 sums of a few thousand terms in another order, through up to fifty layers and back. */
const tolerance = 1e-4;
/**
 * Optimizers that divide by the gradient's size move every weight by about the learning rate, also where the gradient is
 * rounding noise about zero: parameters are held to the part of their largest element that three such steps are.
 */
const stateTolerance = 2e-2;

export function compareWithCases(folder: string, workload: Workload, inputs: Inputs): Agreement[] {
  const file = readdirSync(folder).find(name => name.endsWith(`${workload.name}.npz`));
  if (file === undefined) throw new Error(`there is no case of ${workload.name} in ${folder}`);
  const recorded = loadNpz(readFileSync(join(folder, file)));
  const compiled = new CompiledWorkload({ ...workload, definition: withGradients(workload.definition) });
  const model = compiled.model({ relaxed: false });
  const call = (): Record<string, TypedArray | number> => model[workload.entry](inputs);
  const agreement = (what: string, pairs: readonly Pair[], limit = tolerance): Agreement => ({
    workload: workload.name,
    what,
    ...farthest(pairs, limit),
  });
  const first = call();
  if (recorded.losses3 === undefined) return [agreement('output', [['out', Object.values(first)[0], recorded.out]])];
  const state = (step: number): Agreement =>
    agreement(
      `parameters after ${step} steps`,
      under(recorded, `post${step}/`).map(([name, expected]) => [name, model.state[`net.${name}`], expected]),
      stateTolerance,
    );
  const gradients = under(recorded, 'grad/').map(([name, expected]): Pair => [name, first[name], expected]);
  const after1 = state(1);
  const losses = Float64Array.of(first.loss as number, call().loss as number, call().loss as number);
  return [
    agreement('losses of 3 steps', [['loss', losses, recorded.losses3]]),
    agreement('gradients', gradients),
    after1,
    state(3),
  ];
}

type Pair = readonly [name: string, actual: TypedArray | number, expected: Tensor];

const under = (recorded: Readonly<Record<string, Tensor>>, prefix: string): [string, Tensor][] =>
  Object.entries(recorded).flatMap(([key, tensor]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), tensor]] : [],
  );

function farthest(pairs: readonly Pair[], limit: number): Pick<Agreement, 'tensor' | 'relative' | 'agrees'> {
  const differences = pairs.map(([tensor, actual, expected]) => ({
    tensor,
    relative: relativeDifference(actual as TypedArray, expected.toTypedArray()),
  }));
  const largest = differences.reduce((worst, each) => (each.relative <= worst.relative ? worst : each));
  return { ...largest, agrees: largest.relative <= limit };
}

function relativeDifference(actual: TypedArray, expected: TypedArray): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const apart = Math.abs(Number(actual[i]) - Number(expected[i]));
    if (!(apart <= difference)) difference = apart;
    scale = Math.max(scale, Math.abs(Number(expected[i])));
  }
  return difference / scale;
}

/** Entries also return the gradients they leave in the parameters of `net`, by the parameters' names. */
export function withGradients(definition: ModelDefinition): ModelDefinition {
  const build = (): ReturnType<ModelDefinition['build']> => {
    const { state, entries } = definition.build();
    const parameters = state.net instanceof nn.Module ? [...state.net.namedParameters()] : [];
    const returning = Object.entries(entries).map(([name, { inputs, run }]) => {
      const withGrads = (given: Readonly<Record<string, Tensor>>): Record<string, Tensor> => {
        const outputs = run(given);
        const grads = parameters.flatMap(([path, { grad }]) => (grad === null ? [] : [[path, grad] as const]));
        return { ...outputs, ...Object.fromEntries(grads) };
      };
      return [name, { inputs, run: withGrads }] as const;
    });
    return { state, entries: Object.fromEntries(returning) };
  };
  return { ...definition, build };
}
