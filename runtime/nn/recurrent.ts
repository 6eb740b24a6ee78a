/**
 * Recurrent layers: the inputs' share of the gates is one product for all steps, the rest a `scan` over them, compiled to a
 * loop whose code does not grow with the sequence. Elman (1990); Hochreiter and Schmidhuber, "Long short-term memory" (1997);
 * Cho et al., "Learning phrase representations" (2014), for GRU.
 */
import { scan } from '../../compiler/autodiff/control/scan.js';
import { fail } from '../../compiler/errors.js';
import type { DType } from '../../compiler/ir/dtype.js';
import { formatShape, sameShape } from '../../compiler/ir/shape.js';
import { where } from '../../compiler/ops/selection.js';
import { cat, stack } from '../../compiler/ops/shape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { empty } from '../creation.js';
import { dropout as drop } from '../dropout.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { uniform_ } from './init.js';
import { Layer, positional } from './layer.js';
import { Parameter } from './parameter.js';
import { PackedSequence } from './utils/packed-sequence.js';

/** What a step hands to the next: the hidden state first, then for LSTM the cell state. */
type State = readonly Tensor[];
/** One step: from the input's share of the gates and the state to the next state. */
type Step = (inputGates: Tensor, state: State, weights: CellWeights) => State;

interface CellWeights {
  readonly weightIh: Tensor;
  readonly weightHh: Tensor;
  readonly biasIh: Tensor | null;
  readonly biasHh: Tensor | null;
  /** Projects the hidden state (LSTM only). */
  readonly weightHr?: Tensor | null;
}

const hiddenGates = (hidden: Tensor, { weightHh, biasHh }: CellWeights): Tensor => F.linear(hidden, weightHh, biasHh);

const elmanStep =
  (activate: (input: Tensor) => Tensor): Step =>
  (gates, [hidden], weights) => [activate(gates.add(hiddenGates(hidden, weights)))];

const lstmStep: Step = (gates, [hidden, cell], weights) => {
  const [input, forget, candidate, output] = gates.add(hiddenGates(hidden, weights)).chunk(4, -1);
  const nextCell = forget.sigmoid().mul(cell).add(input.sigmoid().mul(candidate.tanh()));
  const nextHidden = output.sigmoid().mul(nextCell.tanh());
  return [weights.weightHr ? F.linear(nextHidden, weights.weightHr) : nextHidden, nextCell];
};

const gruStep: Step = (gates, [hidden], weights) => {
  const [inputReset, inputUpdate, inputNew] = gates.chunk(3, -1);
  const [hiddenReset, hiddenUpdate, hiddenNew] = hiddenGates(hidden, weights).chunk(3, -1);
  const update = inputUpdate.add(hiddenUpdate).sigmoid();
  const candidate = inputNew.add(inputReset.add(hiddenReset).sigmoid().mul(hiddenNew)).tanh();
  return [candidate.add(update.mul(hidden.sub(candidate)))];
};

interface Kind {
  readonly gates: number;
  readonly step: Step;
}
export type Nonlinearity = 'tanh' | 'relu';
const elman = (nonlinearity: Nonlinearity): Kind => {
  if (nonlinearity !== 'tanh' && nonlinearity !== 'relu')
    fail('E208', { problem: `Unknown nonlinearity '${nonlinearity}'`, hint: "use 'tanh' or 'relu'" });
  return { gates: 1, step: elmanStep(nonlinearity === 'tanh' ? F.tanh : F.relu) };
};
const lstm: Kind = { gates: 4, step: lstmStep };
const gru: Kind = { gates: 3, step: gruStep };

/** What a layer runs over, and what it gives for that: a packed batch for a packed batch. */
type Steps = Tensor | PackedSequence;
type Out<I extends Steps> = I extends PackedSequence ? PackedSequence : Tensor;

export interface RecurrentOptions {
  readonly numLayers?: number;
  readonly bias?: boolean;
  /** Inputs are [batch, length, features] instead of [length, batch, features]. */
  readonly batchFirst?: boolean;
  /** Between layers, while training. */
  readonly dropout?: number;
  readonly bidirectional?: boolean;
  readonly dtype?: DType;
}
const recurrentOrder = ['numLayers', 'bias', 'batchFirst', 'dropout', 'bidirectional'] as const;
export interface RNNOptions extends RecurrentOptions {
  readonly nonlinearity?: Nonlinearity;
}
export interface LSTMOptions extends RecurrentOptions {
  /** The size to which what a step hands on is projected; 0 for none. */
  readonly projSize?: number;
}

