/**
 * Random programs: entries over one state, each of steps that compute a value from earlier ones. One description runs eagerly
 * and traced alike.
 */
import { zeros } from 'gradc';
import { isFloat } from '../../../compiler/ir/dtype.js';
import { numel } from '../../../compiler/ir/shape.js';
import { gradOf } from '../../../compiler/ops/backward.js';
import { SampleTensor } from '../../../compiler/ops/samples.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';

/** An earlier value by number, as it is or brought to what is described. */
export interface Source {
  readonly value: number;
  readonly as: SampleTensor | null;
}

/** What a step does with its sources, given its bodies as functions. */
export interface Kind {
  readonly name: string;
  run(given: readonly Tensor[], bodies: readonly Body[]): Tensor;
  /** In words, given names of the sources. */
  text(given: readonly string[]): string;
  /** It changes state in place. */
  readonly writes?: boolean;
}
export type Body = (given: readonly Tensor[]) => Tensor[];

export interface Step {
  readonly kind: Kind;
  readonly sources: readonly Source[];
  /** What runs inside, on values of its own. */
  readonly bodies: readonly Block[];
}

/** Values are numbered: what the block is given, then one of each step. */
export interface Block {
  readonly given: number;
  readonly steps: readonly Step[];
  readonly results: readonly number[];
}

/** What an entry is given: the state, then its inputs. */
export interface RandomEntry extends Block {
  readonly inputs: readonly Tensor[];
  /** state[i] becomes value, brought to its shape, after everything else. */
  readonly updates: readonly { readonly state: number; readonly value: number }[];
  /** Also return the gradients of the results by the float inputs, and of those gradients. */
  readonly derivatives: 0 | 1 | 2;
}

export interface RandomProgram {
  readonly state: readonly Tensor[];
  readonly entries: readonly RandomEntry[];
}

/** Sees every value that a step makes or is given in another form, and may put another in its place. */
export type Touch = (value: Tensor) => Tensor;
const untouched: Touch = value => value;

/** Run an entry on tensors, eager or traced; `state` is changed in place. */
export function runEntry(
  entry: RandomEntry,
  inputs: readonly Tensor[],
  state: readonly Tensor[],
  touch: Touch = untouched,
): Tensor[] {
  const leaves = entry.derivatives > 0 ? inputs.map(asLeaf) : inputs;
  const values = valuesIn(entry, [...state, ...leaves], touch);
  const results = entry.results.map(i => values[i]);
  const first = entry.derivatives > 0 ? gradients(results, leaves, entry.derivatives > 1) : [];
  const second = entry.derivatives > 1 ? gradients(first, leaves, false) : [];
  noGrad(() => {
    for (const update of entry.updates)
      state[update.state].copy_(adapted(values[update.value], described(state[update.state])));
  });
  return [...results, ...first, ...second].map(result => result.detach());
}

function valuesIn(block: Block, given: readonly Tensor[], touch: Touch): Tensor[] {
  const values = given.slice(0, block.given);
  for (const step of block.steps) values.push(touch(runStep(step, i => values[i], touch)));
  return values;
}

export function runStep(
  { kind, sources, bodies }: Step,
  at: (value: number) => Tensor,
  touch: Touch = untouched,
): Tensor {
  const given = sources.map(({ value, as }) => (as === null ? at(value) : adapted(at(value), as, touch)));
  const asFunction =
    (body: Block): Body =>
    inner => {
      const values = valuesIn(body, inner, touch);
      return body.results.map(i => values[i]);
    };
  return kind.run(given, bodies.map(asFunction));
}

const asLeaf = (input: Tensor): Tensor => (isFloat(input.dtype) ? input.detach().clone().requiresGrad_() : input);

/** The gradients of the sum of squares of all that has one; zeros where nothing depends on a leaf, as a loop may not know. */
function gradients(of: readonly Tensor[], leaves: readonly Tensor[], createGraph: boolean): Tensor[] {
  const floats = leaves.filter(leaf => leaf.requiresGrad);
  const terms = of.filter(({ requiresGrad }) => requiresGrad);
  if (terms.length === 0) return floats.map(leaf => leaf.zerosLike());
  const found = gradOf(sumOfSquares(terms), floats, { allowUnused: true, createGraph });
  return found.map((gradient, i) => gradient ?? floats[i].zerosLike());
}

export const sumOfSquares = (tensors: readonly Tensor[]): Tensor =>
  tensors.map(tensor => tensor.mul(tensor).sum().to('float32')).reduce((a, b) => a.add(b));

/** Any tensor as one of the shape, dtype and range described: sliced or repeated, then brought between low and high. */
export function adapted(value: Tensor, as: SampleTensor, touch: Touch = untouched): Tensor {
  const dtype = as.dtype ?? 'float32';
  const shaped = touch(resized(value, as.shape).to(dtype));
  if (as.low === as.high || dtype === 'bool') return shaped;
  if (!isFloat(dtype))
    return shaped
      .remainder(Math.ceil(as.high) - Math.floor(as.low))
      .add(Math.floor(as.low))
      .to(dtype);
  return shaped
    .sigmoid()
    .mul(as.high - as.low)
    .add(as.low);
}

function resized(value: Tensor, shape: readonly number[]): Tensor {
  const count = numel(shape);
  if (value.numel() === 0 && count > 0) return zeros(shape, { dtype: value.dtype });
  let flat = value.reshape([-1]);
  if (flat.numel() < count) {
    const times = Math.ceil(count / flat.numel());
    flat = flat.unsqueeze(0).expand([times, flat.numel()]).reshape([-1]);
  }
  return flat.slice(0, 0, count).reshape(shape);
}

/** The type of a tensor alone, without a range. */
export const described = ({ shape, dtype }: Tensor): SampleTensor => new SampleTensor(shape, 0, 0, dtype, null);

/** The type of a tensor with a range in which steps may be repeated and numbers do not grow. */
export const bounded = ({ shape, dtype }: Pick<Tensor, 'shape' | 'dtype'>): SampleTensor =>
  isFloat(dtype) ? new SampleTensor(shape, -1, 1, dtype, null) : new SampleTensor(shape, -20, 20, dtype, null);

/** All steps, also those inside others. */
export const allSteps = ({ steps }: Pick<Block, 'steps'>): Step[] =>
  steps.flatMap(step => [step, ...step.bodies.flatMap(allSteps)]);

/** Whether a step changes state, or one inside it does. */
export const writes = (step: Step): boolean => allSteps({ steps: [step] }).some(({ kind }) => kind.writes ?? false);
