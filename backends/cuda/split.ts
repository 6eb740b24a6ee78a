/**
 * Long sums with few results, cut in two stages so that the whole device works on them.
 *
 * The first stage computes partial results over pieces of the reduction, the second combines them, always in the same
 * order: no atomics, so the same bits in every run. Weight gradients (few results, a sum over the batch and all pixels)
 * and losses are of this kind.
 */
import {
  addIndex,
  alloc,
  type Buffer,
  constant,
  index,
  iterOf,
  load,
  loop,
  makeIter,
  mulIndex,
  reduce,
  type Stmt,
  store,
  substitute,
} from '../../compiler/ir/kernel.js';
import { perfectNest, rowMajorOf } from '../../compiler/ir/nests.js';
import { type Accumulation, accumulationOf, chooseTile, contractionOf, multiprocessors } from './contraction.js';
import { extentOf, nestOf, unflatten } from './loops.js';
import { nestPass } from './nest-pass.js';
import { identityOf } from './scalar.js';

/** Shorter sums are not worth a second stage; pieces are at least this long. */
const shortestContraction = 512;
const shortestPiece = 128;
export const shortestReduction = 16384;
const longestPiece = 4096;

/** Into how many equal pieces to cut a sum over `length`; 1 for not at all. */
function pieces(nest: Stmt, results: number, length: number): number {
  const contraction = contractionOf(nest);
  if (contraction !== null) {
    const { blocks } = chooseTile(contraction);
    if (blocks * 2 > multiprocessors || length < shortestContraction) return 1;
    return largestDivisor(
      length,
      Math.min(Math.ceil((2 * multiprocessors) / blocks), Math.floor(length / shortestPiece)),
    );
  }
  if (results > multiprocessors || length < shortestReduction) return 1;
  return largestDivisor(length, Math.min(Math.ceil((8 * multiprocessors) / results), Math.ceil(length / longestPiece)));
}

/** The largest divisor of `value` that is at most `limit`. */
function largestDivisor(value: number, limit: number): number {
  for (let divisor = Math.max(1, Math.min(limit, value)); ; divisor--) if (value % divisor === 0) return divisor;
}

function partialSums(iters: Parameters<typeof nestOf>[0], sum: Accumulation, count: number, partial: Buffer): Stmt {
  const { acc, reduce: step } = sum;
  const length = extentOf(sum.k) / count;
  const [piece, k] = [makeIter('piece', count), makeIter('k', length)];
  const values = unflatten(sum.k, addIndex(mulIndex(iterOf(piece), length), iterOf(k)));
  const own: Buffer = { ...acc };
  const place = addIndex(mulIndex(iterOf(piece), extentOf(iters)), rowMajorOf(iters));
  return nestOf([piece, ...iters], 'parallel', [
    alloc(own, [
      store(own, index(0), constant(acc.dtype, identityOf(step.fn, acc.dtype))),
      loop(k, 'serial', [reduce(own, index(0), step.fn, substitute(step.value, values))]),
      store(partial, place, load(own, index(0))),
    ]),
  ]);
}

function combined(iters: Parameters<typeof nestOf>[0], sum: Accumulation, count: number, partial: Buffer): Stmt {
  const { acc, start, rest } = sum;
  const piece = makeIter('piece', count);
  const place = addIndex(mulIndex(iterOf(piece), extentOf(iters)), rowMajorOf(iters));
  const add = loop(piece, 'serial', [reduce(acc, index(0), sum.reduce.fn, load(partial, place))]);
  return nestOf(iters, 'parallel', [alloc(acc, [store(acc, index(0), start), add, ...rest])]);
}

/**
 * parallel i: acc = 0; serial k<65536: acc += f(i, k); rest
 *   -->   parallel piece<16, i: acc = 0; serial k<4096: acc += f(i, piece * 4096 + k); partial[piece, i] = acc
 *         parallel i: acc = 0; serial piece<16: acc += partial[piece, i]; rest
 */
export const splitPass = nestPass(
  'cuda-split',
  'Long sums with few results are computed in pieces, then combined.',
  (nest, note) => {
    const { iters, body } = perfectNest([nest], 'parallel');
    const sum = accumulationOf(body);
    if (sum === null || sum.rest.some(stmt => stmt.kind === 'alloc')) return null;
    const count = pieces(nest, extentOf(iters), extentOf(sum.k));
    if (count === 1) return null;
    note(`${count} pieces`, `${extentOf(iters)} results of ${extentOf(sum.k)} terms each`);
    const partial: Buffer = { name: 'partial', dtype: sum.acc.dtype, size: count * extentOf(iters), scope: 'local' };
    return [alloc(partial, [partialSums(iters, sum, count, partial), combined(iters, sum, count, partial)])];
  },
);
