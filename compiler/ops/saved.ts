/**
 * What the tape keeps for the way back: a tensor as it is, or, of a region that is computed again, nothing but its number.
 *
 * In a region the steps of the tape are those of any other computation; only what they save is let go. When the backward pass
 * first asks for one of these tensors, the region runs once more and what is saved then, in the same order, answers. So
 * closures, several outputs and higher derivatives need nothing special. What a backward pass has computed again is dropped
 * step by step, at the latest when the pass ends. A region within a region is computed again only within the outer one.
 * After Chen et al., "Training deep nets with sublinear memory cost" (2016), as PyTorch's `checkpoint(use_reentrant=False)`.
 */
import { fail } from '../errors.js';
import { formatType, type TensorType } from '../ir/graph.js';
import { formatShape, sameShape } from '../ir/shape.js';
import type { GradNode } from './tape.js';
import { type Executor, executor, Tensor } from './tensor.js';

/** A tensor that a step of the tape needs backwards. */
export interface Saved {
  /**
   * The tensor, checked for changes in place. `edge` is the step that computed it, for gradients of gradients; `op` and
   * `index` name it in errors.
   */
  read(op: string, index: number | string, edge: GradNode | null): Tensor;
  /** The step has run: nobody asks again in this pass. */
  drop(): void;
}

export const cloneIt = 'clone() it outside inferenceMode: that is a tensor like others';

class Kept implements Saved {
  readonly #tensor: Tensor;
  readonly #version: number;
  constructor(tensor: Tensor) {
    this.#tensor = tensor;
    this.#version = executor().versionOf(tensor);
  }
  read(op: string, index: number | string): Tensor {
    if (this.#tensor.meta.isInference)
      fail('E207', { problem: `Inference tensors cannot be saved for backward (${op}).`, hint: cloneIt });
    const version = executor().versionOf(this.#tensor);
    if (version === this.#version) return this.#tensor;
    const { dtype, shape } = this.#tensor;
    return fail('E204', { dtype, shape: formatShape(shape), op, index, version, expected: this.#version });
  }
  drop(): void {}
}

/** The same value as a tensor of its own, computed by another step. */
function withHistory({ type, value }: Tensor, node: GradNode | null): Tensor {
  const tensor = new Tensor(type, value);
  tensor.meta.node = node;
  return tensor;
}

class Recomputed implements Saved {
  constructor(
    readonly region: Region,
    readonly number: number,
    readonly type: TensorType,
  ) {}
  read(op: string, index: number | string, edge: GradNode | null): Tensor {
    const tensor = this.region.valueOf(this.number).read(op, index, edge);
    if (tensor.dtype !== this.type.dtype || !sameShape(tensor.shape, this.type.shape)) {
      fail('E207', {
        problem: `checkpoint: run again, the function computed a ${formatType(tensor.type)} where it had computed a ${formatType(this.type)}`,
        hint: 'it must do the same each time it runs',
      });
    }
    return withHistory(tensor, edge);
  }
  drop(): void {
    this.region.drop(this.number);
  }
}

/** Who decides what is saved: a region that runs for the first time, or one that runs again. */
interface Frame {
  readonly isFirstRun: boolean;
  /** What runs the region. What loops trace meanwhile is their own. */
  readonly executor: Executor;
  save(tensor: Tensor): Saved;
}
let frame: Frame | null = null;

function within<T>(inner: Frame, fn: () => T): T {
  const outer = frame;
  frame = inner;
  try {
    return fn();
  } finally {
    frame = outer;
  }
}

/** Keep a tensor for the way back. Leaves are never computed, so they stay. */
export const save = (tensor: Tensor): Saved =>
  frame?.executor !== executor() || tensor.meta.requiresGrad ? new Kept(tensor) : frame.save(tensor);

/** Keep a tensor as it is, in a region too. */
export const keep = (tensor: Tensor): Saved => new Kept(tensor);

/** Run `run` as a region; `again` runs it once more, for what it saves. */
export function recomputedRegion<T>(run: () => T, again: () => void): T {
  if (frame?.isFirstRun) return run();
  const region = new Region(again, frame);
  const result = within(region, run);
  region.isComplete = true;
  return result;
}

class Region implements Frame {
  readonly isFirstRun = true;
  readonly executor = executor();
  isComplete = false;
  #count = 0;
  /** What the current pass has computed again, null where it has been dropped; and what no longer needs to be kept. */
  #values: (Saved | null)[] | null = null;
  readonly #dropped = new Set<number>();

  constructor(
    readonly again: () => void,
    /** The region that runs again, around this one. */
    readonly around: Frame | null,
  ) {}

  save(tensor: Tensor): Saved {
    const saved = new Recomputed(this, this.#count++, tensor.type);
    if (this.around instanceof SecondRun) this.around.values.push(saved);
    return saved;
  }

  valueOf(number: number): Saved {
    pass?.regions.add(this);
    const value = (this.#values ??= this.#runAgain())[number];
    return value ?? this.#refuse(this.#values.length);
  }

  drop(number: number): void {
    pass?.regions.add(this);
    this.#dropped.add(number);
    this.#values?.[number]?.drop();
    if (this.#values) this.#values[number] = null;
  }

  forget(): void {
    this.#values = null;
    this.#dropped.clear();
  }

  #runAgain(): (Saved | null)[] {
    const { values } = new SecondRun(this.again);
    if (this.isComplete && values.length !== this.#count) this.#refuse(values.length);
    return values.map((value, number) => (this.#dropped.has(number) ? null : value));
  }

  #refuse(given: number): never {
    return fail('E207', {
      problem: `checkpoint: run again, the function saved ${given} tensors where it had saved ${this.#count}`,
      hint: 'it must do the same each time it runs',
    });
  }
}

class SecondRun implements Frame {
  readonly isFirstRun = false;
  readonly executor = executor();
  readonly values: Saved[] = [];

  constructor(again: () => void) {
    const anew = executor().computeAnew;
    const run = (): void => within(this, again);
    if (anew && pass?.grad) anew.call(executor(), pass.grad, run);
    else run();
  }

  save(tensor: Tensor): Saved {
    this.values.push(new Kept(withHistory(tensor, null)));
    return new Kept(tensor);
  }
}

// ── backward passes ────────────────────────────────────────────────────────────────────────────────────────────────────

interface Pass {
  /** What has arrived at the step that runs. */
  grad: Tensor | null;
  readonly regions: Set<Region>;
}
let pass: Pass | null = null;

/** Run a backward pass, which says what arrives at each step; regions that ran again for it forget that when it ends. */
export function backwardPass(run: (arrives: (grad: Tensor) => void) => void): void {
  const outer = pass;
  const own: Pass = { grad: null, regions: new Set() };
  pass = own;
  try {
    run(grad => {
      own.grad = grad;
    });
  } finally {
    pass = outer;
    for (const region of own.regions) region.forget();
  }
}
