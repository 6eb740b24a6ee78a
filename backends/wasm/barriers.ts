/**
 * Barriers between the statements of a divided kernel: before whatever touches memory that another thread may have
 * written, or may still read, since the last one.
 *
 * Every thread runs the statements that are not `thread.x` loops, so between two of those nothing needs to be waited for
 * but through a `thread.x` loop.
 */
import { type Buffer, rangeOf, type Stmt } from '../../compiler/ir/kernel.js';
import { bodyOf, visitAccesses } from './accesses.js';

export const withBarriers = (stmts: readonly Stmt[]): Stmt[] => new BarrierPlacement().block(stmts);

interface Touch {
  readonly buffer: Buffer;
  readonly isStore: boolean;
  /** The elements it may be; null: any. */
  readonly range: { readonly min: number; readonly max: number } | null;
  /** Whether only the first thread does it. */
  readonly byOne: boolean;
}

class BarrierPlacement {
  /** What has been touched since the last barrier. */
  private pending: Touch[] = [];

  constructor(private live: readonly Buffer[] = []) {}

  block(stmts: readonly Stmt[]): Stmt[] {
    return stmts.flatMap(stmt => {
      if (stmt.kind === 'alloc') return this.alloc(stmt);
      if (stmt.kind === 'loop' && stmt.map !== 'thread.x' && stmt.body.some(holdsDivided)) return this.loop(stmt);
      return [...this.before(touchesOf(stmt)), stmt];
    });
  }

  private alloc(stmt: Extract<Stmt, { kind: 'alloc' }>): Stmt[] {
    const barrier = stmt.buffer.scope === 'shared' ? this.beforeScratch() : [];
    const outer = this.live;
    this.live = [...outer, stmt.buffer];
    const body = this.block(stmt.body);
    this.live = outer;
    return [...barrier, { ...stmt, body }];
  }

  /** A barrier where these conflict with what is pending; then they are pending. */
  private before(touches: readonly Touch[]): Stmt[] {
    const conflict = touches.some(touch => this.pending.some(earlier => conflicts(earlier, touch)));
    if (conflict) this.pending = [];
    this.pending.push(...touches);
    return conflict ? [{ kind: 'barrier' }] : [];
  }

  /** Scratch memory may be what a buffer had that is no more. */
  private beforeScratch(): Stmt[] {
    const isReused = this.pending.some(({ buffer }) => buffer.scope === 'shared' && !this.live.includes(buffer));
    if (isReused) this.pending = [];
    return isReused ? [{ kind: 'barrier' }] : [];
  }

  /** A loop that all threads run together: its iterations must not overtake one another where they share anything. */
  private loop(stmt: Extract<Stmt, { kind: 'loop' }>): Stmt[] {
    const takesScratch = stmt.body.some(holdsShared);
    const barriers = [...(takesScratch ? this.beforeScratch() : []), ...this.before(touchesOf(stmt))];
    const body = new BarrierPlacement(this.live).block(stmt.body);
    const isTight = stmt.map === 'parallel' && !takesScratch;
    return [...barriers, { ...stmt, body: isTight ? body : [...body, { kind: 'barrier' }] }];
  }
}

const conflicts = (a: Touch, b: Touch): boolean =>
  a.buffer === b.buffer && (a.isStore || b.isStore) && !(a.byOne && b.byOne) && overlap(a.range, b.range);
const overlap = (a: Touch['range'], b: Touch['range']): boolean =>
  a === null || b === null || (a.min <= b.max && b.min <= a.max);

function touchesOf(root: Stmt): Touch[] {
  const touches: Touch[] = [];
  const byOne = root.kind === 'loop' && root.map === 'thread.x' && root.iter.extent === 1;
  visitAccesses([root], ({ buffer, index, kind }) => {
    if (buffer.scope === 'param' || buffer.scope === 'shared')
      touches.push({ buffer, isStore: kind === 'store', range: rangeOf(index), byOne });
  });
  return touches;
}

const holds = (stmt: Stmt, test: (inner: Stmt) => boolean): boolean =>
  test(stmt) || bodyOf(stmt).some(inner => holds(inner, test));
const holdsDivided = (stmt: Stmt): boolean => holds(stmt, inner => inner.kind === 'loop' && inner.map === 'thread.x');
const holdsShared = (stmt: Stmt): boolean =>
  holds(stmt, inner => inner.kind === 'alloc' && inner.buffer.scope === 'shared');
