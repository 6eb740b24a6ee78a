/** Views, joins and selections of complex numbers. A view shares the memory of the parts. */
import { fail } from '../../errors.js';
import { isComplexDType } from '../../ir/dtype.js';
import { inferSize, normalizeDim, normalizeDims } from '../../ir/shape.js';
import * as conversion from '../conversion.js';
import * as creation from '../creation.js';
import { full } from '../define.js';
import * as indexing from '../indexing.js';
import * as joining from '../joining.js';
import { maskedFill, where } from '../selection.js';
import * as shape from '../shape.js';
import * as splitting from '../splitting.js';
import { overPair, realForm, refuseComplex, Tensor } from '../tensor.js';
import * as view from '../view.js';
import { Complex } from './number.js';
import {
  asComplex,
  asWritten,
  fromParts,
  imaginaryPart,
  onParts,
  partwise,
  promoted,
  promotedType,
  realPart,
  rule,
  viewed,
} from './parts.js';

/** A dim of a tensor that has one, from 0 on: the dim of the parts is none of it. */
function dimOf(op: string, dim: number, { ndim }: Tensor): number {
  if (ndim === 0) fail('E107', { op, problem: 'a tensor without dims has none to act on' });
  return normalizeDim(op, dim, ndim);
}
const inOrder = (tensor: Tensor): number[] => tensor.shape.map((_, d) => d);

viewed(view.reshape, (pair, { shape: size }, z) => pair.reshape([...inferSize('reshape', size, z.numel()), 2]));
viewed(view.view, (pair, { shape: size }, z) => pair.view([...inferSize('view', size, z.numel()), 2]));
viewed(view.permute, (pair, { dims }, z) =>
  pair.permute([
    ...dims.map((dim: number) => normalizeDim('permute', dim, z.ndim)),
    ...inOrder(pair).slice(dims.length),
  ]),
);
viewed(view.expand, (pair, { size }) => pair.expand([...size, 2]));
viewed(view.select, (pair, { dim, index }, z) => pair.select(dimOf('select', dim, z), index));
viewed(view.unsqueeze, (pair, { dim }, z) => pair.unsqueeze(normalizeDim('unsqueeze', dim, z.ndim + 1)));
viewed(view.squeeze, (pair, { dim }, z) => pair.squeeze(normalizeDims('squeeze', dim, z.ndim)));
viewed(view.detach, pair => pair.detach());
viewed(view.transpose, (pair, { dim0, dim1 }, z) =>
  pair.transpose(normalizeDim('transpose', dim0, z.ndim), normalizeDim('transpose', dim1, z.ndim)),
);
viewed(view.t, (pair, _, z) => pair.permute([...inOrder(view.t(realPart(z))).reverse(), z.ndim]));
viewed(view.slice, (pair, { dim, start, end, step }, z) => pair.slice(dimOf('slice', dim, z), start, end, step));
viewed(view.diagonal, (pair, { offset, dim1, dim2 }, z) =>
  pair.diagonal(offset, dimOf('diagonal', dim1, z), dimOf('diagonal', dim2, z)).transpose(-1, -2),
);
viewed(view.unfold, (pair, { dimension, size, step }, z) =>
  pair.unfold(dimOf('unfold', dimension, z), size, step).transpose(-1, -2),
);

asWritten(
  view.narrow,
  view.flatten,
  view.ravel,
  view.unflatten,
  view.viewAs,
  view.reshapeAs,
  view.expandAs,
  view.broadcastTo,
  view.movedim,
  view.moveaxis,
  view.swapaxes,
  view.swapdims,
  splitting.split,
  splitting.chunk,
  splitting.tensorSplit,
  splitting.hsplit,
  splitting.vsplit,
  splitting.dsplit,
  splitting.unbind,
  conversion.contiguous,
);

// ── joins and rearrangements ───────────────────────────────────────────────────────────────────────────────────────────

partwise(shape.cat, 'tensors');
partwise(shape.foldDim, 'input');
for (const op of [shape.flip, shape.rollDims, shape.repeat, shape.tril, shape.triu, shape.placeDiagonal, shape.unslice])
  partwise(op, 'input');
rule(shape.constantPad, ({ input, pads, value }) => {
  const [re, im] = value instanceof Complex ? [value.re, value.im] : [value, 0];
  return fromParts(shape.constantPad(realPart(input), pads, re), shape.constantPad(imaginaryPart(input), pads, im));
});
asWritten(
  shape.concat,
  shape.padDim,
  shape.stack,
  shape.fliplr,
  shape.flipud,
  shape.roll,
  shape.rot90,
  shape.tile,
  shape.repeatInterleave,
  shape.diagEmbed,
  shape.diag,
  shape.diagflat,
  shape.selectScatter,
  shape.sliceScatter,
  shape.diagonalScatter,
  shape.trace,
  joining.hstack,
  joining.vstack,
  joining.dstack,
  joining.columnStack,
  joining.atleast1d,
  joining.atleast2d,
  joining.atleast3d,
  joining.blockDiag,
  joining.broadcastTensors,
  joining.meshgrid,
  joining.cartesianProd,
  joining.vander,
);

// ── selections ─────────────────────────────────────────────────────────────────────────────────────────────────────────

rule(where, ({ condition, input, other }) => {
  const [yes, no] = promoted(input, other).map(realForm);
  return overPair(where(condition.unsqueeze(-1), yes, no));
});
rule(maskedFill, ({ input, mask, value }) => {
  const pair = realForm(asComplex(value, input.dtype));
  return overPair(where(mask.unsqueeze(-1), pair, realForm(input)));
});
partwise(indexing.gather, 'input');
partwise(indexing.selectAlong, 'input');
partwise(indexing.scatterAdd, 'input', 'src');
partwise(indexing.indexCopy, 'input', 'source');
const scattered = onParts(indexing.scatter, 'input', 'src');
rule(indexing.scatter, bound => {
  const { input, index, src, reduce } = bound;
  if (reduce === 'multiply') return refuseComplex("scatter with reduce 'multiply'", promotedType([input]));
  const source = src instanceof Tensor ? src : asComplex(src, promotedType([input])).expand(index.shape);
  return scattered({ ...bound, src: source });
});
asWritten(
  indexing.takeAlongDim,
  indexing.indexSelect,
  indexing.indexAdd,
  indexing.indexFill,
  indexing.take,
  indexing.maskedSelect,
  indexing.maskedScatter,
);

// ── copies and fills ───────────────────────────────────────────────────────────────────────────────────────────────────

viewed(conversion.clone, pair => pair.clone());
rule(full, ({ size, value, dtype }) => {
  const shapeOf: readonly number[] = typeof size === 'number' ? [size] : size;
  const wanted = dtype ?? promotedType([value]);
  if (!isComplexDType(wanted)) return refuseComplex(`full with dtype ${wanted}`, promotedType([value]));
  return asComplex(value, wanted).expand(shapeOf).clone();
});
asWritten(creation.fullLike, creation.zerosLike, creation.onesLike, conversion.to, conversion.typeAs);
