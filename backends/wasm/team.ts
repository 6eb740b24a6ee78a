/**
 * What a module for threads has besides its kernels. Its memory is shared and imported; each thread has an instance. The
 * first thread is the one that calls the entries; the others run `thread:work`, where they wait at a barrier for an entry
 * to run together.
 *
 *   thread:join(thread, threads, spins, patience)
 *                       which thread this instance is; how often it looks before it sleeps at a barrier (0: it never
 *                       sleeps), and between entries
 *   thread:work()       what all but the first thread run; returns when the team is no more
 *   thread:disband()    the team is no more, since a thread has failed or none is needed: whoever waits within an entry
 *                       traps, whoever waits for one returns
 *
 * Waiting is spinning for a while, then sleeping: a thread that spins on keeps others from the processor it waits for. Who
 * is last at a barrier wakes the others only if some sleep.
 *
 * A thread may be ended from outside, or hang, and would be waited for for ever. So the first thread sleeps a second at a
 * time, and each time names to `late`, which it imports, the thread that has not come and a number that changes while that
 * one gets on; who knows whether it still runs throws there. The others wait without an end, since they hold up nobody.
 */
import binaryen from 'binaryen';
import { type EntryStep, StepBuilder } from './entry.js';
import { BARRIER, SCRATCH, SHARED, THREAD, THREADS } from './globals.js';
import { addTurns, TURN_BYTES } from './turns.js';

const { i32, none } = binaryen;

/** Of each thread's memory: its word of `turns.ts`, then how often it has come to a barrier, on a cache line of its own. */
export const MEMBER_BYTES = TURN_BYTES + 64;
const ARRIVAL = TURN_BYTES;

export interface TeamPlan {
  readonly entries: ReadonlyMap<string, readonly EntryStep[]>;
  /** Where the words lie through which threads meet. */
  readonly control: number;
  /** Where the scratch memory lies that all have in common. */
  readonly shared: number;
  /** Bytes that each thread has for itself, from the plan's `scratchBase` on: `MEMBER_BYTES`, and scratch memory. */
  readonly threadBytes: number;
}

const SPINS = 'spins';
const PATIENCE = 'patience';
const IDLE = 'thread.idle';
const SLEEP = 'thread.sleep';
const MISS = 'thread.miss';
const LATE = 'late';
const EVERYBODY = -1;
/** How long the first thread sleeps before it asks, in nanoseconds. */
const SECOND = 1_000_000_000n;
/** What a sleep gives that nobody has ended. */
const TIMED_OUT = 2;

/** The words, each on a cache line of its own. */
const GENERATION = 0;
const ARRIVED = 64;
const SLEEPERS = 128;
const COMMAND = 192;
const DISBANDED = 256;
export const CONTROL_BYTES = 320;

/** The custom section that tells the loader how much memory a team needs: bytes, and bytes of each thread, as u32. */
export const TEAM_SECTION = 'gradc.team';

/** Adds globals, the functions above, the entries, and the section. */
export function addTeam(module: binaryen.Module, team: TeamPlan, scratchBase: number): void {
  new TeamBuilder(module, team, scratchBase).build();
  module.addCustomSection(TEAM_SECTION, new Uint8Array(new Uint32Array([scratchBase, team.threadBytes]).buffer));
}

class TeamBuilder {
  constructor(
    private readonly module: binaryen.Module,
    private readonly team: TeamPlan,
    private readonly members: number,
  ) {}

  build(): void {
    const { members, module, team } = this;
    module.addFunctionImport(LATE, 'env', LATE, binaryen.createType([i32, i32]), none);
    module.addGlobal(SHARED, i32, false, this.int(team.shared));
    for (const [name, initial] of Object.entries({
      [SCRATCH]: members + MEMBER_BYTES,
      [THREAD]: 0,
      [THREADS]: 1,
      [SPINS]: 0,
      [PATIENCE]: 0,
    }))
      module.addGlobal(name, i32, true, this.int(initial));
    this.addJoin();
    addTurns(module, { base: members, distance: team.threadBytes });
    this.addMiss();
    this.addSleep();
    this.addBarrier(BARRIER, SPINS, () => module.unreachable());
    this.addBarrier(IDLE, PATIENCE, () => module.return());
    const entries = [...team.entries].map(([name, steps], number) => this.addEntry(number, name, steps));
    this.addWork(entries);
    this.exported('thread:disband', [this.store(DISBANDED, this.int(1)), this.openNext()]);
  }