/** A state for one sequence as that of a batch. */
const asBatch =
  (input: Tensor) =>
  (part: Tensor): Tensor =>
    part.ndim === 2
      ? part.unsqueeze(1)
      : fail('E208', {
          problem: `For unbatched 2-D input of shape ${formatShape(input.shape)}, the state should also be 2-D, but it has shape ${formatShape(part.shape)}`,
        });

abstract class Recurrent extends Layer {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;
  readonly projSize: number;
  protected readonly kind: Kind;

  constructor(
    kind: Kind,
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions & { readonly projSize?: number },
  ) {
    super();
    const {
      numLayers = 1,
      bias = true,
      batchFirst = false,
      dropout = 0,
      bidirectional = false,
      projSize = 0,
      dtype,
    } = options;
    if (projSize < 0 || (projSize > 0 && projSize >= hiddenSize)) {
      const problem = `projSize must not be negative and has to be smaller than hiddenSize: ${projSize} and ${hiddenSize}`;
      fail('E208', { problem });
    }
    this.kind = kind;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.bias = bias;
    this.batchFirst = batchFirst;
    this.dropout = dropout;
    this.bidirectional = bidirectional;
    this.projSize = projSize;
    for (const { layer, suffix } of this.runs()) this.addWeights(layer, suffix, dtype);
    const bound = hiddenSize > 0 ? 1 / Math.sqrt(hiddenSize) : 0;
    for (const parameter of this.parameters()) uniform_(parameter, -bound, bound);
  }

  /** Each layer in each direction, as its weights are named. */
  private runs(): { layer: number; suffix: string }[] {
    const directions = this.bidirectional ? ['', 'Reverse'] : [''];
    return Array.from({ length: this.numLayers }, (_, layer) =>
      directions.map(direction => ({ layer, suffix: `L${layer}${direction}` })),
    ).flat();
  }
  private get outputSize(): number {
    return this.projSize > 0 ? this.projSize : this.hiddenSize;
  }

  private addWeights(layer: number, suffix: string, dtype: DType | undefined): void {
    const made = (...shape: number[]): Parameter => new Parameter(empty(shape, { dtype }));
    const gates = this.kind.gates * this.hiddenSize;
    const fromBelow = layer === 0 ? this.inputSize : this.outputSize * (this.bidirectional ? 2 : 1);
    this.registerParameter(`weightIh${suffix}`, made(gates, fromBelow));
    this.registerParameter(`weightHh${suffix}`, made(gates, this.outputSize));
    if (this.bias) {
      this.registerParameter(`biasIh${suffix}`, made(gates));
      this.registerParameter(`biasHh${suffix}`, made(gates));
    }
    if (this.projSize > 0) this.registerParameter(`weightHr${suffix}`, made(this.projSize, this.hiddenSize));
  }
  private weights(suffix: string): CellWeights {
    const named = (name: string): Parameter | null =>
      (this as unknown as Record<string, Parameter | undefined>)[`${name}${suffix}`] ?? null;
    return {
      weightIh: named('weightIh')!,
      weightHh: named('weightHh')!,
      biasIh: named('biasIh'),
      biasHh: named('biasHh'),
      weightHr: named('weightHr'),
    };
  }

  /** The outputs of the last layer, and for each part of the state its last values, [layers · directions, batch, size]. */
  protected unroll<I extends Steps>(input: I, given: State | null, stateSizes: readonly number[]): [Out<I>, Tensor[]] {
    const unrolled =
      input instanceof PackedSequence
        ? this.unrollPacked(input, given, stateSizes)
        : this.unrollTensor(input, given, stateSizes);
    return unrolled as [Out<I>, Tensor[]];
  }

  private unrollTensor(input: Tensor, given: State | null, stateSizes: readonly number[]): [Tensor, Tensor[]] {
    const single = input.ndim === 2;
    if (!single && input.ndim !== 3)
      fail('E208', {
        problem: `${this.constructor.name}: Expected input to be 2-D or 3-D but received ${input.ndim}-D tensor`,
      });
    const steps = single ? input.unsqueeze(1) : this.batchFirst ? input.transpose(0, 1) : input;
    const state = this.initialState(steps, single ? given?.map(asBatch(input)) : given, stateSizes);
    const dropped = (below: Tensor): Tensor => drop(below, this.dropout, this.training);
    const [outputs, last] = this.runLayers(steps, state, null, dropped);
    if (single) return [outputs.squeeze(1), last.map(part => part.squeeze(1))];
    return [this.batchFirst ? outputs.transpose(0, 1) : outputs, last];
  }

