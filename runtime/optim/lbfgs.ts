/**
 * Limited-memory BFGS: Nocedal, "Updating quasi-Newton matrices with limited storage" (1980), with the line search for the
 * strong Wolfe conditions of Nocedal and Wright, "Numerical Optimization" (2006), algorithms 3.5 and 3.6.
 *
 * Each step asks for the loss several times and decides by its value, so it cannot be part of a traced entry; the loss and its
 * gradient can be a compiled function.
 */
import { fail, InternalError } from '../../compiler/errors.js';
import { enableGrad, noGrad } from '../../compiler/ops/tape.js';
import { executor, type Tensor, tensorOver } from '../../compiler/ops/tensor.js';
import { elementsOf } from '../bridge.js';
import { store } from '../elements.js';
import { checkSetting, type GroupSettings, type Numbers, Optimizer, type Parameters } from './optimizer.js';

export interface LBFGSSettings extends GroupSettings {
  /** Iterations per step. */
  maxIter: number;
  /** Evaluations of the loss per step; null: a quarter more than iterations. */
  maxEval: number | null;
  toleranceGrad: number;
  toleranceChange: number;
  historySize: number;
  lineSearchFn: 'strong_wolfe' | null;
}

/** All parameters, or all gradients, as one list of numbers. */
type Vector = Float64Array;
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i], 0);
const scaled = (a: Vector, factor: number): Vector => a.map(x => x * factor);
/** a + factor · b. */
const along = (a: Vector, b: Vector, factor: number): Vector => a.map((x, i) => x + factor * b[i]);
const largest = (a: Vector): number => a.reduce((max, x) => Math.max(max, Math.abs(x)), 0);

/** The loss and its gradient at a point. */
interface Sample {
  readonly loss: number;
  readonly grad: Vector;
}
/** A change of the gradient and the step that made it. */
interface Correction {
  readonly change: Vector;
  readonly step: Vector;
  /** 1 / (change · step). */
  readonly inverse: number;
}
/** What one iteration leaves for the next. */
interface Memory {
  corrections: Correction[];
  /** Scale of the first guess of the inverse Hessian. */
  scale: number;
  direction: Vector;
  length: number;
  grad: Vector;
}

export class LBFGS extends Optimizer<LBFGSSettings> {
  #memory: Memory | null = null;

  constructor(params: Parameters<LBFGSSettings>, options: Partial<LBFGSSettings> = {}) {
    const defaults = {
      lr: 1,
      maxIter: 20,
      maxEval: null,
      toleranceGrad: 1e-7,
      toleranceChange: 1e-9,
      historySize: 100,
      lineSearchFn: null,
    };
    super(params, { ...defaults, ...options });
    if (this.paramGroups.length !== 1)
      fail('E208', { problem: "LBFGS doesn't support per-parameter options (parameter groups)" });
  }
  protected check({ lineSearchFn }: LBFGSSettings): void {
    checkSetting(lineSearchFn === null || lineSearchFn === 'strong_wolfe', () => "only 'strong_wolfe' is supported");
  }
  protected slots(): Numbers {
    return {};
  }
  protected update(): void {
    throw new InternalError('LBFGS moves all parameters at once');
  }

  /** Several iterations. The closure clears the gradients, computes the loss, calls backward() and returns the loss. */
  override step(closure?: () => Tensor): never;
  override step<T>(closure: () => T): T;
  override step(closure?: () => unknown): unknown {
    if (closure === undefined)
      return fail('E208', { problem: 'LBFGS.step() needs a closure that reevaluates the model and returns the loss' });
    if (executor().kind === 'trace') {
      return fail('E304', {
        problem:
          'LBFGS chooses its steps by the value of the loss, which does not exist while an entry is being traced',
        hint: 'compile what the closure does after zeroGrad(), loss and backward() (the gradients add up in .grad), and call step() outside',
      });
    }
    let first: unknown = null;
    const evaluate = (): Sample => {
      const loss = enableGrad(closure as () => Tensor);
      first ??= loss;
      return { loss: loss.item(), grad: this.#grads() };
    };
    noGrad(() => this.#minimize(evaluate));
    return first;
  }

  #minimize(evaluate: () => Sample): void {
    const { lr, maxIter, maxEval, toleranceGrad, toleranceChange, historySize, lineSearchFn } = this.paramGroups[0];
    const allowed = maxEval ?? Math.floor((maxIter * 5) / 4);
    let { loss, grad } = evaluate();
    let evaluations = 1;
    if (largest(grad) <= toleranceGrad) return;
    for (let iteration = 1; iteration <= maxIter; iteration++) {
      const memory = this.#next(grad, historySize);
      const { direction } = memory;
      const isFirst = this.#memory === null;
      this.#memory = memory;
      memory.length = isFirst ? Math.min(1, 1 / grad.reduce((sum, x) => sum + Math.abs(x), 0)) * lr : lr;
      const slope = dot(grad, direction);
      if (slope > -toleranceChange) return;
      const before = loss;
      const start = this.#parameters();
      const sampleAt = (length: number): Sample => {
        this.#moveTo(along(start, direction, length));
        return evaluate();
      };
      if (lineSearchFn === 'strong_wolfe') {
        const found = strongWolfe(sampleAt, memory.length, direction, { loss, grad }, slope);
        ({ loss, grad } = found.sample);
        memory.length = found.length;
        evaluations += found.evaluations;
        this.#moveTo(along(start, direction, found.length));
      } else if (iteration < maxIter) {
        ({ loss, grad } = sampleAt(memory.length));
        evaluations++;
      } else this.#moveTo(along(start, direction, memory.length));
      if (evaluations >= allowed || largest(grad) <= toleranceGrad) return;
      if (largest(scaled(direction, memory.length)) <= toleranceChange || Math.abs(loss - before) < toleranceChange)
        return;
    }
  }

  /** The direction from here: the gradient seen through the corrections of past steps (the two-loop recursion). */
  #next(grad: Vector, historySize: number): Memory {
    const past = this.#memory;
    if (past === null) return { corrections: [], scale: 1, direction: scaled(grad, -1), length: 0, grad };
    let { corrections, scale } = past;
    const change = along(grad, past.grad, -1);
    const step = scaled(past.direction, past.length);
    const curvature = dot(change, step);
    if (curvature > 1e-10) {
      corrections = [...corrections, { change, step, inverse: 1 / curvature }].slice(-historySize);
      scale = curvature / dot(change, change);
    }
    let direction = scaled(grad, -1);
    const weights: number[] = [];
    for (let i = corrections.length - 1; i >= 0; i--) {
      weights[i] = dot(corrections[i].step, direction) * corrections[i].inverse;
      direction = along(direction, corrections[i].change, -weights[i]);
    }
    direction = scaled(direction, scale);
    for (const [i, correction] of corrections.entries()) {
      direction = along(
        direction,
        correction.step,
        weights[i] - dot(correction.change, direction) * correction.inverse,
      );
    }
    return { corrections, scale, direction, length: 0, grad };
  }

