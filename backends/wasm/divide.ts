/**
 * A scheduled kernel divided among threads, all of which run the same function: loops over independent iterations become
 * `thread.x` loops, whose iterations threads take in turns (`turns.ts`); what only one thread may do becomes a `thread.x`
 * loop of one iteration; what fills registers every thread does for itself. Scratch memory that is filled together is
 * `shared`, and barriers stand where one thread needs what another one did:
 *
 *   alloc local panel[4096]:                          alloc shared panel[4096]:
 *     parallel p<64: … store panel[…]            ->     thread.x p<64: … store panel[…]
 *     parallel m<32: … load panel[…] …                  barrier
 *                                                       thread.x m<32: … load panel[…] …
 *
 * Nothing is computed in another order than on one thread, so every bit is the same for every number of threads:
 * reductions are not divided, vectors and tiles stay whole.
 *
 * Which loop of a nest is divided is decided by the time a team would take, as a mean over teams of several sizes.
 */
import { type Buffer, type Kernel, loop, makeIter, type Stmt } from '../../compiler/ir/kernel.js';
import { bodyOf, writesOf } from './accesses.js';
import { withBarriers } from './barriers.js';
import { withSharedScratch } from './shared-scratch.js';
import { LOOP, workOf } from './work.js';

/** What working together costs, in cycles. */
export interface TeamCosts {
  /** From one thread's arrival at a barrier to when all have left it. */
  readonly barrier: number;
  /** From the call of an entry to when threads that slept have come: what a team has to save. */
  readonly waking: number;
  /** About how much of a loop a thread takes at a time. */
  readonly turn: number;
}
/** About half a microsecond, and fifty of them; a turn costs about fifty cycles. */
export const measuredCosts: TeamCosts = { barrier: 1500, waking: 150_000, turn: 5000 };

/** The sizes of teams that a division should suit. */
const TEAMS = [2, 4];

export interface DividedKernel {
  readonly kernel: Kernel;
  /** Estimated cycles on one thread, and on a team. */
  readonly alone: number;
  readonly together: number;
}

/** The kernel for a team; null where one thread is as fast. */
export function divideKernel(kernel: Kernel, costs: TeamCosts = measuredCosts): DividedKernel | null {
  const alone = workOf(kernel.body);
  const { stmts, cycles: together } = new Divider(costs.barrier).block(kernel.body);
  if (together + costs.barrier >= alone) return null;
  return { kernel: { ...kernel, body: withBarriers(withSharedScratch(stmts)) }, alone, together };
}

/** The same kernel for one thread of a team: what scratch memory it needs is the team's. */
export const forOneThread = (kernel: Kernel): Kernel => ({ ...kernel, body: withSharedScratch(kernel.body) });

/** Statements for a team, and the cycles they take it. */
interface Division {
  readonly stmts: readonly Stmt[];
  readonly cycles: number;
}

class Divider {
  constructor(private readonly barrier: number) {}

  block(stmts: readonly Stmt[]): Division {
    const parts = stmts.map(stmt => this.divided(stmt));
    return { stmts: parts.flatMap(part => part.stmts), cycles: parts.reduce((sum, part) => sum + part.cycles, 0) };
  }

  private divided(stmt: Stmt): Division {
    const alone = workOf([stmt]);
    const outside = writtenOutside(stmt);
    const isMemory = (buffer: Buffer): boolean => buffer.scope !== 'register';
    const options: Division[] = [];
    if (![...writesOf([stmt])].some(isMemory)) options.push({ stmts: [stmt], cycles: alone });
    if (outside.every(isMemory)) {
      if (stmt.kind === 'loop' && stmt.map === 'parallel' && stmt.limit === null)
        options.push({
          stmts: [{ ...stmt, map: 'thread.x' }],
          cycles: together(alone, stmt.iter.extent) + this.barrier,
        });
      options.push({ stmts: [loop(makeIter('one', 1), 'thread.x', [stmt])], cycles: alone + this.barrier });
    }
    const inside = this.dividedInside(stmt);
    if (inside !== null) options.push(inside);
    // what fills both memory and registers that live on is for one thread, with all that those registers are for
    const impossible: Division = { stmts: [stmt], cycles: Number.POSITIVE_INFINITY };
    return options.reduce((a, b) => (b.cycles < a.cycles ? b : a), impossible);
  }

  /** Every thread runs the loop, or has the buffer, and what is inside is divided. */
  private dividedInside(stmt: Stmt): Division | null {
    if (stmt.kind === 'alloc') {
      const { stmts, cycles } = this.block(stmt.body);
      return { stmts: [{ ...stmt, body: stmts }], cycles };
    }
    if (stmt.kind !== 'loop' || stmt.limit !== null || (stmt.map !== 'parallel' && stmt.map !== 'serial')) return null;
    const { stmts, cycles } = this.block(stmt.body);
    // a perfect nest needs no barrier but the one at its end
    const between = stmt.map === 'parallel' && stmt.body.length === 1 && stmts[0].kind === 'loop' ? this.barrier : 0;
    return { stmts: [{ ...stmt, body: stmts }], cycles: stmt.iter.extent * (cycles - between + LOOP) + between };
  }
}

/**
 * Threads are not equally fast, since other programs run beside them, so somebody waits while the last turn is run: for a
 * tenth of it, where that is more than a moment (60 microseconds).
 */
const WAITED_FOR = 0.1;
const MOMENT = 200_000;

/** The cycles that a loop of so many iterations takes a team. */
const together = (alone: number, extent: number): number =>
  alone * share(extent) + WAITED_FOR * Math.max(0, alone / extent - MOMENT);

/** The part of a loop's time that its slowest thread takes. */
const share = (extent: number): number =>
  TEAMS.reduce((sum, threads) => sum + Math.ceil(extent / threads) / extent, 0) / TEAMS.length;

/** The buffers that a statement writes and that live on after it. */
function writtenOutside(stmt: Stmt): Buffer[] {
  const own = new Set<Buffer>();
  const collect = (inner: Stmt): void => {
    if (inner.kind === 'alloc') own.add(inner.buffer);
    bodyOf(inner).forEach(collect);
  };
  collect(stmt);
  return [...writesOf([stmt])].filter(buffer => !own.has(buffer));
}