  private addJoin(): void {
    const { module } = this;
    const param = (n: number): number => module.local.get(n, i32);
    const body = [
      module.global.set(THREAD, param(0)),
      module.global.set(THREADS, param(1)),
      module.global.set(SPINS, param(2)),
      module.global.set(PATIENCE, param(3)),
      module.global.set(SCRATCH, module.i32.add(this.memberOf(param(0)), this.int(MEMBER_BYTES))),
    ];
    this.exported('thread:join', body, [i32, i32, i32, i32]);
  }

  /**
   * The last to arrive opens the next generation; the others wait for it. The end of the team opens one too, once and for
   * all: who read the old number sees it change, who reads the new one sees that there is no team.
   */
  private addBarrier(name: string, spinsBeforeSleep: string, leave: () => number): void {
    const { module } = this;
    const [generation, spins] = [0, 1];
    const isLast = module.i32.eq(
      module.i32.atomic.rmw.add(0, this.word(ARRIVED), this.int(1)),
      module.i32.sub(module.global.get(THREADS, i32), this.int(1)),
    );
    const goOn = module.block(null, [this.store(ARRIVED, this.int(0)), this.openNext()]);
    const leaveIfDisbanded = (): number => module.if(this.load(DISBANDED), leave());
    const body = module.block(null, [
      module.local.set(generation, this.load(GENERATION)),
      module.local.set(spins, module.global.get(spinsBeforeSleep, i32)),
      leaveIfDisbanded(),
      module.i32.store(ARRIVAL, 4, this.memberOf(module.global.get(THREAD, i32)), this.after(generation)),
      module.if(isLast, goOn, this.waiting(generation, spins)),
      leaveIfDisbanded(),
    ]);
    module.addFunction(name, none, none, [i32, i32], body);
  }

  /** Until the generation is another: as often as there are spins left, then asleep. */
  private waiting(generation: number, spins: number): number {
    const { module } = this;
    const left = (): number => module.local.get(spins, i32);
    const before = (): number => module.local.get(generation, i32);
    const next = module.if(
      module.i32.eq(left(), this.int(1)),
      module.call(SLEEP, [before()], i32),
      module.i32.sub(left(), this.int(1)),
    );
    return module.loop(
      'wait',
      module.if(
        module.i32.eq(this.load(GENERATION), before()),
        module.block(null, [module.local.set(spins, next), module.br('wait')]),
      ),
    );
  }

  /**
   * Gives how often to look before the next sleep: once, and 2^32 times, which is 0, where a thread never sleeps.
   *
   * A function of its own: where the sleep stands within the loop of a barrier, threads of Node 20 now and then leave that
   * barrier before it opens (seen with code of V8's baseline compiler only, on a busy machine).
   */
  private addSleep(): void {
    const { module } = this;
    const generation = (): number => module.local.get(0, i32);
    const asleep = (change: 'add' | 'sub'): number =>
      module.drop(module.i32.atomic.rmw[change](0, this.word(SLEEPERS), this.int(1)));
    const sleeps = (): number => module.i32.ne(module.global.get(SPINS, i32), this.int(0));
    const isFirst = (): number => module.i32.eqz(module.global.get(THREAD, i32));
    const [second, forEver] = [SECOND, -1n].map(time => module.i64.const(time));
    const wait = module.memory.atomic.wait32(
      this.word(GENERATION),
      generation(),
      module.select(isFirst(), second, forEver),
    );
    const sleep = [asleep('add'), module.local.set(1, wait), asleep('sub')];
    const body = [
      module.local.set(1, this.int(TIMED_OUT)),
      module.if(sleeps(), module.block(null, sleep)),
      module.if(
        module.i32.and(isFirst(), module.i32.eq(module.local.get(1, i32), this.int(TIMED_OUT))),
        module.call(MISS, [generation()], none),
      ),
      sleeps(),
    ];
    module.addFunction(SLEEP, i32, i32, [i32], module.block(null, body, i32));
  }

  /** Names the threads that have not come to this barrier. */
  private addMiss(): void {
    const { module } = this;
    const [generation, thread, member] = [0, 1, 2];
    const get = (local: number): number => module.local.get(local, i32);
    const progress = module.i32.add(module.i32.atomic.load(0, get(member)), get(generation));
    const body = module.loop(
      'next',
      module.block(null, [
        module.local.set(thread, module.i32.add(get(thread), this.int(1))),
        module.if(module.i32.eq(get(thread), module.global.get(THREADS, i32)), module.return()),
        module.local.set(member, this.memberOf(get(thread))),
        module.if(
          module.i32.ne(module.i32.load(ARRIVAL, 4, get(member)), this.after(generation)),
          module.call(LATE, [get(thread), progress], none),
        ),
        module.br('next'),
      ]),
    );
    module.addFunction(MISS, i32, none, [i32, i32], body);
  }

