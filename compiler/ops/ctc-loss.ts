/**
 * The connectionist temporal classification loss: the likelihood of a label sequence, summed over all alignments.
 *
 * A. Graves et al., "Connectionist temporal classification" (2006): labels with blanks between them are states; a path stays,
 * advances by one, or skips the blank between two different labels. The sum over paths is a recurrence over time, and so is
 * its gradient, a linear one: `lattice`, whose own derivative is another. So the loss can be derived any number of times.
 * Probability 0 is `logZero` instead of -∞, which keeps differences of logarithms numbers.
 */
import { fail } from '../errors.js';
import { type Arith, arith } from '../ir/arith.js';
import { computeType } from '../ir/dtype.js';
import type { TensorType } from '../ir/graph.js';
import {
  call,
  cast,
  constant,
  type Expr,
  index,
  iterOf,
  loop,
  makeIter,
  type Stmt,
  select,
  subIndex,
} from '../ir/kernel.js';
import { formatShape, type Shape, sameShape } from '../ir/shape.js';
import { iota } from './creation.js';
import { composite, define, type Op, type ProgramLowering } from './define.js';
import { needsNumber } from './elementwise.js';
import { type Reduction, reduced } from './loss.js';
import { exactly, random, sample, sampleWithoutGradient } from './samples.js';
import { where } from './selection.js';
import { constantPad, stack } from './shape.js';
import { elements, Tensor, tensorOver } from './tensor.js';

const logZero = -1e30;
/** How far a path moves in one step of time. */
const moves = [0, 1, 2];

/** Throws E110 unless the states of a recurrence are [time, sequence, state], and what is read beside them has its shape. */
function checkSizes(op: string, { shape: states }: TensorType, { shape }: TensorType, wanted: Shape): void {
  if (states.length === 3 && sameShape(shape, wanted)) return;
  const given = `${formatShape(states)} with ${formatShape(shape)}`;
  fail('E110', { op, problem: `needs states [time, sequence, state] and what fits them beside, not ${given}` });
}

/** Sequences beside each other; in each, time by time, state by state. */
function overStates({ shape }: TensorType, body: (at: readonly Expr[]) => Stmt): Stmt[] {
  const [t, n, s] = ['t', 'n', 's'].map((name, d) => makeIter(name, shape[d]));
  return [loop(n, 'parallel', [loop(t, 'serial', [loop(s, 'serial', [body([t, n, s].map(iterOf))])])])];
}

/** A program that computes each state from the ones `moves` before it at the time before; `missing` stands in for none. */
const recurrence = (
  missing: number,
  step: (
    s: Arith,
    before: readonly Expr[],
    at: readonly Expr[],
    read: readonly ((at: readonly Expr[]) => Expr)[],
  ) => Expr,
): ProgramLowering => ({
  kind: 'program',
  build({ inputs, type, out }) {
    const dtype = computeType(type.dtype);
    const read = inputs.map(
      input =>
        (at: readonly Expr[]): Expr =>
          input.at(at),
    );
    return overStates(type, at => {
      const [t, n, s] = at;
      const before = moves.map(by => {
        const exists = arith.and(call('gt', t, index(0)), call('ge', s, index(by)));
        return select(exists, out.load([subIndex(t, 1), n, subIndex(s, by)]), constant(dtype, missing));
      });
      return out.store(at, cast(type.dtype, step(arith, before, at, read)));
    });
  },
});

/** The same tensor `time` and `states` later; what comes in at the edges is `fill`. */
const shifted = (x: Tensor, time: number, states: number, fill = 0): Tensor =>
  constantPad(x, [time, -time, 0, 0, states, -states], fill);

const lattice: Op<(weights: Tensor, source: Tensor) => Tensor> = define({
  name: 'lattice',
  doc: 'out[t, n, s] = source[t, n, s] + Σ over k of weights[k, t, n, s] · out[t - 1, n, s - k].',
  signature: 'weights: tensor, source: tensor',
  fusion: 'opaque',
  infer([weights, source]) {
    checkSizes('lattice', source, weights, [moves.length, ...source.shape]);
    needsNumber('lattice')(source.dtype);
    return source;
  },
  lower: recurrence(0, (s, before, at, [weights, source]) =>
    before.reduce((sum, value, k) => s.add(sum, s.mul(weights([index(k), ...at]), value)), source(at)),
  ),
  vjp: c => {
    const source = backwards(c.in(0), c.grad);
    return [c.needs(0) ? stack(moves.map(k => source.mul(shifted(c.out, 1, k)))) : null, source];
  },
  samples: [sample(random([3, 4, 2, 3]), random([4, 2, 3]))],
  errors: [
    { args: [random([2, 4, 2, 3]), random([4, 2, 3])], message: /not \[4, 2, 3\] with \[2, 4, 2, 3\]/ },
    { args: [random([3, 4, 2]), random([4, 2])], message: /needs states \[time, sequence, state\]/ },
  ],
});

