/**
 * Limited-memory BFGS: Nocedal, "Updating quasi-Newton matrices with limited storage" (1980).
 *
 * Each step asks for the loss several times and decides by its value. What it decides by are tensors, and its decisions
 * `cond` and `whileLoop`: eagerly they run as JavaScript does, and an entry compiles the whole step, closure included, to
 * loops and branches of one program.
 */
import { currentBody, currentTrace } from '../../compiler/autodiff/control/body.js';
import { cond } from '../../compiler/autodiff/control/cond.js';
import { whileLoop } from '../../compiler/autodiff/control/while-loop.js';
import { fail, InternalError } from '../../compiler/errors.js';
import type { TensorType } from '../../compiler/ir/graph.js';
import { numel } from '../../compiler/ir/shape.js';
import { iota } from '../../compiler/ops/creation.js';
import { full } from '../../compiler/ops/define.js';
import { minimum } from '../../compiler/ops/extrema.js';
import { where } from '../../compiler/ops/selection.js';
import { cat } from '../../compiler/ops/shape.js';
import { enableGrad, noGrad } from '../../compiler/ops/tape.js';
import { emptyTensor, executor, isConstant, type Tensor } from '../../compiler/ops/tensor.js';
import { byName, type InOrder } from '../in-order.js';
import { liveValue } from './live-settings.js';
import { checkSetting, type GroupSettings, type Numbers, Optimizer, type Parameters } from './optimizer.js';
import { scalar } from './per-group.js';
import { dot, flag, largest, type Sample, strongWolfe } from './strong-wolfe.js';

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

/** What one iteration leaves for the next; all parameters, or all gradients, are one vector. */
interface Memory {
  /** How many iterations there have been, in all steps. */
  readonly iterations: Tensor;
  readonly direction: Tensor;
  readonly length: Tensor;
  readonly grad: Tensor;
  /** Scale of the first guess of the inverse Hessian. */
  readonly scale: Tensor;
  /** Corrections so far; the last of them are kept, each in the row of its number by the size of the history. */
  readonly corrections: Tensor;
  /** Changes of the gradient, the steps that made them, and 1 / (change · step). */
  readonly changes: Tensor;
  readonly steps: Tensor;
  readonly inverses: Tensor;
}

/** Where a step stands between iterations. */
type Standing = Sample & { readonly evaluations: Tensor; readonly iteration: Tensor; readonly going: Tensor };

const lbfgsOrder = [
  'lr',
  'maxIter',
  'maxEval',
  'toleranceGrad',
  'toleranceChange',
  'historySize',
  'lineSearchFn',
] as const;
export class LBFGS extends Optimizer<LBFGSSettings> {
  #memory: Memory | null = null;

  constructor(params: Parameters<LBFGSSettings>, ...given: InOrder<Partial<LBFGSSettings>, typeof lbfgsOrder>) {
    const defaults = {
      lr: 1,
      maxIter: 20,
      maxEval: null,
      toleranceGrad: 1e-7,
      toleranceChange: 1e-9,
      historySize: 100,
      lineSearchFn: null,
    };
    super(params, { ...defaults, ...byName<Partial<LBFGSSettings>, typeof lbfgsOrder>('LBFGS', lbfgsOrder, given) });
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
    return noGrad(() => {
      let first: unknown = null;
      const grads = this.#flat(() => null).clone();
      const evaluate = (): Sample => {
        // a loop or branch of an entry knows of no gradients from outside
        if (currentBody() !== null) this.#setGrads(grads);
        const loss = enableGrad(closure as () => Tensor);
        first ??= loss;
        const grad = this.#flat(param => param.grad);
        grads.copy_(grad);
        return { loss: loss.detach().to('float64').reshape([]), grad };
      };
      this.#minimize(evaluate);
      if (currentTrace() !== null) this.#setGrads(grads);
      return first;
    });
  }

