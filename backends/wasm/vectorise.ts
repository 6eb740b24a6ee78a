/**
 * Vector loops for everything that is no contraction: pointwise nests, reductions, rows.
 *
 * Which loop becomes the vector one is decided by what its lanes read: next to each other is best, the same element is
 * good, every other one can be picked out of two vectors, scattered ones are gathered one by one. A parallel loop is
 * vectorised with all that is in it, a reduction by vectors of partial results.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  type Expr,
  expressionsOf,
  type Iter,
  index,
  iterOf,
  itersOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mapExpr,
  mapStmtExprs,
  mulIndex,
  nest,
  neutral,
  reduce,
  type Stmt,
  store,
  substitute,
  walkExpr,
  walkStmts,
  when,
  withBody,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { allExpressions, isRepeatable, loadsIn, visitAccesses } from './accesses.js';
import { fitsLane, LANES } from './emit-vector.js';
import { isInBounds } from './frame.js';
import { collapse, isHalved, replaceIters, strideOf } from './linear.js';

export const vectoriseLoops: Pass<Kernel> = {
  name: 'vectorise-loops',
  doc: 'Pointwise loops and reductions run four elements at a time, with a scalar tail.',
  run(kernel, context) {
    return withBody(
      kernel,
      kernel.body.flatMap(stmt => vectorised(stmt, context)),
    );
  },
};

type Loop = Extract<Stmt, { kind: 'loop' }>;
type Reduce = Extract<Stmt, { kind: 'reduce' }>;

function vectorised(stmt: Stmt, context: PassContext): Stmt[] {
  const inside = (stmts: readonly Stmt[]): Stmt[] => stmts.flatMap(inner => vectorised(inner, context));
  if (stmt.kind === 'alloc') return [{ ...stmt, body: inside(stmt.body) }];
  if (stmt.kind === 'if') return when(stmt.cond, inside(stmt.then), inside(stmt.otherwise));
  if (stmt.kind !== 'loop' || stmt.map === 'vector' || stmt.map === 'unroll') return [stmt];
  if (stmt.limit === null && !hasVectors(stmt)) {
    const better = stmt.map === 'parallel' ? vectorNest(stmt, context) : vectorReduction(stmt, context);
    if (better !== null) return better;
  }
  return [{ ...stmt, body: inside(stmt.body) }];
}

function hasVectors(stmt: Stmt): boolean {
  let found = false;
  walkStmts([stmt], inner => {
    found ||= inner.kind === 'loop' && (inner.map === 'vector' || inner.map === 'unroll');
  });
  return found;
}

// ── choosing the loop ───────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What vector lanes along `iter` are worth to the accesses in `stmts`; those in inner loops weigh more. Buffers of one
 * iteration do not count: lanes get places next to each other.
 */
function worth(stmts: readonly Stmt[], iter: Iter): number {
  let sum = 0;
  const own = allocatedIn(stmts);
  visitAccesses(stmts, ({ buffer, index: at, kind }, loops) => {
    if (buffer.scope === 'register' || own.has(buffer)) return;
    const stride = strideOf(at, iter);
    const isPair = stride === null && isHalved(at, iter);
    sum += (kind === 'load' ? (isPair ? 0.5 : loadWorth(stride)) : stride === 1 ? 1 : -2) * 8 ** loops.size;
  });
  return sum;
}

function allocatedIn(stmts: readonly Stmt[]): Set<Buffer> {
  const buffers = new Set<Buffer>();
  walkStmts(stmts, stmt => {
    if (stmt.kind === 'alloc') buffers.add(stmt.buffer);
  });
  return buffers;
}

function loadWorth(stride: number | null): number {
  if (stride === 1) return 1;
  return stride === 0 || stride === 2 ? 0.5 : -1;
}

/** The same for the reductions among `stmts`, each along its own innermost loop. */
function worthOfReductions(stmts: readonly Stmt[]): number {
  let sum = 0;
  for (const stmt of stmts) {
    if (stmt.kind === 'alloc') sum += worthOfReductions(stmt.body);
    if (stmt.kind !== 'loop') continue;
    const reduction = reductionOf(stmt);
    if (reduction !== null) sum += worth([stmt], reduction.lane);
    else if (stmt.map === 'parallel' && stmt.iter.extent >= LANES) sum += worth([stmt], stmt.iter);
  }
  return sum;
}

