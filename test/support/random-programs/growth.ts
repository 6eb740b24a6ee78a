/** Blocks while they grow: steps are drawn, tried on eager values, and kept where they give a good value twice. */
import { type DType, isFloat } from '../../../compiler/ir/dtype.js';
import { numel } from '../../../compiler/ir/shape.js';
import { SampleTensor } from '../../../compiler/ops/samples.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { elementsIn, generator, makeTensor } from '../op-samples.js';
import { type Block, bounded, runStep, type Source, type Step, writes } from './program.js';

export class Random {
  readonly #next: () => number;
  #texts = 0;

  constructor(private readonly seed: string) {
    this.#next = generator(seed);
  }

  below = (limit: number): number => Math.floor(this.#next() * limit);
  chance = (probability: number): boolean => this.#next() < probability;
  of = <T>(list: readonly T[]): T => list[this.below(list.length)];
  list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  /** Another seed at each call. */
  text = (): string => `${this.seed}/${this.#texts++}`;

  tensor(dtype: DType, shape: readonly number[], low = -2, high = 2): Tensor {
    const draw = (): number => {
      const value = low + this.#next() * (high - low);
      if (dtype === 'bool') return Number(value > 0);
      return isFloat(dtype) ? Math.fround(value) : Math.floor(value);
    };
    return makeTensor(dtype, shape, this.list(numel(shape), draw));
  }
}

/** What a program may have. */
export interface Taste {
  /** Values of half precision, whose rounding it must bear. */
  readonly halves: boolean;
  /** How deep loops and branches may lie in one another. */
  readonly depth: number;
  /** Changes of state on the way. */
  readonly writes: boolean;
}

export interface Grown {
  readonly block: Block;
  /** What the block is given behind what it was begun with. */
  readonly fresh: readonly Tensor[];
}

const largest = 2000;

export class Growth {
  readonly #steps: Step[] = [];
  /** New inputs, which count down from -1 until the block is finished. */
  readonly #fresh: Tensor[] = [];
  readonly #values: Tensor[];

  constructor(
    readonly random: Random,
    readonly taste: Taste,
    private readonly given: readonly Tensor[],
    /** Which of those are memory that steps may write. */
    readonly state: readonly number[],
  ) {
    this.#values = [...given];
  }

  get length(): number {
    return this.#steps.length;
  }
  /** The values so far, by number. */
  get numbers(): number[] {
    return [...this.#values.keys()];
  }
  get stepNumbers(): number[] {
    return this.numbers.slice(this.given.length);
  }
  at = (value: number): Tensor => (value < 0 ? this.#fresh[-value - 1] : this.#values[value]);

  /** Keeps what is drawn if it runs and gives a good value twice. */
  try(draw: (growth: Growth) => Step | null): boolean {
    const inputs = this.#fresh.length;
    if (attempt(() => this.#kept(draw(this))) === true) return true;
    this.#fresh.length = inputs;
    return false;
  }

  #kept(step: Step | null): boolean {
    if (step === null) return false;
    const value = runStep(step, this.at).detach();
    if (value.numel() > largest || (isHalf(value.dtype) && !this.taste.halves)) return false;
    if (!writes(step) && !sameElements(value, runStep(step, this.at))) return false;
    this.#steps.push(step);
    this.#values.push(value);
    return true;
  }

  /** A new input. */
  input(tensor: Tensor): Source {
    this.#fresh.push(tensor);
    return { value: -this.#fresh.length, as: null };
  }

  /** An earlier value brought to what is described; now and then, or where there is none, a new input. */
  source(
    as: SampleTensor,
    input = (): Tensor => this.random.tensor(as.dtype ?? 'float32', as.shape, as.low, as.high),
  ): Source {
    const value = this.random.chance(0.75) ? this.#fitting(as) : null;
    return value === null ? this.input(input()) : { value, as };
  }

  /** A float of that shape that stays small, or now and then whole numbers. */
  smallSource(shape: readonly number[], dtype: DType): Source {
    return this.source(bounded({ shape, dtype }));
  }

  /** Whole numbers are made of whole numbers only: what was rounded otherwise would jump. */
  #fitting(as: SampleTensor): number | null {
    const fitting = this.numbers.filter(number => {
      const value = this.at(number);
      if (value.numel() === 0 && numel(as.shape) > 0) return false;
      return isFloat(as.dtype ?? 'float32') || !isFloat(value.dtype);
    });
    return fitting.length === 0 ? null : this.random.of(fitting);
  }

  /** A block for a step that has one, on its sources. */
  inner(sources: readonly Source[], given: readonly Tensor[], taste: Partial<Taste> = {}): Growth {
    const deeper = { ...this.taste, depth: this.taste.depth - 1, ...taste };
    const state = deeper.writes
      ? [...sources.entries()].flatMap(([i, { value, as }]) => (as === null && this.state.includes(value) ? [i] : []))
      : [];
    return new Growth(this.random, deeper, given, state);
  }

  /** The block, and with `fresh` directly behind what is given. */
  finish(results: readonly number[]): Grown {
    const [given, fresh] = [this.given.length, this.#fresh.length];
    const number = (value: number): number => (value < 0 ? given - value - 1 : value < given ? value : value + fresh);
    const steps = this.#steps.map(step => ({
      ...step,
      sources: step.sources.map(({ value, as }) => ({ value: number(value), as })),
    }));
    return { block: { given: given + fresh, steps, results: results.map(number) }, fresh: this.#fresh };
  }
}

export function attempt<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}

export const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16';

function sameElements(a: Tensor, b: Tensor): boolean {
  const other = elementsIn(b.detach());
  return elementsIn(a).every((element, i) => Object.is(element, other[i]));
}

/** Any type of element, floats of single precision mostly. */
export function randomType(random: Random, taste: Taste): DType {
  if (random.chance(0.7)) return 'float32';
  const type = random.of<DType>(['float64', 'float16', 'bfloat16', 'int64', 'int32', 'bool']);
  return isHalf(type) && !taste.halves ? 'float32' : type;
}

export const ofType = (shape: readonly number[], dtype: DType): SampleTensor =>
  new SampleTensor(shape, 0, 0, dtype, null);