  #minimize(evaluate: () => Sample): void {
    const { maxIter, toleranceGrad } = this.paramGroups[0];
    this.#memory ??= this.atHome(() => this.#newMemory());
    const memory = this.#memory;
    const sample = evaluate();
    const going = largest(sample.grad)
      .gt(toleranceGrad)
      .logicalAnd(flag(maxIter > 0));
    whileLoop(
      (standing: Standing) => standing.going,
      standing => this.#iterate(standing, memory, evaluate),
      { ...sample, evaluations: scalar(1), iteration: scalar(0), going },
    );
  }

  #iterate(from: Standing, memory: Memory, evaluate: () => Sample): Standing {
    const { toleranceChange } = this.paramGroups[0];
    const standing = { ...from, iteration: from.iteration.add(1) };
    const isFirst = memory.iterations.eq(0);
    turn(memory, standing.grad, isFirst);
    memory.grad.copy_(standing.grad);
    memory.iterations.add_(1);
    const lr = liveValue(this.paramGroups[0], 'lr') as Tensor;
    const careful = minimum(standing.grad.to('float64').abs().sum().reciprocal(), scalar(1)).mul(lr);
    memory.length.copy_(where(isFirst, careful, lr));
    const slope = dot(standing.grad, memory.direction);
    return cond(
      slope.gt(-toleranceChange),
      () => ({ ...standing, going: flag(false) }),
      () => this.#advance(standing, memory, slope, evaluate),
    );
  }

  /** Go along the direction, and see whether that was the end. */
  #advance(from: Standing, memory: Memory, slope: Tensor, evaluate: () => Sample): Standing {
    const { maxIter, maxEval, toleranceGrad, toleranceChange, lineSearchFn } = this.paramGroups[0];
    const start = this.#flat(param => param);
    const moveTo = (length: Tensor): void => this.#moveTo(start.add(memory.direction.mul(length)));
    const sampleAt = (length: Tensor): Sample => {
      moveTo(length);
      return evaluate();
    };
    const isLast = from.iteration.ge(maxIter);
    let { loss, grad, evaluations }: Pick<Standing, 'loss' | 'grad' | 'evaluations'> = from;
    if (lineSearchFn === 'strong_wolfe') {
      const found = strongWolfe(sampleAt, memory.length.clone(), memory.direction, from, slope);
      ({ loss, grad } = found.point);
      evaluations = evaluations.add(found.evaluations);
      memory.length.copy_(found.point.length);
      moveTo(found.point.length);
    } else {
      ({ loss, grad } = cond(
        isLast,
        () => {
          moveTo(memory.length);
          return { loss: from.loss, grad: from.grad };
        },
        () => sampleAt(memory.length),
      ));
      evaluations = evaluations.add(isLast.logicalNot().to('float64'));
    }
    const isDone = isLast
      .logicalOr(evaluations.ge(maxEval ?? Math.floor((maxIter * 5) / 4)))
      .logicalOr(largest(grad).le(toleranceGrad))
      .logicalOr(largest(memory.direction.mul(memory.length)).le(toleranceChange))
      .logicalOr(loss.sub(from.loss).abs().lt(toleranceChange));
    return { loss, grad, evaluations, iteration: from.iteration, going: isDone.logicalNot() };
  }

  // ── parameters as one vector ───────────────────────────────────────────────────────────────────────────────────────

  #flat(part: (param: Tensor) => Tensor | null): Tensor {
    const { params } = this.paramGroups[0];
    const dtype = params.some(param => param.dtype === 'float64') ? 'float64' : 'float32';
    return cat(params.map(param => (part(param)?.detach() ?? param.detach().zerosLike()).reshape([-1]).to(dtype)));
  }
  /** Each parameter with its part of a vector. */
  #parts(vector: Tensor): (readonly [param: Tensor, part: Tensor])[] {
    let end = 0;
    return this.paramGroups[0].params.map(param => {
      const start = end;
      end += numel(param.shape);
      return [param, vector.slice(0, start, end).reshape(param.shape).to(param.dtype)];
    });
  }
  #moveTo(point: Tensor): void {
    for (const [param, part] of this.#parts(point)) param.copy_(part);
  }
  #setGrads(vector: Tensor): void {
    for (const [param, part] of this.#parts(vector)) param.grad = part.clone();
  }

  // ── state ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #newMemory(): Memory {
    const { historySize } = this.paramGroups[0];
    const { dtype, shape } = this.#flat(param => param);
    const vector = (): Tensor => full(shape, 0, { dtype });
    // eagerly, memory that nothing has been written to takes no room
    const zeros =
      executor().kind === 'eager' ? emptyTensor : ({ dtype, shape }: TensorType) => full(shape, 0, { dtype });
    const rows = (): Tensor => zeros({ dtype, shape: [historySize, ...shape] });
    return {
      iterations: scalar(0),
      direction: vector(),
      length: scalar(0),
      grad: vector(),
      scale: scalar(1),
      corrections: scalar(0),
      changes: rows(),
      steps: rows(),
      inverses: full([historySize], 0, { dtype: 'float64' }),
    };
  }

  override *namedState(nameOf: (tensor: Tensor) => string | null): IterableIterator<[string, Tensor]> {
    yield* super.namedState(nameOf);
    for (const entry of Object.entries(this.#memory ?? {})) yield entry as [string, Tensor];
  }
}

/** The direction from here: the gradient seen through the corrections of past steps (the two-loop recursion). */
function turn(memory: Memory, grad: Tensor, isFirst: Tensor): void {
  cond(
    isFirst,
    () => {
      memory.direction.copy_(grad.neg());
      return null;
    },
    () => {
      remember(memory, grad);
      memory.direction.copy_(corrected(memory, grad));
      return null;
    },
  );
}

/** Keep what the last step tells of the curvature, if that is positive. */
function remember(memory: Memory, grad: Tensor): void {
  const change = grad.sub(memory.grad);
  const step = memory.direction.mul(memory.length);
  const curvature = dot(change, step);
  cond(
    curvature.gt(1e-10),
    () => {
      setRow(memory.changes, memory.corrections, change);
      setRow(memory.steps, memory.corrections, step);
      setRow(memory.inverses, memory.corrections, curvature.reciprocal());
      memory.corrections.add_(1);
      memory.scale.copy_(curvature.div(dot(change, change)));
      return null;
    },
    () => null,
  );
}

/** Is it the row of a correction? */
const isRow = (rows: Tensor, number: Tensor): Tensor =>
  iota(rows.shape[0]).eq(number.remainder(rows.shape[0]).to('int64'));
const rowOf = (rows: Tensor, number: Tensor): Tensor =>
  rows.indexSelect(0, number.remainder(rows.shape[0]).to('int64').reshape([1])).squeeze(0);
/** A compiled program rewrites all rows; eagerly, where the number is there, one is written. */
function setRow(rows: Tensor, number: Tensor, row: Tensor): void {
  if (isConstant(number)) rows.select(0, number.item<number>() % rows.shape[0]).copy_(row);
  else rows.copy_(where(isRow(rows, number).reshape([-1, ...row.shape.map(() => 1)]), row, rows));
}

function corrected(memory: Memory, grad: Tensor): Tensor {
  const { corrections, changes, steps, inverses } = memory;
  const oldest = corrections.sub(minimum(corrections, scalar(inverses.shape[0])));
  const back = whileLoop(
    ({ number }) => number.ge(oldest),
    ({ direction, weights, number }) => {
      const weight = dot(rowOf(steps, number), direction).mul(rowOf(inverses, number));
      return {
        direction: direction.sub(rowOf(changes, number).mul(weight)),
        weights: where(isRow(weights, number), weight, weights),
        number: number.sub(1),
      };
    },
    { direction: grad.neg(), weights: inverses.zerosLike(), number: corrections.sub(1) },
  );
  const forth = whileLoop(
    ({ number }) => number.lt(corrections),
    ({ direction, number }) => {
      const weight = rowOf(back.weights, number).sub(
        dot(rowOf(changes, number), direction).mul(rowOf(inverses, number)),
      );
      return { direction: direction.add(rowOf(steps, number).mul(weight)), number: number.add(1) };
    },
    { direction: back.direction.mul(memory.scale), number: oldest },
  );
  return forth.direction;
}