  /** The generation that a barrier opens. */
  private after(generation: number): number {
    return this.module.i32.add(this.module.local.get(generation, i32), this.int(1));
  }

  /**
   * The entry as the first thread calls it, and the part of it that all run. What only the first thread does before the
   * others are needed, or after, it does without them. Returns the name of the common part, if there is one.
   */
  private addEntry(number: number, name: string, steps: readonly EntryStep[]): string | null {
    const first = steps.findIndex(isByAll);
    const end = steps.findLastIndex(isByAll) + 1;
    if (first < 0) {
      const run = this.steps(ofFirst(steps));
      this.exported(name, [run.code], [], run.locals);
      return null;
    }
    const common = `team.${name}`;
    const together = this.steps(steps.slice(first, end));
    this.internal(common, [together.code], [], together.locals);
    const before = this.steps(ofFirst(steps.slice(0, first)), 'before.');
    const after = this.steps(ofFirst(steps.slice(end)), 'after.');
    const body = [
      before.code,
      this.store(COMMAND, this.int(number)),
      this.call(BARRIER),
      this.call(common),
      this.call(BARRIER),
      after.code,
    ];
    this.exported(name, body, [], before.locals.length > after.locals.length ? before.locals : after.locals);
    return common;
  }

  private steps(steps: readonly EntryStep[], prefix = ''): { code: number; locals: number[] } {
    const builder = new StepBuilder(this.module, 0, prefix);
    return { code: builder.block(steps), locals: builder.locals };
  }

  private addWork(entries: readonly (string | null)[]): void {
    const { module } = this;
    const command = (): number => module.local.get(0, i32);
    const runs = entries.flatMap((name, number) =>
      name === null ? [] : [module.if(module.i32.eq(command(), this.int(number)), this.call(name))],
    );
    const body = module.loop(
      'next',
      module.block(null, [
        this.call(IDLE),
        module.if(this.load(DISBANDED), module.return()),
        module.local.set(0, this.load(COMMAND)),
        ...runs,
        this.call(BARRIER),
        module.br('next'),
      ]),
    );
    this.exported('thread:work', [body], [], [i32]);
  }

  /** The barrier opens; who sleeps there is woken. */
  private openNext(): number {
    const { module } = this;
    return module.block(null, [
      module.drop(module.i32.atomic.rmw.add(0, this.word(GENERATION), this.int(1))),
      module.if(
        this.load(SLEEPERS),
        module.drop(module.memory.atomic.notify(this.word(GENERATION), this.int(EVERYBODY))),
      ),
    ]);
  }

  private internal(name: string, body: readonly number[], params: number[] = [], vars: number[] = []): void {
    this.module.addFunction(name, binaryen.createType(params), none, vars, this.module.block(null, [...body], none));
  }

  private exported(name: string, body: readonly number[], params: number[] = [], vars: number[] = []): void {
    this.internal(`entry.${name}`, body, params, vars);
    this.module.addFunctionExport(`entry.${name}`, name);
  }

  private int(value: number): number {
    return this.module.i32.const(value);
  }

  /** Where the memory of a thread begins. */
  private memberOf(thread: number): number {
    return this.module.i32.add(this.int(this.members), this.module.i32.mul(thread, this.int(this.team.threadBytes)));
  }

  private word(at: number): number {
    return this.int(this.team.control + at);
  }

  private load(at: number): number {
    return this.module.i32.atomic.load(0, this.word(at));
  }

  private store(at: number, value: number): number {
    return this.module.i32.atomic.store(0, this.word(at), value);
  }

  private call(name: string): number {
    return this.module.call(name, [], none);
  }
}

const isBarrier = (step: EntryStep): boolean => 'target' in step && step.target === BARRIER;
const isByAll = (step: EntryStep): boolean => !('alone' in step) && !isBarrier(step);
/** What the first thread does while no other runs. */
const ofFirst = (steps: readonly EntryStep[]): EntryStep[] =>
  steps.flatMap(step => ('alone' in step ? step.alone : []));