  #grads(): Vector {
    const numbers = (param: Tensor): number[] =>
      param.grad === null ? new Array(param.numel()).fill(0) : (elementsOf(param.grad, 'LBFGS') as number[]);
    return Float64Array.from(this.paramGroups[0].params.flatMap(numbers));
  }
  #parameters(): Vector {
    return Float64Array.from(this.paramGroups[0].params.flatMap(param => elementsOf(param, 'LBFGS') as number[]));
  }
  #moveTo(point: Vector): void {
    let at = 0;
    for (const param of this.paramGroups[0].params) {
      const part = point.subarray(at, (at += param.numel()));
      param.copy_(tensorOver(store(param.dtype, part), param.type));
    }
  }
}

/** A point of the line search, with the slope of the loss along the direction. */
interface Point extends Sample {
  readonly length: number;
  readonly slope: number;
}

/** Sufficient decrease, sufficient flattening, and the bounds of the search, as PyTorch sets them. */
const wolfe = { decrease: 1e-4, flatness: 0.9, toleranceChange: 1e-9, iterations: 25 };

/** A length along `direction` at which the loss has fallen enough and its slope has flattened enough. */
function strongWolfe(
  sampleAt: (length: number) => Sample,
  firstLength: number,
  direction: Vector,
  origin: Sample,
  slope: number,
): { sample: Sample; length: number; evaluations: number } {
  let evaluations = 0;
  const pointAt = (length: number): Point => {
    evaluations++;
    const sample = sampleAt(length);
    return { ...sample, length, slope: dot(sample.grad, direction) };
  };
  const tooHigh = ({ loss, length }: Point): boolean => loss > origin.loss + wolfe.decrease * length * slope;
  const flat = (point: Point): boolean => Math.abs(point.slope) <= -wolfe.flatness * slope;
  const chosen = ({ loss, grad, length }: Point) => ({ sample: { loss, grad }, length, evaluations });

  const start: Point = { ...origin, length: 0, slope };
  let previous = start;
  let current = pointAt(firstLength);
  let iteration = 0;
  let bracket: [Point, Point] | null = null;
  while (iteration < wolfe.iterations) {
    if (tooHigh(current) || (iteration > 1 && current.loss >= previous.loss)) bracket = [previous, current];
    else if (flat(current)) return chosen(current);
    else if (current.slope >= 0) bracket = [previous, current];
    if (bracket !== null) break;
    const bounds: [number, number] = [current.length + 0.01 * (current.length - previous.length), current.length * 10];
    const next = cubicMinimum(previous, current, bounds);
    previous = current;
    current = pointAt(next);
    iteration++;
  }
  bracket ??= [start, current];

  let stalled = false;
  let [low, high] = bracket[0].loss <= bracket[1].loss ? [0, 1] : [1, 0];
  while (iteration < wolfe.iterations) {
    const lengths = bracket.map(point => point.length);
    const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
    if ((most - least) * largest(direction) < wolfe.toleranceChange) break;
    let length = cubicMinimum(bracket[0], bracket[1], [least, most]);
    const margin = 0.1 * (most - least);
    if (Math.min(most - length, length - least) < margin) {
      const push: boolean = stalled || length >= most || length <= least;
      if (push) length = Math.abs(length - most) < Math.abs(length - least) ? most - margin : least + margin;
      stalled = !push;
    } else stalled = false;
    const point = pointAt(length);
    iteration++;
    if (tooHigh(point) || point.loss >= bracket[low].loss) {
      bracket[high] = point;
      [low, high] = bracket[0].loss <= bracket[1].loss ? [0, 1] : [1, 0];
      continue;
    }
    const done = flat(point);
    if (!done && point.slope * (bracket[high].length - bracket[low].length) >= 0) bracket[high] = bracket[low];
    bracket[low] = point;
    if (done) break;
  }
  return chosen(bracket[low]);
}

/** Where the cubic through two points with their slopes is least, within bounds. */
function cubicMinimum(a: Point, b: Point, [least, most]: readonly [number, number]): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.length - b.length);
  const square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (least + most) / 2;
  const d2 = Math.sqrt(square);
  const [left, right] = a.length <= b.length ? [a, b] : [b, a];
  const minimum =
    right.length - (right.length - left.length) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2));
  return Math.min(Math.max(minimum, least), most);
}