function vectorNest(stmt: Loop, context: PassContext): Stmt[] | null {
  const { iters, body } = perfectNest([stmt], 'parallel');
  const merged = collapse(iters, allExpressions(body));
  const inner = replaceIters(body, merged.values);
  const candidates = merged.iters
    .filter(iter => iter.extent >= LANES && canDistribute(inner, iter))
    .map(iter => ({ iter, worth: worth(inner, iter) }));
  const best = candidates.reduce<(typeof candidates)[number] | null>(
    (a, b) => (a === null || b.worth >= a.worth ? b : a),
    null,
  );
  const within = inner.some(containsLoop) ? worthOfReductions(inner) : Number.NEGATIVE_INFINITY;
  if (best !== null && best.worth > 0 && best.worth >= within) {
    context.note(
      `lanes along ${best.iter.name}`,
      within > 0 ? `worth ${best.worth}, the loops inside ${within}` : 'its elements lie next to each other',
    );
    return nest(
      merged.iters.filter(iter => iter !== best.iter),
      'parallel',
      splitParallel(best.iter, inner),
    );
  }
  return within > Number.NEGATIVE_INFINITY
    ? nest(
        merged.iters,
        'parallel',
        inner.flatMap(stmt => vectorised(stmt, context)),
      )
    : null;
}

const containsLoop = (stmt: Stmt): boolean =>
  stmt.kind === 'loop' || (stmt.kind === 'alloc' && stmt.body.some(containsLoop));

// ── parallel loops ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether the iterations of `iter` can run as lanes: statement by statement, each with buffers of its own. */
function canDistribute(stmts: readonly Stmt[], iter: Iter): boolean {
  return stmts.every(stmt => {
    switch (stmt.kind) {
      case 'store':
        return fitsLane(stmt.buffer.dtype);
      case 'reduce':
        return fitsLane(stmt.buffer.dtype) && (stmt.buffer.scope === 'register' || strideOf(stmt.index, iter) !== 0);
      case 'alloc':
        return stmt.buffer.scope !== 'shared' && canDistribute(stmt.body, iter);
      case 'loop':
        return (
          (stmt.map === 'serial' || stmt.map === 'parallel') && !readsIter(stmt, iter) && canDistribute(stmt.body, iter)
        );
      default:
        return false;
    }
  });
}

const readsIter = (stmt: Stmt, iter: Iter): boolean => expressionsOf(stmt).some(expr => itersOf(expr).has(iter));

/**
 *   parallel i<103: store out[i] = f(load x[i])
 * ->
 *   parallel g<6: unroll u<4: vector l<4: store out[g*16 + u*4 + l] = …
 *   parallel g<1: vector l<4: store out[96 + g*4 + l] = …
 *   vector l<4: store out[99 + l] = …
 *
 * The last vector may compute again what the one before it has stored; where that is not the same, what is left is done
 * one by one. Sums over far elements go on in several vectors side by side:
 *
 *   parallel i<512: alloc register acc[1]: … serial k<128: reduce acc[0] add= load x[k*512 + i] …
 * ->
 *   parallel g<32: alloc register acc[16]: … serial k<128: unroll u<4: vector l<4: reduce acc[u*4 + l] add= load x[…] …
 */
function splitParallel(iter: Iter, body: readonly Stmt[]): Stmt[] {
  const together = iter.extent >= UNROLL * LANES && sumsFarElements(body) ? UNROLL : 1;
  const unroll = iter.extent >= 16 * LANES && isLight(body) ? UNROLL : 1;
  const perStep = unroll * together;
  const wide = Math.floor(iter.extent / (LANES * perStep));
  const single = perStep === 1 ? 0 : Math.floor(iter.extent / LANES) - wide * perStep;
  const rest = iter.extent % LANES;
  const [outer, middle, scalar] = [makeIter(iter.name, wide), makeIter(iter.name, single), makeIter(iter.name, rest)];
  const repeated = makeIter('u', unroll);
  const start = addIndex(mulIndex(iterOf(outer), LANES * perStep), mulIndex(iterOf(repeated), LANES));
  const inner = lanes(iter, start, body, together);
  const unrolled = unroll === 1 ? inner : [loop(repeated, 'unroll', inner)];
  const after = wide * perStep * LANES;
  return [
    ...nest([outer], 'parallel', unrolled),
    ...(single > 0
      ? nest([middle], 'parallel', lanes(iter, addIndex(mulIndex(iterOf(middle), LANES), after), body))
      : []),
    ...(rest === 0
      ? []
      : isRepeatable(body)
        ? lanes(iter, index(iter.extent - LANES), body)
        : nest(
            [scalar],
            'parallel',
            replaceIters(body, new Map([[iter, addIndex(iterOf(scalar), iter.extent - rest)]])),
          )),
  ];
}