  private unrollPacked(
    input: PackedSequence,
    given: State | null,
    stateSizes: readonly number[],
  ): [PackedSequence, Tensor[]] {
    const steps = input.padded();
    if (steps.ndim !== 3)
      fail('E208', {
        problem: `${this.constructor.name}: a PackedSequence must hold vectors, but each of its steps has ${steps.ndim - 2} dims`,
      });
    const state = this.initialState(steps, given, stateSizes);
    const dropped = (below: Tensor): Tensor =>
      input
        .withPadded(below)
        .withSteps(rows => drop(rows, this.dropout, this.training))
        .padded();
    const [outputs, last] = this.runLayers(steps, state, input.mask(), dropped);
    return [input.withPadded(outputs), last];
  }

  /** The state before the first step, checked; zeros where none is given. */
  private initialState(steps: Tensor, given: State | null | undefined, stateSizes: readonly number[]): State {
    const [, batch, features] = steps.shape;
    if (features !== this.inputSize) {
      fail('E208', {
        problem: `${this.constructor.name}: input.size(-1) must be equal to input_size. Expected ${this.inputSize}, got ${features}`,
      });
    }
    return stateSizes.map((size, i) => {
      const shape = [this.runs().length, batch, size];
      const part = given?.[i] ?? steps.newZeros(shape);
      if (!sameShape(part.shape, shape))
        fail('E208', {
          problem: `${this.constructor.name}: Expected ${i === 0 ? 'hidden' : 'cell'} state of shape ${formatShape(shape)}, got ${formatShape(part.shape)}`,
          hint: 'a state has one layer per direction, then the batch, whatever batchFirst says',
        });
      return part;
    });
  }

  /** All layers in all directions over [length, batch, features]; a mask [length, batch] tells which steps there are. */
  private runLayers(
    steps: Tensor,
    initial: State,
    mask: Tensor | null,
    dropped: (below: Tensor) => Tensor,
  ): [Tensor, Tensor[]] {
    const finals: State[] = [];
    let sequence = steps;
    for (let layer = 0; layer < this.numLayers; layer++) {
      const outputs = this.runs()
        .filter(run => run.layer === layer)
        .map(({ suffix }, direction) => {
          const before = initial.map(part => part.select(0, finals.length));
          const { outputs, state } = this.runDirection(sequence, before, this.weights(suffix), direction === 1, mask);
          finals.push(state);
          return outputs;
        });
      sequence = outputs.length === 1 ? outputs[0] : cat(outputs, -1);
      const hasDropout = this.dropout > 0 && this.training && layer < this.numLayers - 1;
      if (hasDropout) sequence = dropped(sequence);
    }
    return [sequence, initial.map((_, part) => stack(finals.map(state => state[part])))];
  }

  /** Where a sequence is over its state stays as it is, and its outputs are 0. */
  private runDirection(
    sequence: Tensor,
    initial: State,
    weights: CellWeights,
    backwards: boolean,
    mask: Tensor | null,
  ): { outputs: Tensor; state: State } {
    const gates = F.linear(sequence, weights.weightIh, weights.biasIh);
    const whole = (state: State, inputGates: Tensor): [State, Tensor] => {
      const next = this.kind.step(inputGates, state, weights);
      return [next, next[0]];
    };
    const masked = (state: State, x: { gates: Tensor; isThere: Tensor }): [State, Tensor] => {
      const next = this.kind.step(x.gates, state, weights);
      return [next.map((part, i) => where(x.isThere, part, state[i])), where(x.isThere, next[0], 0)];
    };
    const order = { reverse: backwards };
    const [state, outputs] =
      mask === null
        ? scan(whole, initial, gates, order)
        : scan(masked, initial, { gates, isThere: mask.unsqueeze(-1) }, order);
    return { outputs, state };
  }

  override extraRepr(): string {
    const { projSize, numLayers, bias, batchFirst, dropout, bidirectional } = this;
    return positional([this.inputSize, this.hiddenSize], {
      projSize: projSize === 0 ? undefined : projSize,
      numLayers: numLayers === 1 ? undefined : numLayers,
      bias: bias ? undefined : bias,
      batchFirst: batchFirst || undefined,
      dropout: dropout === 0 ? undefined : dropout,
      bidirectional: bidirectional || undefined,
    });
  }
}

