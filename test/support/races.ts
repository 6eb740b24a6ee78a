/**
 * Finds races in what a team of threads runs, without threads: each thread is an instance of the module over one memory, all
 * within this thread, and goes on up to the next barrier when its turn comes. Every byte remembers who has touched it since
 * the last barrier; two who have, one of them writing, are a race, whether or not it would show.
 *
 * Code stops at a barrier and goes on later by binaryen's asyncify pass, which unwinds the stack into memory and rewinds it.
 * What goes to memory does so through calls of `read` and `write`, which are put around the pointers of emitted functions.
 */
import binaryen from 'binaryen';
import { wasm } from '../../backends/wasm/backend.js';
import { buildFunction } from '../../backends/wasm/build.js';
import type { Scope, Value } from '../../backends/wasm/code.js';
import { type EmittedFunction, emitHelper } from '../../backends/wasm/emit.js';
import { StepBuilder } from '../../backends/wasm/entry.js';
import { BARRIER, BEGIN_TURNS, SCRATCH, SHARED, TAKE_TURN, THREAD, THREADS } from '../../backends/wasm/globals.js';
import type { Instruction } from '../../backends/wasm/instruction.js';
import type { ModulePlan } from '../../backends/wasm/module.js';
import { planTeam } from '../../backends/wasm/plan.js';
import type { Program } from '../../compiler/ir/program.js';
import { scheduleProgram } from '../../compiler/pipeline.js';
import { divideAll, type Running } from './team.js';

const { i32, none } = binaryen;
const features =
  binaryen.Features.SIMD128 |
  binaryen.Features.BulkMemory |
  binaryen.Features.NontrappingFPToInt |
  binaryen.Features.SignExt;
const PAGE = 65536;
/** Where a thread's stack goes while it waits. */
const STACK = PAGE;

/** The order in which threads take their turns between two barriers. */
export type Turns = (threads: readonly Turn[]) => readonly Turn[];
export const inOrder: Turns = threads => threads;
export const inReverse: Turns = threads => threads.toReversed();

/** A program in memory as of a team, with the races that its runs had: which functions, who, where. */
export interface Traced extends Running {
  readonly races: ReadonlySet<string>;
}