const UNROLL = 4;

/** Steps of a sum from which on its loads and the latency of adding are most of it. */
const MANY = 16;

/**
 * Whether a body is long sums in registers and what becomes of them: each step loads a vector far from the one before, of a
 * cache line that has more, and waits for the sum before it.
 */
function sumsFarElements(body: readonly Stmt[]): boolean {
  let sums = 0;
  let isPlain = true;
  walkStmts(body, stmt => {
    if (stmt.kind === 'alloc') isPlain &&= stmt.buffer.scope === 'register' && stmt.buffer.size === 1;
    else if (stmt.kind === 'loop') {
      isPlain &&= stmt.map === 'serial';
      if (stmt.body.some(containsLoop)) return;
      isPlain &&= stmt.iter.extent >= MANY && isLight(stmt.body, 'reduce');
      sums++;
    } else isPlain &&= stmt.kind === 'store' || stmt.kind === 'reduce';
  });
  return isPlain && sums > 0 && sums <= 2;
}

/** Few enough instructions that the loop around them is felt, and no guarded loads, which are written out per lane. */
function isLight(body: readonly Stmt[], kind: 'store' | 'reduce' = 'store'): boolean {
  let size = 0;
  for (const expr of allExpressions(body)) {
    walkExpr(expr, part => {
      size += part.kind === 'call' && part.dtype !== 'index' && !cheap.has(part.fn) ? 20 : 1;
      if (part.kind === 'load' && part.buffer.scope !== 'register' && !isInBounds(part.buffer, part.index)) size += 100;
    });
  }
  return size <= 48 && body.every(stmt => stmt.kind === kind);
}
const cheap: ReadonlySet<string> = new Set([
  'add',
  'sub',
  'mul',
  'div',
  'min',
  'max',
  'neg',
  'abs',
  'sqrt',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'and',
  'or',
  'not',
]);

/**
 * The statements for the values of `iter` in so many vectors from `start`: each in a vector loop, their own buffers as many
 * times as large.
 */
function lanes(iter: Iter, start: Expr, body: readonly Stmt[], vectors = 1): Stmt[] {
  const [vector, lane] = [makeIter('u', vectors), makeIter('l', LANES)];
  const within = vectors === 1 ? iterOf(lane) : addIndex(mulIndex(iterOf(vector), LANES), iterOf(lane));
  const widened = new Map<Buffer, Buffer>();
  const values = new Map([[iter, addIndex(start, within)]]);
  const own = (at: Expr): Expr => addIndex(mulIndex(at, vectors * LANES), within);
  const rewrite = (expr: Expr): Expr =>
    mapExpr(expr, part => {
      if (part.kind === 'iter') return values.get(part.iter) ?? null;
      if (part.kind !== 'load') return null;
      const buffer = widened.get(part.buffer);
      return buffer ? load(buffer, own(rewrite(part.index))) : null;
    });
  const distribute = (stmt: Stmt): Stmt => {
    if (stmt.kind === 'alloc') {
      const buffer = { ...stmt.buffer, size: stmt.buffer.size * vectors * LANES };
      widened.set(stmt.buffer, buffer);
      return alloc(buffer, stmt.body.map(distribute));
    }
    if (stmt.kind === 'loop')
      return { ...stmt, limit: stmt.limit && rewrite(stmt.limit), body: stmt.body.map(distribute) };
    const mapped = mapStmtExprs(stmt, rewrite);
    if (mapped.kind !== 'store' && mapped.kind !== 'reduce') return mapped;
    const buffer = widened.get(mapped.buffer);
    const each = loop(lane, 'vector', [buffer ? { ...mapped, buffer, index: own(mapped.index) } : mapped]);
    return vectors === 1 ? each : loop(vector, 'unroll', [each]);
  };
  return body.map(distribute);
}

// ── reductions ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Reduction {
  readonly outer: readonly Iter[];
  readonly lane: Iter;
  readonly steps: readonly Reduce[];
}

