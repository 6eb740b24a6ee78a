/**
 * The stages of a kernel: pieces that run one after another on the device, each a `__global__` function of its own.
 *
 * A top-level statement that a schedule has mapped to threads is a stage; plain neighbours together are one, run by a
 * single thread. A `local` buffer allocated around stages is device scratch that carries values from one to the next.
 */
import { bytesOf } from '../../compiler/ir/dtype.js';
import { type Buffer, type LoopMap, type Stmt, walkExpr, walkStmts } from '../../compiler/ir/kernel.js';
import { topExpressions } from './expressions.js';

export const isThreadMap = (map: LoopMap): boolean => map.startsWith('block') || map.startsWith('thread');

/** Whether a schedule has mapped anything in it to threads. */
export function isScheduled(stmt: Stmt): boolean {
  let found = false;
  walkStmts([stmt], s => {
    found ||= s.kind === 'loop' && isThreadMap(s.map);
  });
  return found;
}

export interface Stages {
  readonly stages: readonly (readonly Stmt[])[];
  readonly scratch: readonly ScratchPlace[];
  readonly scratchBytes: number;
}
export interface ScratchPlace {
  readonly buffer: Buffer;
  /** Bytes from the start of the scratch memory. */
  readonly offset: number;
}

export function stagesOf(body: readonly Stmt[]): Stages {
  const stages: Stmt[][] = [];
  const scratch: ScratchPlace[] = [];
  let scratchBytes = 0;
  let plain: Stmt[] | null = null;
  const add = (stmt: Stmt): void => {
    if (stmt.kind === 'alloc' && stmt.buffer.scope === 'local' && isScheduled(stmt)) {
      scratch.push({ buffer: stmt.buffer, offset: scratchBytes });
      scratchBytes += Math.ceil((stmt.buffer.size * bytesOf(stmt.buffer.dtype)) / 64) * 64;
      stmt.body.forEach(add);
    } else if (isScheduled(stmt)) {
      stages.push([stmt]);
      plain = null;
    } else if (plain) plain.push(stmt);
    else stages.push((plain = [stmt]));
  };
  body.forEach(add);
  return { stages, scratch, scratchBytes };
}

/** The buffers that statements read or write. */
export function buffersOf(stmts: readonly Stmt[]): Set<Buffer> {
  const found = new Set<Buffer>();
  for (const expr of topExpressions(stmts)) {
    walkExpr(expr, e => {
      if (e.kind === 'load') found.add(e.buffer);
    });
  }
  walkStmts(stmts, stmt => {
    if (stmt.kind === 'store' || stmt.kind === 'reduce') found.add(stmt.buffer);
  });
  return found;
}

/** The buffers that statements write. */
export function writtenBy(stmts: readonly Stmt[]): Set<Buffer> {
  const found = new Set<Buffer>();
  walkStmts(stmts, stmt => {
    if (stmt.kind === 'store' || stmt.kind === 'reduce') found.add(stmt.buffer);
  });
  return found;
}