/** The recurrence of `lattice` from the last time to the first: what reaches each state from all that it leads to. */
function backwards(weights: Tensor, source: Tensor): Tensor {
  const turn = (x: Tensor): Tensor => x.flip([0, 2]);
  const leading = stack(moves.map(k => turn(shifted(weights.select(0, k), -1, -k))));
  return turn(lattice(leading, turn(source)));
}

const pathLikelihoods: Op<(emission: Tensor, skips: Tensor) => Tensor> = define({
  name: 'pathLikelihoods',
  doc: 'Log of the summed probability of all paths to each state: emission [time, n, state], skips [n, state] where two may be moved.',
  signature: 'emission: tensor, skips: tensor',
  fusion: 'opaque',
  infer([emission, skips]) {
    if (emission.dtype !== 'float32' && emission.dtype !== 'float64')
      fail('E108', { op: 'ctcLoss', problem: `is defined on float32 and float64, not on ${emission.dtype}` });
    checkSizes('pathLikelihoods', emission, skips, emission.shape.slice(1));
    return emission;
  },
  lower: recurrence(logZero, (s, [stay, advance, skip], at, [emission, skips]) => {
    const [t, n, state] = at;
    const skipped = s.select(cast('bool', skips([n, state])), skip, s.constant(skip.dtype, logZero));
    const most = s.max(s.max(stay, advance), skipped);
    const sum = [stay, advance, skipped].map(x => s.exp(s.sub(x, most))).reduce((a, b) => s.add(a, b));
    const start = s.select(call('le', state, index(1)), s.constant(skip.dtype, 0), s.constant(skip.dtype, logZero));
    return s.add(emission(at), s.select(call('eq', t, index(0)), start, s.add(most, s.log(sum))));
  }),
  vjp: c => {
    const [emission, skips] = [c.in(0), c.in(1)];
    const arriving = c.out.sub(emission);
    const shares = moves.map(k => {
      const from = shifted(c.out, 1, k, logZero);
      return (k === 2 ? where(skips, from, logZero) : from).sub(arriving).exp();
    });
    return [backwards(stack(shares), c.grad), null];
  },
  samples: [
    sample(random([4, 2, 2], -2, 0), exactly([2, 2], [0, 0, 0, 0], 'bool')),
    sampleWithoutGradient(random([4, 2, 3], -2, 0), exactly([2, 3], [0, 0, 1, 0, 0, 0], 'bool')),
  ],
  errors: [{ args: [random([4, 2, 3]), exactly([1, 3], [0, 0, 1], 'bool')], message: /not \[4, 2, 3\] with \[1, 3\]/ }],
});

type Lengths = Tensor | readonly number[] | number;
const asLengths = (lengths: Lengths): Tensor => {
  if (lengths instanceof Tensor) return lengths.to('int64').reshape([-1]);
  const values = [lengths].flat() as number[];
  return tensorOver(BigInt64Array.from(values, BigInt), { dtype: 'int64', shape: [values.length] });
};

/** Targets in rows [n, longest]; those that come one after another are cut by their lengths, whose values must be known. */
function inRows(targets: Tensor, lengths: Tensor): Tensor {
  if (targets.ndim === 2) return targets;
  const longest = Math.max(0, ...elements(lengths, 'ctcLoss').map(Number));
  const starts = lengths.cumsum(0).sub(lengths).unsqueeze(1);
  const places = starts.add(iota(longest)).clamp({ max: Math.max(0, targets.numel() - 1) });
  return targets.take(places);
}

/** blank, first label, blank, second label, …, blank. */
function withBlanks(targets: Tensor, blank: number): Tensor {
  const [rows, length] = targets.shape;
  const pairs = stack([targets.fullLike(blank), targets], 2).reshape([rows, 2 * length]);
  return constantPad(pairs, [0, 0, 0, 1], blank);
}

/** States that a path may enter from two before: labels that differ from the label before them. */
const mayBeSkippedTo = (states: Tensor, blank: number): Tensor =>
  states.ne(blank).logicalAnd(states.ne(constantPad(states, [0, 0, 2, -2], blank)));

/** Elements at one place each: `rows` [n, …], `at` [n]. */
const pick = (rows: Tensor, at: Tensor): Tensor => rows.gather(1, at.unsqueeze(1)).squeeze(1);

