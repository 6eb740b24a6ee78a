/**
 * The schedule of contractions: matmul, convolution and the gradients of both, in whatever order their loops come.
 *
 * Recognised is the plain nest of a sum of products; its counters are told apart by who reads them. One side of the
 * product gives the rows of a register tile, the other its columns; the lanes of vectors run along a column counter
 * that moves the output in steps of one, or, where both operands have it contiguous, along a summed counter:
 *
 *   parallel m<64: parallel n<32: alloc register acc[1]:
 *     store acc[0] = 0
 *     serial k<128: reduce acc[0] add= mul(load a[m*128 + k], load b[k*32 + n])
 *     store out[m*32 + n] = max(load acc[0], 0)
 * ->
 *   parallel mt<16: parallel nt<4: alloc register tile[32]:
 *     unroll r<4: unroll c<2: vector l<4: store tile[r*8 + c*4 + l] = 0
 *     serial k<128: unroll r<4: unroll c<2: vector l<4:
 *       reduce tile[r*8 + c*4 + l] add= mul(load a[(mt*4+r)*128 + k], load b[k*32 + nt*8 + c*4 + l])
 *     unroll r<4: unroll c<2: vector l<4: store out[…] = max(load tile[r*8 + c*4 + l], 0)
 *
 * An operand that a tile cannot read as it stands is staged first (`staging.ts`). A last column tile that is not whole
 * is moved back to end with the edge, computes some columns twice, and stores only the new ones.
 */

import {
  type Buffer,
  type Expr,
  type Kernel,
  mapStmtExprs,
  type Stmt,
  substitute,
  walkStmts,
  withBody,
} from '../../compiler/ir/kernel.js';
import { perfectNest } from '../../compiler/ir/nests.js';
import type { Pass, PassContext } from '../../compiler/pass.js';
import { columnPlans } from './column-tiles.js';
import { collapse } from './linear.js';
import { asEstimated, type Contraction, type Deviation, deviations, type Plan } from './operand.js';
import { sumPlans } from './sum-tiles.js';
import type { Width } from './tile.js';
import { unfoldedPlans } from './unfold.js';
import { winogradPlans } from './winograd.js';

/**
 * Decides among the plans of a statement of a kernel, counted in the order of the text, the one of least estimated cost first;
 * null leaves it to that.
 */
export type Chooser = (kernel: Kernel, statement: number, plans: readonly Plan[]) => Plan | null;

/** Which plans are taken. */
export interface Choice {
  /** The least estimate where there is none. */
  readonly choose?: Chooser | null;
  /** Whether convolutions may be fast ones, with larger errors than those of plain sums; they may if nothing is said. */
  readonly winograd?: boolean;
}

export const tileContractions = (width: Width, { choose = null, winograd = true }: Choice = {}): Pass<Kernel> => ({
  name: 'tile-contractions',
  doc: 'Sums of products become register tiles of vectors, over operands staged in scratch memory where needed.',
  run(kernel, context) {
    let statement = 0;
    const tiled = (stmt: Stmt): readonly Stmt[] => {
      if (!isAroundOthers(stmt)) {
        const number = statement++;
        const chosen = choose && ((plans: readonly Plan[]) => choose(kernel, number, plans));
        return schedule(stmt, width, context, winograd ? allPlans : plainPlans, chosen) ?? [stmt];
      }
      return [withBody(stmt, stmt.body.flatMap(tiled))];
    };
    return withBody(kernel, kernel.body.flatMap(tiled));
  },
});

/** Several contractions may be in loops over what passes from one to the next. */
function isAroundOthers(stmt: Stmt): stmt is Extract<Stmt, { kind: 'loop' | 'alloc' }> {
  let found = false;
  walkStmts([stmt], inner => {
    found ||= inner.kind === 'alloc' && inner.buffer.scope === 'local';
  });
  return found && (stmt.kind === 'loop' || stmt.kind === 'alloc');
}