/** Loops that do nothing but reduce into registers, over a last counter long enough for vectors. */
function reductionOf(stmt: Loop): Reduction | null {
  const { iters, body } = perfectNest([stmt], 'serial');
  const steps = body.filter(step => step.kind === 'reduce');
  if (steps.length !== body.length || steps.length === 0) return null;
  const merged = collapse(iters, allExpressions(body));
  const inner = replaceIters(steps, merged.values) as Reduce[];
  const lane = merged.iters.at(-1);
  if (lane === undefined || lane.extent < 2 * LANES) return null;
  const targets = new Set(inner.map(step => step.buffer));
  const isSimple = (step: Reduce): boolean =>
    step.buffer.scope === 'register' &&
    (step.buffer.dtype === 'float32' || step.buffer.dtype === 'int32') &&
    !merged.iters.some(iter => itersOf(step.index).has(iter)) &&
    loadsIn([step.value]).every(({ buffer }) => !targets.has(buffer));
  return inner.every(isSimple) ? { outer: merged.iters.slice(0, -1), lane, steps: inner } : null;
}

/**
 *   serial k<100: reduce s[0] add= load x[k]
 * ->
 *   alloc register part[16]:
 *     unroll i<4: vector l<4: store part[i*4 + l] = 0
 *     serial g<6: unroll u<4: vector l<4: reduce part[u*4 + l] add= load x[g*16 + u*4 + l]
 *     serial g<1: vector l<4: reduce part[l] add= load x[96 + g*4 + l]
 *     unroll u<2: vector l<4: reduce part[u*4 + l] add= load part[(u + 2)*4 + l]
 *     vector l<4: reduce part[l] add= load part[4 + l]
 *     unroll i<4: reduce s[0] add= load part[i]
 *   (and the elements that fill no vector, one by one)
 */
function vectorReduction(stmt: Loop, context: PassContext): Stmt[] | null {
  const reduction = reductionOf(stmt);
  if (reduction === null || worth(reduction.steps, reduction.lane) <= 0) return null;
  context.note(`sums along ${reduction.lane.name}`, 'its elements lie next to each other');
  return reduction.steps.flatMap(step => partialSums(reduction, step));
}

function partialSums({ outer, lane, steps }: Reduction, { buffer, index: at, fn, value }: Reduce): Stmt[] {
  const count = steps.length > 1 || lane.extent < 4 * LANES ? 1 : lane.extent < 16 * LANES ? 2 : 4;
  const part: Buffer = { name: `${buffer.name}part`, dtype: buffer.dtype, size: count * LANES, scope: 'register' };
  const wide = Math.floor(lane.extent / (LANES * count));
  const single = Math.floor(lane.extent / LANES) - wide * count;
  const rest = lane.extent % LANES;
  const [g, h, t] = [makeIter(lane.name, wide), makeIter(lane.name, single), makeIter(lane.name, rest)];
  const [u, l, i] = [makeIter('u', count), makeIter('l', LANES), makeIter('i', LANES)];
  const group = addIndex(mulIndex(iterOf(u), LANES), iterOf(l));
  const at4 = (target: Expr, position: Expr): Stmt =>
    loop(l, 'vector', [reduce(part, target, fn, substitute(value, new Map([[lane, position]])))]);
  return [
    alloc(part, [
      loop(u, 'unroll', [loop(l, 'vector', [store(part, group, neutral(fn, buffer.dtype))])]),
      ...nest(outer, 'serial', [
        ...(wide > 0
          ? nest([g], 'serial', [loop(u, 'unroll', [at4(group, addIndex(mulIndex(iterOf(g), LANES * count), group))])])
          : []),
        ...(single > 0
          ? nest([h], 'serial', [
              at4(iterOf(l), addIndex(addIndex(mulIndex(iterOf(h), LANES), iterOf(l)), wide * count * LANES)),
            ])
          : []),
      ]),
      ...halvings(part, fn),
      loop(i, 'unroll', [reduce(buffer, at, fn, load(part, iterOf(i)))]),
    ]),
    ...(rest > 0
      ? nest([...outer, t], 'serial', [
          reduce(buffer, at, fn, substitute(value, new Map([[lane, addIndex(iterOf(t), lane.extent - rest)]]))),
        ])
      : []),
  ];
}

/** Vectors of partial results made one: the second half onto the first, until one is left. */
function halvings(part: Buffer, fn: Reduce['fn']): Stmt[] {
  const steps: Stmt[] = [];
  for (let half = part.size / LANES / 2; half >= 1; half /= 2) {
    const [u, l] = [makeIter('u', half), makeIter('l', LANES)];
    const at = addIndex(mulIndex(iterOf(u), LANES), iterOf(l));
    const added = reduce(part, at, fn, load(part, addIndex(at, half * LANES)));
    steps.push(loop(u, 'unroll', [loop(l, 'vector', [added])]));
  }
  return steps;
}