/** Negative log likelihoods [n] of label rows under log probabilities [time, n, class]. */
function negativeLogLikelihoods(
  logProbs: Tensor,
  labels: Tensor,
  inputLengths: Tensor,
  targetLengths: Tensor,
  blank: number,
): Tensor {
  const [times, n, classes] = logProbs.shape;
  const states = withBlanks(labels.to('int64').clamp(0, classes - 1), blank);
  const width = states.shape[1];
  const emission = logProbs.gather(2, states.unsqueeze(0).expand([times, n, width]));
  const paths = pathLikelihoods(emission, mayBeSkippedTo(states, blank));
  const ends = inputLengths.sub(1).clamp({ min: 0 }).reshape([1, n, 1]).expand([1, n, width]);
  const last = paths.gather(0, ends).squeeze(0);
  const inBlank = pick(last, targetLengths.mul(2));
  const inLabel = pick(last, targetLengths.mul(2).sub(1).clamp({ min: 0 }));
  return inBlank.logaddexp(where(targetLengths.gt(0), inLabel, logZero)).neg();
}

function checkLengths(inputLengths: Tensor, times: number, n: number, targetLengths: Tensor): void {
  const problem = (text: string): never => fail('E110', { op: 'ctcLoss', problem: text });
  if (inputLengths.numel() !== n)
    problem(`inputLengths must be of size batch_size ${n}, but is ${inputLengths.numel()}`);
  if (targetLengths.numel() !== n)
    problem(`targetLengths must be of size batch_size ${n}, but is ${targetLengths.numel()}`);
  if (inputLengths.value.kind !== 'eager') return;
  const tooLong = elements(inputLengths, 'ctcLoss').find(length => length > times);
  if (tooLong !== undefined) problem(`Expected inputLengths to have value at most ${times}, but got value ${tooLong}`);
}

interface CtcOptions {
  readonly blank?: number;
  readonly reduction?: Reduction;
  readonly zeroInfinity?: boolean;
}

export const ctcLoss: Op<
  (
    logProbs: Tensor,
    targets: Tensor,
    inputLengths: Lengths,
    targetLengths: Lengths,
    blank?: number | CtcOptions,
    reduction?: Reduction,
    zeroInfinity?: boolean,
  ) => Tensor
> = composite({
  name: 'ctcLoss',
  doc: 'Connectionist temporal classification: log probabilities [time, batch, class], targets in rows or one after another.',
  signature:
    'logProbs: tensor, targets: tensor, inputLengths: any, targetLengths: any, ' +
    "blank: int = 0, reduction: string = 'mean', zeroInfinity: bool = false",
  gradName: 'CtcLossBackward0',
  compute({ logProbs, targets, inputLengths, targetLengths, blank, reduction, zeroInfinity }) {
    if (logProbs.ndim === 2) {
      const batch = [logProbs.unsqueeze(1), targets.reshape([1, -1]), inputLengths, targetLengths] as const;
      const loss = ctcLoss(...batch, blank, reduction, zeroInfinity);
      return reduction === 'none' ? loss.squeeze(0) : loss;
    }
    if (logProbs.ndim !== 3 || blank < 0 || blank >= logProbs.shape[2]) {
      const given = `log probabilities of shape ${formatShape(logProbs.shape)} and blank ${blank}`;
      fail('E110', {
        op: 'ctcLoss',
        problem: `needs [time, batch, class] and a blank among the classes, not ${given}`,
      });
    }
    const [times, lengths] = [asLengths(inputLengths), asLengths(targetLengths)];
    checkLengths(times, logProbs.shape[0], logProbs.shape[1], lengths);
    const likelihoods = negativeLogLikelihoods(logProbs, inRows(targets, lengths), times, lengths, blank);
    const possible = likelihoods.lt(-logZero / 2);
    const loss = zeroInfinity ? where(possible, likelihoods, 0) : likelihoods.div(possible.to(likelihoods.dtype));
    return reduced('ctcLoss', reduction === 'mean' ? loss.div(lengths.clamp({ min: 1 })) : loss, reduction);
  },
  samples: [
    sample(random([5, 2, 4], -3, 0), exactly([2, 2], [1, 2, 3, 3], 'int64'), [5, 4], [2, 2]),
    sample(random([4, 2, 3], -3, 0), exactly([3], [1, 2, 2], 'int64'), [4, 3], [1, 2], { reduction: 'none' }),
    sample(random([4, 3], -3, 0), exactly([2], [0, 1], 'int64'), 4, 2, { blank: 2, reduction: 'sum' }),
    sample(random([2, 2, 3], -3, 0), exactly([2, 2], [1, 1, 2, 1], 'int64'), [2, 2], [2, 1], { zeroInfinity: true }),
  ],
  errors: [
    {
      args: [random([4, 1, 3]), exactly([1, 2], [1, 2], 'int64'), [5], [2]],
      message: /inputLengths to have value at most 4, but got value 5/,
    },
    { args: [random([4, 2, 3]), exactly([2, 2], [1, 2, 1, 2], 'int64'), [4], [2, 2]], message: /batch_size 2/ },
    {
      args: [random([4, 1, 3], -1, 0, 'float16'), exactly([1, 1], [1], 'int64'), [4], [1]],
      message: /float32 and float64/,
    },
  ],
});
