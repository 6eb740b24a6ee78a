/**
 * Plans that convolve fast: for windows of three in steps of one, in one dimension or two. Tiles of the image and the
 * weights are brought to another basis (`cook-toom.ts`), in which a window is one product at each position of a tile; over
 * the channels that makes a contraction for each position, for which there are plans already:
 *
 *   parallel o<64, y<56, x<56: … serial c<64, kh<3, kw<3: … mul(select(inside, load x[…]), load w[o, c, kh, kw])
 * ->
 *   alloc local weights[36*64*64]: parallel o: weights of o to the other basis
 *     parallel blocks of tiles: alloc local tiles[36*64*98]: parallel c: tiles of c to the other basis
 *       parallel blocks of o: alloc local products[36*32*98]:
 *         parallel p<36, o<32, t<98: … serial c<64: … mul(load weights[p, o, c], load tiles[p, c, t])
 *         parallel o: products of o back from the other basis, then what comes after the sum
 *
 * A convolution is known by how its operands move with the counters, so gradients of inputs are found too. Rounding errors
 * are larger than those of plain sums; where their bound is too much larger the plan is not offered. An input that is not
 * finite spoils all outputs of its tiles, up to three places further than a plain sum would.
 */
import { convolutionOf } from './convolution.js';
import { errorBound, fastConvolution, plainErrorBound } from './cook-toom.js';
import { type Contraction, type Plan, sizeOf } from './operand.js';
import { WinogradLoops } from './winograd-loops.js';

const TAPS = 3;
/** F(2, 3) and F(4, 3). Of the points tried for the latter these round least: 1.7 times a plain sum's error in the mean. */
export const forms = [fastConvolution(TAPS, [1]), fastConvolution(TAPS, [5 / 8, 3 / 2])];

/** By how much the bound of the error may be above that of the plain sum. */
const MOST_ERROR = 16;
const MOST_WINDOWS = 2;

/** The plans for the contraction in the other basis are asked of `plansOf`. */
export function winogradPlans(contraction: Contraction, plansOf: (inner: Contraction) => readonly Plan[]): Plan[] {
  const found = convolutionOf(contraction, TAPS, MOST_WINDOWS);
  if (found === null) return [];
  return forms.flatMap(form => {
    const [bound, plain] = [errorBound, plainErrorBound].map(of =>
      of(form, sizeOf(found.channels), found.windows.length),
    );
    const loops = bound <= MOST_ERROR * plain ? WinogradLoops.of(found, form) : null;
    if (loops === null) return [];
    const each = (count: number): string => found.windows.map(() => count).join('x');
    return plansOf(loops.product).map(plan => ({
      what: `Winograd F(${each(form.outputs)}, ${each(form.taps)}), ${plan.what}`,
      cost: loops.cost(plan.cost),
      rounding: { bound, plain },
      build: (width: Parameters<Plan['build']>[0]) => loops.build(plan.build(width)),
    }));
  });
}
