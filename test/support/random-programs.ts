/**
 * Random programs over the op table: inputs, state, calls of ops on their samples with earlier values brought to the shape and
 * range the sample describes, results, updates of state, and gradients. One description runs eagerly and traced alike.
 */
import 'gradc';
import { isFloat } from '../../compiler/ir/dtype.js';
import { numel } from '../../compiler/ir/shape.js';
import { type Sample, SampleTensor } from '../../compiler/ops/samples.js';
import { gradOf, noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { graphOfSample } from './graphs.js';
import {
  elementsIn,
  generator,
  makeArguments,
  makeTensor,
  numbersIn,
  type TestedOp,
  tensorsIn,
  testedOps,
  withTensors,
} from './op-samples.js';

/** An argument of a step: a value by number, as it is or brought to what the sample describes. */
interface Source {
  readonly value: number;
  readonly as: SampleTensor | null;
}
export interface Step {
  readonly op: TestedOp;
  /** As the sample has them; tensors are replaced by `sources`, in order. */
  readonly args: readonly unknown[];
  readonly sources: readonly Source[];
  /** Which of the op's outputs is kept. */
  readonly output: number;
}
/** Values are numbered: inputs, then state, then the outputs of the steps. */
export interface RandomProgram {
  readonly inputs: readonly Tensor[];
  readonly state: readonly Tensor[];
  readonly steps: readonly Step[];
  readonly results: readonly number[];
  /** state[i] becomes value, brought to its shape, after everything else. */
  readonly updates: readonly { readonly state: number; readonly value: number }[];
  /** Also return the gradients of the results by the float inputs. */
  readonly gradient: boolean;
}

/** Run a program on tensors, eager or traced; `state` is changed in place. */
export function runSteps(program: RandomProgram, inputs: readonly Tensor[], state: readonly Tensor[]): Tensor[] {
  const leaves = program.gradient ? inputs.map(asLeaf) : inputs;
  const values = [...leaves, ...state];
  for (const step of program.steps) values.push(runStep(step, values));
  const results = program.results.map(i => values[i]);
  const gradients = program.gradient ? gradientsOf(results, leaves) : [];
  noGrad(() => {
    for (const update of program.updates)
      state[update.state].copy_(adapted(values[update.value], described(state[update.state])));
  });
  return [...results.map(result => result.detach()), ...gradients];
}

const asLeaf = (input: Tensor): Tensor => (isFloat(input.dtype) ? input.detach().clone().requiresGrad_() : input);

const runStep = ({ op, args, sources, output }: Step, values: readonly Tensor[]): Tensor =>
  tensorsIn(
    op.call(
      ...withTensors(
        args,
        sources.map(({ value, as }) => (as === null ? values[value] : adapted(values[value], as))),
      ),
    ),
  )[output];

function gradientsOf(results: readonly Tensor[], leaves: readonly Tensor[]): Tensor[] {
  const terms = results
    .filter(result => result.requiresGrad && isFloat(result.dtype))
    .map(result => result.mul(result).sum());
  if (terms.length === 0) return [];
  const floats = leaves.filter(leaf => leaf.requiresGrad);
  const total = terms.map(term => term.to('float32')).reduce((a, b) => a.add(b));
  return gradOf(total, floats, { allowUnused: true }).flatMap(gradient => gradient ?? []);
}

/** Any tensor as one of the shape, dtype and range described: sliced or repeated, then squeezed between low and high. */
function adapted(value: Tensor, as: SampleTensor): Tensor {
  const count = numel(as.shape);
  const dtype = as.dtype ?? 'float32';
  let flat = value.reshape([-1]);
  if (flat.numel() < count) {
    const times = Math.ceil(count / flat.numel());
    flat = flat.unsqueeze(0).expand([times, flat.numel()]).reshape([-1]);
  }
  const shaped = flat.slice(0, 0, count).reshape(as.shape).to(dtype);
  return as.low === as.high
    ? shaped
    : shaped
        .sigmoid()
        .mul(as.high - as.low)
        .add(as.low);
}

/** The type of a tensor alone, without a range. */
const described = (tensor: Tensor): SampleTensor => new SampleTensor(tensor.shape, 0, 0, tensor.dtype, null);

function describedIn(value: unknown): SampleTensor[] {
  if (value instanceof SampleTensor) return [value];
  if (Array.isArray(value)) return value.flatMap(describedIn);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return [];
  return Object.values(value).flatMap(describedIn);
}

// ── making them ────────────────────────────────────────────────────────────────────────────────────────────────────────

const largest = 2000;
const usable = new Map<Sample, boolean>();

/** Why no program can have an op; null where programs draw it. */
export function leftOut(op: TestedOp): string | null {
  if (!op.samples.some(sample => isUsable(op, sample))) return 'its result depends on values, so that no trace has it';
  const outputs = op.samples.flatMap((sample, i) =>
    tensorsIn(op.call(...makeArguments(sample.args, 'float32', `${i}`))),
  );
  return outputs.every(isHalf) ? 'its result is of half precision' : null;
}

/** Can a sample's call be traced? What depends on values cannot. */
function isUsable(op: TestedOp, sample: Sample): boolean {
  const known = usable.get(sample) ?? (op.samples.length > 0 && graphOfSample(op, sample) !== null);
  usable.set(sample, known);
  return known;
}

export function randomProgram(seed: number): RandomProgram {
  return new Generator(seed).program();
}

class Generator {
  readonly #random: () => number;
  readonly #inputs: Tensor[] = [];
  readonly #state: Tensor[];
  readonly #steps: Step[] = [];
  /** Eager values of the steps so far, to choose the next by. */
  readonly #values: Tensor[] = [];

  constructor(readonly seed: number) {
    this.#random = generator(`program ${seed}`);
    this.#state = Array.from({ length: this.#pick(3) }, (_, i) => this.#fresh([[3], [2, 3], [4, 1]][i]));
  }

  program(): RandomProgram {
    const length = 2 + this.#pick(7);
    for (let tries = 0; this.#steps.length < length && tries < 60; tries++) this.#tryStep(tries);
    const steps = this.#steps.map((_, i) => this.#stepValue(i));
    const results = steps.filter((_, i) => i === steps.length - 1 || this.#random() < 0.25);
    const all = this.#inputs.length + this.#state.length + steps.length;
    const updates = this.#state.flatMap((_, state) =>
      this.#random() < 0.7 ? [{ state, value: this.#floatValue(all) }] : [],
    );
    return this.#numbered({ results, updates, gradient: this.#random() < 0.4 });
  }

  #pick = (count: number): number => Math.floor(this.#random() * count);
  #fresh = (shape: readonly number[]): Tensor =>
    makeTensor(
      'float32',
      shape,
      Array.from({ length: numel(shape) }, () => Math.fround(this.#random() * 4 - 2)),
    );

  // while the program grows, inputs are -1, -2, … , state and steps count up from 0
  #stepValue = (i: number): number => this.#state.length + i;

  /** Any op; for the first step, so many programs in a row as there are ops draw each of them. */
  #draw(tries: number): TestedOp {
    const isDue = this.#steps.length === 0 && tries < 10;
    return testedOps[isDue ? this.seed % testedOps.length : this.#pick(testedOps.length)];
  }

  #tryStep(tries: number): void {
    const op = this.#draw(tries);
    if (op.samples.length === 0) return;
    const sample = op.samples[this.#pick(op.samples.length)];
    if (!isUsable(op, sample)) return;
    const args = makeArguments(sample.args, 'float32', `${this.seed}/${tries}`);
    const inputsBefore = this.#inputs.length;
    const sources = tensorsIn(args).map((tensor, i) => this.#source(tensor, describedIn(sample.args)[i], sample));
    const call = (): Tensor[] =>
      tensorsIn(
        op.call(
          ...withTensors(
            args,
            sources.map(({ value, as }) => (as === null ? this.#at(value) : adapted(this.#at(value), as))),
          ),
        ),
      );
    const outputs = attempt(call);
    const again = attempt(call);
    const output = this.#pick(outputs?.length ?? 0);
    if (!outputs || !again || !isGood(outputs[output]) || !sameElements(outputs[output], again[output])) {
      this.#inputs.length = inputsBefore;
      return;
    }
    this.#steps.push({ op, args, sources, output });
    this.#values.push(outputs[output]);
  }

  #at = (value: number): Tensor =>
    value < 0
      ? this.#inputs[-value - 1]
      : value < this.#state.length
        ? this.#state[value]
        : this.#values[value - this.#state.length];

  /** An earlier value where the sample lets it vary, else a new input. Steps need exact arguments where they jump. */
  #source(tensor: Tensor, as: SampleTensor, sample: Sample): Source {
    const varies = as.values === null && isFloat(tensor.dtype) && sample.gradient !== false;
    const earlier = this.#state.length + this.#values.length;
    if (varies && earlier > 0 && this.#random() < 0.75) {
      const value = this.#pick(earlier);
      if (this.#at(value).numel() > 0 && tensor.numel() > 0)
        return { value, as: new SampleTensor(as.shape, as.low, as.high, tensor.dtype, null) };
    }
    this.#inputs.push(tensor);
    return { value: -this.#inputs.length, as: null };
  }

  #floatValue(count: number): number {
    const value = this.#pick(count - this.#inputs.length);
    return this.#at(value).numel() > 0 ? value : 0;
  }

  /** Inputs first in the numbering. */
  #numbered({ results, updates, gradient }: Pick<RandomProgram, 'results' | 'updates' | 'gradient'>): RandomProgram {
    const number = (value: number): number => (value < 0 ? -value - 1 : value + this.#inputs.length);
    return {
      inputs: this.#inputs,
      state: this.#state,
      steps: this.#steps.map(step => ({
        ...step,
        sources: step.sources.map(({ value, as }) => ({ value: number(value), as })),
      })),
      results: results.map(number),
      updates: updates.map(({ state, value }) => ({ state, value: number(value) })),
      gradient,
    };
  }
}

function attempt<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}

const isHalf = ({ dtype }: Tensor): boolean => dtype === 'float16' || dtype === 'bfloat16';

/** Half precision is left out: eager rounds every value to it, a kernel only what it writes. */
const isGood = (tensor: Tensor | undefined): boolean =>
  tensor !== undefined && tensor.numel() > 0 && tensor.numel() <= largest && !isHalf(tensor);
const sameElements = (a: Tensor, b: Tensor): boolean => {
  const other = elementsIn(b);
  return elementsIn(a).every((element, i) => Object.is(element, other[i]));
};

// ── making them smaller ────────────────────────────────────────────────────────────────────────────────────────────────

/** A smaller program that still fails: fewer results, updates and steps; a step that is cut becomes an input. */
export function shrink(program: RandomProgram, fails: (candidate: RandomProgram) => boolean): RandomProgram {
  for (;;) {
    const smaller = candidates(program)
      .map(pruned)
      .find(candidate => sizeOf(candidate) < sizeOf(program) && fails(candidate));
    if (smaller === undefined) return program;
    program = smaller;
  }
}

const sizeOf = ({ inputs, state, steps, results, updates, gradient }: RandomProgram): number =>
  steps.length * 10 + results.length * 3 + updates.length * 3 + inputs.length + state.length + (gradient ? 2 : 0);

function candidates(program: RandomProgram): RandomProgram[] {
  const { inputs, state, results, updates, steps } = program;
  return [
    ...steps.map((_, i) => ({ ...program, results: [inputs.length + state.length + i], updates: [], gradient: false })),
    ...results.map(kept => ({ ...program, results: [kept], updates: [], gradient: false })),
    ...results.map(kept => ({ ...program, results: [kept] })),
    ...updates.map(kept => ({ ...program, results: [], updates: [kept], gradient: false })),
    ...updates.map(dropped => ({ ...program, updates: updates.filter(update => update !== dropped) })),
    ...(program.gradient ? [{ ...program, gradient: false }] : []),
    ...steps.flatMap((_, i) => attempt(() => cut(program, i)) ?? []),
  ];
}

/** The program with the output of one step given as an input. */
function cut(program: RandomProgram, i: number): RandomProgram {
  const state = program.state.map(tensor => tensor.clone());
  const values = [...program.inputs, ...state];
  for (const step of program.steps.slice(0, i + 1)) values.push(runStep(step, values));
  const first = program.inputs.length;
  const cutValue = first + program.state.length + i;
  const value = values[cutValue];
  const input = makeTensor(value.dtype, value.shape, numbersIn(value));
  const number = (old: number): number =>
    old === cutValue ? first : old < first ? old : old < cutValue ? old + 1 : old;
  return renumbered(
    { ...program, inputs: [...program.inputs, input], steps: program.steps.filter((_, k) => k !== i) },
    number,
  );
}

function renumbered(program: RandomProgram, number: (value: number) => number): RandomProgram {
  return {
    ...program,
    steps: program.steps.map(step => ({
      ...step,
      sources: step.sources.map(({ value, as }) => ({ value: number(value), as })),
    })),
    results: program.results.map(number),
    updates: program.updates.map(({ state, value }) => ({ state, value: number(value) })),
  };
}

/** Without steps and inputs that nothing uses. */
function pruned(program: RandomProgram): RandomProgram {
  const used = new Set([...program.results, ...program.updates.map(update => update.value)]);
  const firstStep = program.inputs.length + program.state.length;
  for (let i = program.steps.length - 1; i >= 0; i--) {
    if (used.has(firstStep + i)) for (const { value } of program.steps[i].sources) used.add(value);
  }
  const isState = (value: number): boolean => value >= program.inputs.length && value < firstStep;
  const kept = Array.from({ length: firstStep + program.steps.length }, (_, value) => value).filter(
    value => isState(value) || used.has(value),
  );
  const smaller = {
    ...program,
    inputs: program.inputs.filter((_, i) => used.has(i)),
    steps: program.steps.filter((_, i) => used.has(firstStep + i)),
  };
  return renumbered(smaller, value => kept.indexOf(value));
}

/** A program as text, for the report of a failure. */
export function describeProgram({ inputs, state, steps, results, updates, gradient }: RandomProgram): string {
  const lines = [
    ...inputs.map(
      (tensor, i) => `v${i} = input ${tensor.dtype}[${tensor.shape}] ${JSON.stringify(numbersIn(tensor).slice(0, 12))}`,
    ),
  ];
  lines.push(...state.map((tensor, i) => `v${inputs.length + i} = state ${tensor.dtype}[${tensor.shape}]`));
  const first = inputs.length + state.length;
  for (const [i, { op, args, sources, output }] of steps.entries()) {
    const tensors = sources.map(({ value, as }) =>
      as === null ? `v${value}` : `v${value} as ${as.dtype}[${as.shape}] in [${as.low}, ${as.high})`,
    );
    const rest = args.filter(arg => tensorsIn(arg).length === 0).map(arg => JSON.stringify(arg));
    lines.push(`v${first + i} = ${op.name}(${[...tensors, ...rest].join(', ')})${output > 0 ? `[${output}]` : ''}`);
  }
  lines.push(
    ...updates.map(update => `v${inputs.length + update.state} <- v${update.value}`),
    `return ${results.map(i => `v${i}`).join(', ')}${gradient ? ' and gradients' : ''}`,
  );
  return lines.join('\n');
}