function schedule(
  stmt: Stmt,
  width: Width,
  context: PassContext,
  plansOf: PlansOf,
  choose: ((plans: readonly Plan[]) => Plan | null) | null,
): Stmt[] | null {
  const found = contractionOf(stmt);
  if (found === null) return null;
  const contraction = merged(found);
  const plans = plansOf(contraction, [asEstimated]);
  if (plans.length === 0) {
    context.note('left plain', 'no counter moves the output or both operands in steps of one');
    return null;
  }
  const best = leastOf(plans);
  const chosen = choose?.(distinct([best, ...plansOf(contraction, deviations)])) ?? best;
  const why = chosen === best ? `the least of ${plans.length} plans` : `chosen over ${best.what}`;
  context.note(chosen.what, `about ${Math.round(chosen.cost)} cycles, ${why}${roundingText(chosen)}`);
  return chosen.build(width);
}

const roundingText = ({ rounding }: Plan): string =>
  rounding === undefined
    ? ''
    : `; errors up to ${rounding.bound.toPrecision(2)}·max|a|·max|b|, of plain sums up to ${rounding.plain.toPrecision(2)}`;

type PlansOf = (contraction: Contraction, ways: readonly Deviation[]) => readonly Plan[];

const plainPlans: PlansOf = (contraction, ways) => [
  ...columnPlans(contraction, ways),
  ...sumPlans(contraction, ways),
  ...unfoldedPlans(contraction, unfolded => sumPlans(merged(unfolded), ways)),
];
const allPlans: PlansOf = (contraction, ways) => [
  ...plainPlans(contraction, ways),
  ...winogradPlans(contraction, inner => columnPlans(merged(inner), ways)),
];

/** By how much a plan has to be faster to be worth larger errors and its code. */
const WORTH = 5 / 4;
const price = ({ cost, rounding }: Plan): number => (rounding === undefined ? cost : WORTH * cost);
const leastOf = (plans: readonly Plan[]): Plan => plans.reduce((a, b) => (price(b) < price(a) ? b : a));

/** The first plan of each description: what deviates from an estimate may come to the same. */
const distinct = (plans: readonly Plan[]): Plan[] =>
  plans.filter((plan, i) => plans.findIndex(({ what }) => what === plan.what) === i);

// ── recognising ─────────────────────────────────────────────────────────────────────────────────────────────────────

export const isContraction = (stmt: Stmt): boolean => contractionOf(stmt) !== null;

export function contractionOf(stmt: Stmt): Contraction | null {
  const { iters: parallel, body } = perfectNest([stmt], 'parallel');
  const [accumulation] = body;
  if (body.length !== 1 || accumulation.kind !== 'alloc') return null;
  const { buffer: accumulator } = accumulation;
  const [start, sum, ...rest] = accumulation.body;
  if (accumulator.dtype !== 'float32' || accumulator.size !== 1 || !isZero(start, accumulator) || sum?.kind !== 'loop')
    return null;
  const { iters: summed, body: step } = perfectNest([sum], 'serial');
  if ([...parallel, ...summed].some(({ extent }) => extent === 0)) return null;
  const [term] = step;
  if (step.length !== 1 || term.kind !== 'reduce' || term.buffer !== accumulator || term.fn !== 'add') return null;
  const { value } = term;
  if (value.kind !== 'call' || value.fn !== 'mul') return null;
  const epilogue = rest.filter(tail => tail.kind === 'store');
  if (epilogue.length !== rest.length || rest.length === 0) return null;
  return { parallel, summed, accumulator, left: value.args[0], right: value.args[1], epilogue };
}

const isZero = (stmt: Stmt | undefined, buffer: Buffer): boolean =>
  stmt?.kind === 'store' && stmt.buffer === buffer && stmt.value.kind === 'const' && stmt.value.value === 0;

/** Neighbouring loops merged where every index allows it. */
function merged(contraction: Contraction): Contraction {
  const { left, right, epilogue } = contraction;
  const expressions = [left, right, ...epilogue.flatMap(stmt => [stmt.index, stmt.value])];
  const [parallel, summed] = [collapse(contraction.parallel, expressions), collapse(contraction.summed, expressions)];
  const values = new Map([...parallel.values, ...summed.values]);
  const replace = (expr: Expr): Expr => substitute(expr, values);
  return {
    ...contraction,
    parallel: parallel.iters,
    summed: summed.iters,
    left: replace(left),
    right: replace(right),
    epilogue: epilogue.map(stmt => mapStmtExprs(stmt, replace) as typeof stmt),
  };
}
