/**
 * Who runs which part of a loop that threads divide among them. The loop is cut into turns. Thread t of T begins with the
 * t-th part of them, so that what it reads lies in its own cache when it was the one that wrote it, and takes them one by
 * one; when they are used up it helps the others with theirs. So a thread that other programs keep from its processor, or
 * whose processor is slow, does less, and the loop ends when the work does. (Work stealing: R. D. Blumofe and C. E. Leiserson,
 * "Scheduling multithreaded computations by work stealing", 1999; here with counters instead of queues, since the turns
 * are known.)
 *
 * Each thread has a word in memory: which loop it is in (the upper half: how many it has begun), and which of its turns comes
 * next. Only its owner begins a loop; all take turns by compare and exchange. Others take from it only while it is in the
 * same loop as they are, so no barrier is needed between two loops: who has gone on has no turns left, and who has not come
 * yet will do its own. The numbers of loops come back after 65536, before which there is a barrier: every entry ends in one,
 * and only loops that are worth dividing are counted.
 *
 *   turns.begin(turns)
 *   turns.take(turns) -> the number of a turn, or -1 where all are taken
 */
import binaryen from 'binaryen';
import { BEGIN_TURNS, TAKE_TURN, THREAD, THREADS } from './globals.js';

const { i32 } = binaryen;

/** Of each thread's memory: its word, on a cache line of its own. */
export const TURN_BYTES = 64;
/** What the lower half of a word can count. */
export const MOST_TURNS = 0xffff;

const LOOP_UNIT = 0x10000;
const LOOP = 'turns.loop';
const HELPED = 'turns.helped';

/** Where the words are: that of thread t lies `distance`·t bytes behind `base`. */
export interface TurnWords {
  readonly base: number;
  readonly distance: number;
}

/** Adds the functions, and the globals they need. */
export function addTurns(module: binaryen.Module, words: TurnWords): void {
  module.addGlobal(LOOP, i32, true, module.i32.const(0));
  module.addGlobal(HELPED, i32, true, module.i32.const(0));
  new TurnFunctions(module, words).add();
}

class TurnFunctions {
  constructor(
    private readonly module: binaryen.Module,
    private readonly words: TurnWords,
  ) {}

  add(): void {
    const { module } = this;
    module.addFunction(BEGIN_TURNS, i32, binaryen.none, [], this.beginning());
    module.addFunction(TAKE_TURN, i32, i32, [i32, i32, i32], this.taking());
  }

  private beginning(): number {
    const { module } = this;
    const { add } = module.i32;
    const next = add(module.global.get(LOOP, i32), this.int(LOOP_UNIT));
    const first = this.turnsUpTo(this.thread());
    return module.block(null, [
      module.global.set(LOOP, next),
      module.global.set(HELPED, this.int(0)),
      module.i32.atomic.store(0, this.wordOf(this.thread()), add(module.global.get(LOOP, i32), first)),
    ]);
  }

  /** From the own word, then from that of the next thread, and so on. */
  private taking(): number {
    const { module } = this;
    const { add, and, eq, ge_u, lt_u, sub, xor } = module.i32;
    const [owner, at, word] = [1, 2, 3];
    const get = (local: number): number => module.local.get(local, i32);
    const helped = (): number => module.global.get(HELPED, i32);
    const turn = (): number => and(get(word), this.int(LOOP_UNIT - 1));
    const isInThisLoop = lt_u(xor(get(word), module.global.get(LOOP, i32)), this.int(LOOP_UNIT));
    const isLeft = lt_u(turn(), this.turnsUpTo(add(get(owner), this.int(1))));
    const taken = module.i32.atomic.rmw.cmpxchg(0, get(at), get(word), add(get(word), this.int(1)));
    const inOrder = add(this.thread(), helped());
    return module.loop(
      'again',
      module.block(
        null,
        [
          module.local.set(owner, inOrder),
          module.if(ge_u(get(owner), this.threads()), module.local.set(owner, sub(get(owner), this.threads()))),
          module.local.set(at, this.wordOf(get(owner))),
          module.local.set(word, module.i32.atomic.load(0, get(at))),
          module.if(
            and(isInThisLoop, isLeft),
            module.block(null, [module.if(eq(taken, get(word)), module.return(turn())), module.br('again')]),
          ),
          module.global.set(HELPED, add(helped(), this.int(1))),
          module.br_if('again', lt_u(helped(), this.threads())),
          this.int(-1),
        ],
        i32,
      ),
    );
  }

  /** The turns that are those of threads before this one: T·t/N. */
  private turnsUpTo(thread: number): number {
    const { module } = this;
    return module.i32.div_u(module.i32.mul(thread, module.local.get(0, i32)), this.threads());
  }

  private wordOf(thread: number): number {
    const { module } = this;
    return module.i32.add(this.int(this.words.base), module.i32.mul(thread, this.int(this.words.distance)));
  }

  private thread(): number {
    return this.module.global.get(THREAD, i32);
  }

  private threads(): number {
    return this.module.global.get(THREADS, i32);
  }

  private int(value: number): number {
    return this.module.i32.const(value);
  }
}
