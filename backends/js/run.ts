/**
 * A program run by plain JavaScript on one ArrayBuffer: same kernels, same addresses and same state as the compiled module,
 * nothing scheduled. The oracle that compiled backends are compared with, and the fallback where WASM is refused.
 */
import { arrayOf, type DType, type TypedArray } from '../../compiler/ir/dtype.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import {
  type Address,
  isLaunch,
  isLoop,
  type Launch,
  type Loop,
  type Program,
  type Step,
} from '../../compiler/ir/program.js';
import { compileKernel, type KernelFunction } from './emit.js';

export interface JsModule {
  readonly memory: ArrayBuffer;
  /** One function per entry, reading and writing `memory` at the places of the program's slots. */
  readonly entries: Readonly<Record<string, () => void>>;
}

/** Compile all kernels of a program and give it zeroed memory. */
export function instantiateJs(program: Program): JsModule {
  const steps = new Steps(new ArrayBuffer(program.totalBytes));
  const entries = program.entries.map(entry => {
    const run = steps.block(entry.steps);
    return [entry.name, () => run([])] as const;
  });
  return { memory: steps.memory, entries: Object.fromEntries(entries) };
}

/** Does what a step does, given the iterations of the loops around, the outermost first. */
type Action = (iterations: readonly number[]) => void;

class Steps {
  readonly #compiled = new Map<Kernel, KernelFunction>();

  constructor(readonly memory: ArrayBuffer) {}

  block(steps: readonly Step[]): Action {
    const actions = steps.map(step => this.#step(step));
    return iterations => {
      for (const act of actions) act(iterations);
    };
  }

  #step(step: Step): Action {
    if (isLaunch(step)) return this.#launch(step);
    if (isLoop(step)) return this.#loop(step);
    const holds = this.#bit(step.predicate);
    const [yes, no] = [this.block(step.yes), this.block(step.no)];
    return iterations => (holds(iterations) ? yes : no)(iterations);
  }

  #launch({ kernel, args, strides }: Launch): Action {
    const run = this.#functionOf(kernel);
    const viewsAt = (iterations: readonly number[]): TypedArray[] =>
      kernel.params.map(({ buffer }, i) =>
        viewAt(
          this.memory,
          buffer.dtype,
          placeIn({ base: args[i], strides: strides?.[i] ?? [] }, iterations),
          buffer.size,
        ),
      );
    const moves = strides?.some(each => each.some(stride => stride !== 0));
    if (moves) return iterations => run(...viewsAt(iterations));
    const views = viewsAt([]);
    return () => run(...views);
  }

  #loop({ trips, body }: Loop): Action {
    const run = this.block(body);
    if (typeof trips === 'number') {
      return iterations => {
        for (let i = 0; i < trips; i++) run([...iterations, i]);
      };
    }
    const [prepare, holds] = [this.block(trips.steps), this.#bit(trips.holds)];
    return iterations => {
      for (let i = 0; ; i++) {
        const inside = [...iterations, i];
        prepare(inside);
        if (!holds(inside)) return;
        run(inside);
      }
    };
  }

  #bit(address: Address): (iterations: readonly number[]) => boolean {
    const bytes = new Uint8Array(this.memory);
    return iterations => bytes[placeIn(address, iterations)] === 1;
  }

  #functionOf(kernel: Kernel): KernelFunction {
    const known = this.#compiled.get(kernel) ?? compileKernel(kernel);
    this.#compiled.set(kernel, known);
    return known;
  }
}

const placeIn = ({ base, strides }: Address, iterations: readonly number[]): number =>
  strides.reduce((sum, stride, l) => sum + stride * (iterations[l] ?? 0), base);

const viewAt = (memory: ArrayBuffer, dtype: DType, offset: number, size: number): TypedArray =>
  new (arrayOf(dtype))(memory, offset, size);
