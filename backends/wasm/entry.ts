/**
 * The steps of an entry as instructions: calls with constant or moving addresses, loops and branches around them. In a team
 * every thread runs them, but for what is only the first one's.
 */
import binaryen from 'binaryen';
import { type Address, isLaunch, isLoop, type Launch, type Step } from '../../compiler/ir/program.js';
import { THREAD } from './globals.js';

const { i32, none } = binaryen;

/** A call of a function with addresses, which may move with the loops around. */
export interface Call {
  readonly target: string;
  readonly args: readonly number[];
  readonly strides?: readonly (readonly number[])[];
}
export interface EntryLoop {
  readonly trips: number | { readonly steps: readonly EntryStep[]; readonly holds: Address };
  readonly body: readonly EntryStep[];
}
export interface EntryBranch {
  readonly predicate: Address;
  readonly yes: readonly EntryStep[];
  readonly no: readonly EntryStep[];
}
/** In a module for threads: what only the first thread does. */
export interface EntryAlone {
  readonly alone: readonly EntryStep[];
}
export type EntryStep = Call | EntryLoop | EntryBranch | EntryAlone;

/** The steps of a program as those of a module, given the call of each launch. */
export function entrySteps(steps: readonly Step[], callOf: (launch: Launch) => Call): EntryStep[] {
  const inside = (block: readonly Step[]): EntryStep[] => entrySteps(block, callOf);
  return steps.map(step => {
    if (isLaunch(step)) return callOf(step);
    if (!isLoop(step)) return { ...step, yes: inside(step.yes), no: inside(step.no) };
    const { trips, body } = step;
    return { trips: typeof trips === 'number' ? trips : { ...trips, steps: inside(trips.steps) }, body: inside(body) };
  });
}

/**
 * Builds steps into functions whose locals, from `firstLocal` on, count iterations: as many as loops are nested. Labels bear
 * `prefix`, so that what several builders make can be one function.
 */
export class StepBuilder {
  /** Loops inside one another, at most. */
  deepest = 0;
  #labels = 0;

  constructor(
    readonly module: binaryen.Module,
    readonly firstLocal = 0,
    private readonly prefix = '',
  ) {}

  get locals(): number[] {
    return new Array<number>(this.deepest).fill(i32);
  }

  block(steps: readonly EntryStep[], depth = 0): number {
    return this.module.block(
      null,
      steps.map(step => this.step(step, depth)),
      none,
    );
  }

  step(step: EntryStep, depth = 0): number {
    if ('target' in step) return this.#call(step, depth);
    if ('trips' in step) return this.#loop(step, depth);
    if ('alone' in step) {
      const isFirst = this.module.i32.eqz(this.module.global.get(THREAD, i32));
      return this.module.if(isFirst, this.block(step.alone, depth));
    }
    const [yes, no] = [this.block(step.yes, depth), this.block(step.no, depth)];
    return this.module.if(this.#bit(step.predicate, depth), yes, no);
  }

  #call({ target, args, strides }: Call, depth: number): number {
    const places = args.map((base, i) => this.#place({ base, strides: strides?.[i] ?? [] }, depth));
    return this.module.call(target, places, none);
  }

  #loop({ trips, body }: EntryLoop, depth: number): number {
    if (trips === 0) return this.module.nop();
    const { module } = this;
    this.deepest = Math.max(this.deepest, depth + 1);
    const [again, out] = [`${this.prefix}loop${this.#labels}`, `${this.prefix}end${this.#labels++}`];
    const counter = this.firstLocal + depth;
    const next = (): number => module.i32.add(module.local.get(counter, i32), module.i32.const(1));
    const start = module.local.set(counter, module.i32.const(0));
    const inside = this.block(body, depth + 1);
    if (typeof trips === 'number') {
      const more = module.i32.lt_s(module.local.tee(counter, next(), i32), module.i32.const(trips));
      return module.block(null, [start, module.loop(again, module.block(null, [inside, module.br_if(again, more)]))]);
    }
    const stop = module.br_if(out, module.i32.eqz(this.#bit(trips.holds, depth + 1)));
    const turn = [
      this.block(trips.steps, depth + 1),
      stop,
      inside,
      module.local.set(counter, next()),
      module.br(again),
    ];
    return module.block(out, [start, module.loop(again, module.block(null, turn))]);
  }

  #bit(address: Address, depth: number): number {
    return this.module.i32.load8_u(0, 1, this.#place(address, depth));
  }

  #place({ base, strides }: Address, depth: number): number {
    const { module } = this;
    return strides.slice(0, depth).reduce((sum, stride, l) => {
      if (stride === 0) return sum;
      const moved = module.i32.mul(module.local.get(this.firstLocal + l, i32), module.i32.const(stride));
      return module.i32.add(sum, moved);
    }, module.i32.const(base));
  }
}