export class RNN extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, ...given: InOrder<RNNOptions, typeof recurrentOrder>) {
    const { nonlinearity = 'tanh', ...options }: RNNOptions = byName('RNN', recurrentOrder, given, [
      'nonlinearity',
      'dtype',
    ]);
    super(elman(nonlinearity), inputSize, hiddenSize, options);
  }
  override forward<I extends Steps>(input: I, hidden: Tensor | null = null): [output: Out<I>, hidden: Tensor] {
    const [output, [last]] = this.unroll(input, hidden && [hidden], [this.hiddenSize]);
    return [output, last];
  }
}
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, ...given: InOrder<RecurrentOptions, typeof recurrentOrder>) {
    super(gru, inputSize, hiddenSize, byName('GRU', recurrentOrder, given, ['dtype']));
  }
  override forward<I extends Steps>(input: I, hidden: Tensor | null = null): [output: Out<I>, hidden: Tensor] {
    const [output, [last]] = this.unroll(input, hidden && [hidden], [this.hiddenSize]);
    return [output, last];
  }
}
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, ...given: InOrder<LSTMOptions, typeof recurrentOrder>) {
    super(lstm, inputSize, hiddenSize, byName('LSTM', recurrentOrder, given, ['projSize', 'dtype']));
  }
  override forward<I extends Steps>(
    input: I,
    state: readonly [hidden: Tensor, cell: Tensor] | null = null,
  ): [output: Out<I>, state: [hidden: Tensor, cell: Tensor]] {
    const [output, [hidden, cell]] = this.unroll(input, state, [
      this.projSize > 0 ? this.projSize : this.hiddenSize,
      this.hiddenSize,
    ]);
    return [output, [hidden, cell]];
  }
}

// ── single steps ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface CellOptions {
  readonly bias?: boolean;
  readonly dtype?: DType;
}
type CellSettings = InOrder<CellOptions, ['bias']>;
const cellOptions = (name: string, given: CellSettings): CellOptions =>
  byName<CellOptions, ['bias']>(name, ['bias'], given, ['dtype']);
abstract class Cell extends Layer {
  readonly inputSize: number;
  readonly hiddenSize: number;
  weightIh: Parameter;
  weightHh: Parameter;
  biasIh: Parameter | null;
  biasHh: Parameter | null;
  protected readonly kind: Kind;

  constructor(kind: Kind, inputSize: number, hiddenSize: number, { bias = true, dtype }: CellOptions) {
    super();
    this.kind = kind;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    const gates = kind.gates * hiddenSize;
    this.weightIh = new Parameter(empty(gates, inputSize, { dtype }));
    this.weightHh = new Parameter(empty(gates, hiddenSize, { dtype }));
    this.biasIh = bias ? new Parameter(empty(gates, { dtype })) : null;
    this.biasHh = bias ? new Parameter(empty(gates, { dtype })) : null;
    const bound = hiddenSize > 0 ? 1 / Math.sqrt(hiddenSize) : 0;
    for (const parameter of this.parameters()) uniform_(parameter, -bound, bound);
  }
  protected step(input: Tensor, given: State | null, parts: number): State {
    const state =
      given ?? Array.from({ length: parts }, () => input.newZeros(...input.shape.slice(0, -1), this.hiddenSize));
    return this.kind.step(F.linear(input, this.weightIh, this.biasIh), state, this);
  }
  override extraRepr(): string {
    return positional([this.inputSize, this.hiddenSize], { bias: this.biasIh === null ? false : undefined });
  }
}
interface ElmanCellOptions extends CellOptions {
  readonly nonlinearity?: Nonlinearity;
}
const elmanOrder = ['bias', 'nonlinearity'] as const;
export class RNNCell extends Cell {
  readonly nonlinearity: Nonlinearity;
  constructor(inputSize: number, hiddenSize: number, ...given: InOrder<ElmanCellOptions, typeof elmanOrder>) {
    const { nonlinearity = 'tanh', ...options }: ElmanCellOptions = byName('RNNCell', elmanOrder, given, ['dtype']);
    super(elman(nonlinearity), inputSize, hiddenSize, options);
    this.nonlinearity = nonlinearity;
  }
  override forward(input: Tensor, hidden: Tensor | null = null): Tensor {
    return this.step(input, hidden && [hidden], 1)[0];
  }
  override extraRepr(): string {
    return this.nonlinearity === 'tanh' ? super.extraRepr() : `${super.extraRepr()}, nonlinearity=${this.nonlinearity}`;
  }
}
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, ...given: CellSettings) {
    super(gru, inputSize, hiddenSize, cellOptions('GRUCell', given));
  }
  override forward(input: Tensor, hidden: Tensor | null = null): Tensor {
    return this.step(input, hidden && [hidden], 1)[0];
  }
}
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, ...given: CellSettings) {
    super(lstm, inputSize, hiddenSize, cellOptions('LSTMCell', given));
  }
  override forward(
    input: Tensor,
    state: readonly [hidden: Tensor, cell: Tensor] | null = null,
  ): [hidden: Tensor, cell: Tensor] {
    const [hidden, cell] = this.step(input, state, 2);
    return [hidden, cell];
  }
}