export function runTraced(program: Program, threads: number, turns: Turns = inOrder, plans = planTeam): Traced {
  const plan = plans(scheduleProgram(program, wasm, {}), false, divideAll);
  const team = plan.team!;
  const stacks = plan.scratchBase + threads * team.threadBytes;
  const pages = Math.ceil((stacks + threads * STACK) / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const touched = new Touched(plan.scratchBase, [...plan.functions.keys()]);
  const module = new WebAssembly.Module(stoppable(plan, pages) as BufferSource);
  const members = Array.from({ length: threads }, (_, thread) => {
    const globals = {
      [SHARED]: team.shared,
      [SCRATCH]: plan.scratchBase + thread * team.threadBytes,
      [THREAD]: thread,
      [THREADS]: threads,
    };
    return new Turn(module, memory, globals, stacks + thread * STACK, touched.by(thread));
  });
  return {
    memory: new Uint8Array(memory.buffer),
    races: touched.races,
    run(entry) {
      for (const member of members) member.begin(entry);
      while (members.some(({ isOver }) => !isOver)) {
        for (const member of turns(members)) member.goOn();
        touched.barrier();
        if (new Set(members.map(({ isOver }) => isOver)).size > 1) throw new Error('not all threads come to a barrier');
      }
    },
    end() {},
  };
}

/** What one thread does from barrier to barrier. */
class Turn {
  isOver = true;
  readonly #exports: Readonly<Record<string, (...args: number[]) => void>>;
  readonly #stack: number;
  #entry = '';
  #waits = false;

  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    globals: Record<string, number>,
    stack: number,
    touch: WebAssembly.ModuleImports,
  ) {
    const barrier = (): void => this.#barrier();
    const turns = turnsOf(globals[THREAD], globals[THREADS]);
    const env = { memory, barrier, ...globals, ...touch, ...turns };
    const { exports } = new WebAssembly.Instance(module, { env });
    this.#exports = exports as Record<string, () => void>;
    this.#stack = stack;
    new Uint32Array(memory.buffer).set([stack + 8, stack + STACK], stack / 4);
  }

  begin(entry: string): void {
    this.#entry = entry;
    this.isOver = false;
  }

  goOn(): void {
    if (this.#waits) this.#exports.asyncify_start_rewind(this.#stack);
    this.#exports[this.#entry]();
    this.isOver = !this.#waits;
    if (this.#waits) this.#exports.asyncify_stop_unwind();
  }

  /** Called where the thread arrives, and again when it goes on. */
  #barrier(): void {
    if (this.#waits) this.#exports.asyncify_stop_rewind();
    else this.#exports.asyncify_start_unwind(this.#stack);
    this.#waits = !this.#waits;
  }
}

/** Turns of divided loops, dealt out as if the threads had taken them in a wild order. */
function turnsOf(thread: number, threads: number): Record<string, WebAssembly.ImportValue> {
  let loops = 0;
  let next = 0;
  const taker = (turn: number): number => (Math.imul(turn + 31 * loops, 0x9e3779b1) >>> 16) % threads;
  return {
    [BEGIN_TURNS]() {
      loops++;
      next = 0;
    },
    [TAKE_TURN](turns: number) {
      while (next < turns && taker(next) !== thread) next++;
      return next < turns ? next++ : -1;
    },
  };
}

/** Who has touched which byte since the last barrier, as bits. */
class Touched {
  readonly races = new Set<string>();
  readonly #readers: Uint8Array;
  readonly #writers: Uint8Array;
  readonly #functions: Uint16Array;

  /** What lies from `bytes` on each thread has for itself. */
  constructor(
    private readonly bytes: number,
    private readonly names: readonly string[],
  ) {
    this.#readers = new Uint8Array(bytes);
    this.#writers = new Uint8Array(bytes);
    this.#functions = new Uint16Array(bytes);
  }

  by(thread: number): { read: WebAssembly.ImportValue; write: WebAssembly.ImportValue } {
    const own = 1 << thread;
    const touch =
      (touched: Uint8Array, others: readonly Uint8Array[], what: string) =>
      (pointer: number, offset: number, bytes: number, name: number): number => {
        for (let at = pointer + offset; at < Math.min(pointer + offset + bytes, this.bytes); at++) {
          if (others.some(who => (who[at] & ~own) !== 0)) this.#race(thread, what, at, name);
          touched[at] |= own;
          this.#functions[at] = name;
        }
        return pointer;
      };
    return {
      read: touch(this.#readers, [this.#writers], 'reads'),
      write: touch(this.#writers, [this.#readers, this.#writers], 'writes'),
    };
  }

  barrier(): void {
    this.#readers.fill(0);
    this.#writers.fill(0);
  }

  #race(thread: number, what: string, at: number, name: number): void {
    if (this.races.size >= 20) return;
    const others = `read by ${this.#readers[at].toString(2)}, written by ${this.#writers[at].toString(2)}`;
    this.races.add(
      `thread ${thread} ${what} byte ${at} in ${this.names[name]}: ${others}, last in ${this.names[this.#functions[at]]}`,
    );
  }
}

/** The module of a team whose barriers, and whatever goes to memory, are calls of the outside. */
function stoppable(plan: ModulePlan, pages: number): Uint8Array {
  const module = new binaryen.Module();
  module.setFeatures(features);
  module.setMemory(pages, pages);
  module.addMemoryImport('0', 'env', 'memory');
  for (const name of [SHARED, SCRATCH, THREAD, THREADS]) module.addGlobalImport(name, 'env', name, i32);
  module.addFunctionImport(BARRIER, 'env', 'barrier', none, none);
  module.addFunctionImport(BEGIN_TURNS, 'env', BEGIN_TURNS, i32, none);
  module.addFunctionImport(TAKE_TURN, 'env', TAKE_TURN, i32, i32);
  const touch = binaryen.createType([i32, i32, i32, i32]);
  for (const name of ['read', 'write']) module.addFunctionImport(name, 'env', name, touch, i32);
  const helpers = new Map<string, EmittedFunction>();
  const build = (name: string, { code, result, helpers: needed }: EmittedFunction): void => {
    buildFunction(module, name, code, result);
    for (const [inner, helper] of needed) if (!helpers.has(inner)) helpers.set(inner, emitHelper(helper));
  };
  for (const [number, [name, emitted]] of [...plan.functions].entries()) {
    announceTouches(emitted.code.root, number);
    build(name, emitted);
  }
  for (const [name, helper] of helpers) build(name, helper);
  for (const [name, steps] of plan.team!.entries) {
    const builder = new StepBuilder(module);
    const body = builder.block(steps);
    module.addFunction(`entry.${name}`, none, none, builder.locals, body);
    module.addFunctionExport(`entry.${name}`, name);
  }
  binaryen.setPassArgument('asyncify-imports', 'env.barrier');
  module.runPasses(['asyncify']);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

/** Around the pointer of each load and store: a call that says where it goes. */
function announceTouches(scope: Scope, name: number): void {
  const announced = (instruction: Instruction, args: readonly Value[]): readonly Value[] => {
    if (instruction.memory === undefined) return args;
    const [pointer, ...rest] = args;
    const number = (value: number): Value => valueOf(pointer, { kind: 'const', value });
    const touch = instruction.name.includes('store') ? 'write' : 'read';
    const facts = [instruction.memory.offset, bytesOf(instruction.name), name].map(number);
    return [valueOf(pointer, { kind: 'call', name: touch, args: [pointer, ...facts] }), ...rest];
  };
  for (const [at, item] of scope.items.entries()) {
    if (item.kind === 'effect') scope.items[at] = { ...item, args: announced(item.instruction, item.args) };
    else if (item.kind === 'value') {
      const { form } = item.value;
      if (form.kind === 'op')
        Object.assign(item.value, { form: { ...form, args: announced(form.instruction, form.args) } });
      else if (form.kind === 'choose') for (const arm of [form.yes, form.no]) announceTouches(arm.scope, name);
    } else if (item.kind === 'turns') announceTouches(item.body, name);
    else if (item.kind === 'loop') for (const inner of [item.body, item.step]) announceTouches(inner, name);
    else if (item.kind === 'if') for (const inner of [item.then, item.otherwise]) announceTouches(inner, name);
  }
}

const valueOf = ({ home }: Value, form: Value['form']): Value => ({
  id: -1,
  type: 'i32',
  form,
  home,
  uses: 1,
  usedInside: false,
});

/** How many bytes an instruction reads or writes: `v128.load16x4_s` eight, `i32.store8` one, `f64.load` eight. */
function bytesOf(name: string): number {
  const [, type, bits, lanes] = /^(\w+?)\.(?:load|store)(\d+)?(?:x(\d+))?/.exec(name)!;
  return (Number(bits ?? type.slice(1)) * Number(lanes ?? 1)) / 8;
}
