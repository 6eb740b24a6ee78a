/**
 * Plans that write the windows of an image out first, each as one row (im2col), so that the sum over a window and its
 * channels is one long sum along memory for both operands. The weights are then read as they lie, where the other plans
 * would have to turn them around: it pays where images are small and weights are many.
 *
 *   parallel o<512, y<7, x<7: … serial c<512, kh<3, kw<3: … mul(select(inside, load x[…]), load w[o*4608 + c*9 + kh*3 + kw])
 * ->
 *   alloc local windows[49*4608]: parallel y, x, c: serial kh, kw: store windows[(y*7 + x)*4608 + …] = select(inside, load x[…])
 *     parallel o<512, yx<49: … serial k<4608: … mul(load windows[yx*4608 + k], load w[o*4608 + k])
 */
import {
  alloc,
  type Buffer,
  type Expr,
  type Iter,
  iterOf,
  load,
  makeIter,
  nest,
  type Stmt,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import { rowMajorOf } from '../../compiler/ir/nests.js';
import { collapse } from './linear.js';
import { type Contraction, type Plan, plainIndex, sidesOf, sizeOf } from './operand.js';

/** Cycles to evaluate and store one element of a window. */
const UNFOLD_COST = 4;
/** Steps of a loop over a window that are written out. */
const SHORT = 4;

/** The plans of the unfolded contraction, for each operand that can be unfolded. `plansOf` is asked for them. */
export function unfoldedPlans(contraction: Contraction, plansOf: (unfolded: Contraction) => readonly Plan[]): Plan[] {
  const { left, right, summed } = contraction;
  const { batch, ...sides } = sidesOf(contraction);
  if (batch.length > 0 || summed.length < 2) return [];
  const candidates = [
    { side: 'left', image: left, weight: right } as const,
    { side: 'right', image: right, weight: left } as const,
  ];
  return candidates.flatMap(({ side, image, weight }) => {
    const isOneSum = plainIndex(weight) !== null && collapse(summed, [weight]).iters.length === 1;
    if (!isOneSum || collapse(summed, [image]).iters.length === 1) return [];
    const iters = [...sides[side], ...summed];
    const windows: Buffer = { name: 'windows', dtype: 'float32', size: sizeOf(iters), scope: 'local' };
    if (windows.size > sizeOf([...sides[side === 'left' ? 'right' : 'left'], ...summed])) return [];
    const unfolded = { ...contraction, [side]: load(windows, rowMajorOf(iters)) };
    return plansOf(unfolded).map(plan => ({
      what: `unfolded, ${plan.what}`,
      cost: plan.cost + UNFOLD_COST * windows.size,
      build: width => [alloc(windows, [...fill(windows, image, sides[side], summed), ...plan.build(width)])],
    }));
  });
}

function fill(windows: Buffer, image: Expr, places: readonly Iter[], summed: readonly Iter[]): Stmt[] {
  const own = new Map([...places, ...summed].map(iter => [iter, makeIter(iter.name, iter.extent)]));
  const values = new Map([...own].map(([iter, copy]) => [iter, iterOf(copy)]));
  const at = rowMajorOf([...own.values()]);
  const ownOf = (iters: readonly Iter[]): Iter[] => iters.map(iter => own.get(iter)!);
  const isShort = ({ extent }: Iter): boolean => extent <= SHORT;
  const inner = nest(ownOf(summed.filter(isShort)), 'serial', [store(windows, at, substitute(image, values))]);
  return nest(ownOf([...places, ...summed.filter(iter => !isShort(iter))]), 'parallel', inner);
}
