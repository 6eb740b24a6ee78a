/**
 * PyTorch's square brackets: `x.at(...)` takes what stands between them, `x.setAt([...], value)` assigns.
 *
 *   x[0, 1:3]         x.at(0, slice(1, 3))
 *   x[..., None]      x.at('...', null)
 *   x[mask] = 0       x.setAt(mask, 0)
 *   x[rows, columns]  x.at(rows, columns)
 *
 * Integers, slices, null and '...' make views. Tensors of positions or booleans pick elements: their broadcast shape
 * takes the place of the dims they index, or comes first where a slice stands between them.
 */
import { fail } from '../errors.js';
import { isInt } from '../ir/dtype.js';
import { broadcastShapes, formatShape, numel } from '../ir/shape.js';
import { full } from './define.js';
import { checkPositions, indexAdd, indexCopy, nonzero, selectAlong } from './indexing.js';
import { where } from './selection.js';
import type { Operand } from './signature.js';
import { assignInPlace, renameStep } from './tape.js';
import { Tensor, tensorOver } from './tensor.js';

/** Python's start:stop:step; null leaves an end open. */
export interface Slice {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step?: number | null;
}
/** `slice(1, 3)` is Python's 1:3, `slice()` is `:`, `slice(null, null, 2)` is ::2. */
export const slice = (start: number | null = null, stop: number | null = null, step = 1): Slice => ({
  start,
  stop,
  step,
});

type IndexList = readonly (number | boolean | IndexList)[];
/** One item between the brackets. */
export type IndexItem = number | boolean | null | '...' | Slice | Tensor | IndexList;

/** The view after all items but tensors, and the tensors with the dim of the view each one indexes. */
interface Resolved {
  readonly view: Tensor;
  readonly picks: readonly { readonly dim: number; readonly index: Tensor }[];
}

const isSlice = (item: IndexItem): item is Slice =>
  typeof item === 'object' && item !== null && !(item instanceof Tensor) && !Array.isArray(item);

const flattened = (list: IndexList): (number | boolean)[] =>
  list.flatMap(item => (typeof item === 'object' ? flattened(item) : [item]));

function listTensor(list: IndexList): Tensor {
  const shape: number[] = [];
  for (let level: unknown = list; Array.isArray(level); level = level[0]) shape.push(level.length);
  const flat = flattened(list);
  if (typeof flat[0] === 'boolean') return tensorOver(Uint8Array.from(flat, Number), { dtype: 'bool', shape });
  return tensorOver(
    BigInt64Array.from(flat, value => BigInt(Number(value))),
    { dtype: 'int64', shape },
  );
}

/** A boolean is a mask of no dims. */
const asTensor = (item: IndexItem): IndexItem => {
  if (typeof item === 'boolean') return tensorOver(Uint8Array.of(Number(item)), { dtype: 'bool', shape: [] });
  return Array.isArray(item) ? listTensor(item) : item;
};

const isMask = (index: Tensor): boolean => index.dtype === 'bool' || index.dtype === 'uint8';

/** Dims of the indexed tensor that an item uses up. */
function dimsUsed(item: IndexItem): number {
  if (item === null || item === '...') return 0;
  return item instanceof Tensor && isMask(item) ? item.ndim : 1;
}

function resolve(input: Tensor, given: readonly IndexItem[]): Resolved {
  const items = given.map(asTensor);
  const used = items.reduce<number>((sum, item) => sum + dimsUsed(item), 0);
  if (used > input.ndim) {
    fail('E109', { op: 'index', problem: `too many indices for tensor of dimension ${input.ndim}` });
  }
  const picks: { dim: number; index: Tensor }[] = [];
  let view = input;
  let dim = 0;
  for (const item of items) {
    if (item === '...') dim += input.ndim - used;
    else if (item === null) view = view.unsqueeze(dim++);
    else if (typeof item === 'number') view = view.select(dim, item);
    else if (isSlice(item)) view = view.slice(dim++, item.start, item.stop, item.step ?? 1);
    else if (item instanceof Tensor) {
      if (!isMask(item) && !isInt(item.dtype))
        fail('E109', {
          op: 'index',
          problem: `tensors used as indices must be of an integer dtype or masks, not of ${item.dtype}`,
        });
      if (isMask(item) && item.ndim === 0) view = view.unsqueeze(dim);
      picks.push({ dim, index: item });
      dim += Math.max(1, dimsUsed(item));
    } else fail('E108', { op: 'index', problem: `cannot index with ${String(item)}` });
  }
  return { view, picks };
}

function checkMask(mask: Tensor, dim: number, view: Tensor): void {
  const covered = view.shape.slice(dim, dim + mask.ndim);
  if (mask.ndim > 0 && mask.shape.some((extent, d) => extent !== covered[d])) {
    fail('E109', {
      op: 'index',
      problem: `The shape of the mask ${formatShape(mask.shape)} does not match the shape of the indexed tensor ${formatShape(view.shape)} at dimension ${dim}`,
    });
  }
}

/** Masks as the positions of their true elements, one index tensor for each dim they cover. */
function withoutMasks({ view, picks }: Resolved): Resolved {
  const positions = picks.flatMap(({ dim, index }) => {
    if (!isMask(index)) return [{ dim, index }];
    checkMask(index, dim, view);
    if (index.ndim === 0) return [{ dim, index: nonzero(index.reshape([1])).reshape([-1]) }];
    return nonzero(index)
      .unbind(1)
      .map((column, d) => ({ dim: dim + d, index: column }));
  });
  return { view, picks: positions };
}

/** All picked dims merged into one, and one index into it. */
interface Merged {
  /** The view with the picked dims side by side, and those merged. */
  readonly flat: Tensor;
  readonly dim: number;
  /** Positions along `dim`, in the broadcast shape of the indices. */
  readonly index: Tensor;
  /** The view with the picked dims side by side. */
  readonly arranged: Tensor;
  /** The order of dims that makes `arranged` from the view. */
  readonly order: readonly number[];
}

function mergePicks({ view, picks }: Resolved): Merged {
  const dims = picks.map(pick => pick.dim);
  const adjacent = dims.every((dim, i) => i === 0 || dim === dims[i - 1] + 1);
  const others = view.shape.map((_, d) => d).filter(d => !dims.includes(d));
  const start = adjacent ? dims[0] : 0;
  const order = [...others.slice(0, start), ...dims, ...others.slice(start)];
  const arranged = adjacent ? view : view.permute(order);
  const shape = picks.map(pick => pick.index.shape).reduce((a, b) => broadcastShapes('index', a, b));
  const extents = dims.map(dim => view.shape[dim]);
  const index = picks
    .map(({ index: given }, i) => {
      const wide = checkPositions('index', given, extents[i]).to('int64');
      const wrapped = wide.lt(0).to('int64').mul(extents[i]).add(wide);
      return wrapped.mul(numel(extents.slice(i + 1)));
    })
    .reduce((a, b) => a.add(b))
    .expand(shape);
  const flat = arranged.reshape([
    ...arranged.shape.slice(0, start),
    numel(extents),
    ...arranged.shape.slice(start + dims.length),
  ]);
  return { flat, dim: start, index, arranged, order };
}

/** x[items]. */
export function indexWith(input: Tensor, items: readonly IndexItem[]): Tensor {
  const resolved = resolve(input, items);
  if (resolved.picks.length === 0) return resolved.view === input ? input.reshape(input.shape) : resolved.view;
  const { flat, dim, index } = mergePicks(withoutMasks(resolved));
  const picked = selectAlong(flat, dim, index);
  renameStep(picked, 'IndexBackward0');
  return picked;
}

const asValue = (value: Operand, like: Tensor): Tensor => {
  if (value instanceof Tensor) return value.to(like.dtype);
  return full([], value, { dtype: like.dtype });
};

/** One mask and one value for all its places: no positions are needed, so that it works in a trace too. */
const isFill = ({ view, picks }: Resolved, value: Tensor): boolean =>
  picks.length === 1 &&
  isMask(picks[0].index) &&
  picks[0].index.ndim > 0 &&
  value.ndim <= view.ndim - picks[0].dim - picks[0].index.ndim;

function filled({ view, picks: [{ dim, index }] }: Resolved, value: Tensor): Tensor {
  checkMask(index, dim, view);
  const mask = index.reshape([...index.shape, ...new Array<number>(view.ndim - dim - index.ndim).fill(1)]);
  return where(mask.to('bool'), value, view);
}

/** The view with values at the picked places. */
function placed(resolved: Resolved, value: Tensor, accumulate: boolean): Tensor {
  const { flat, dim, index, arranged, order } = mergePicks(withoutMasks(resolved));
  const target = [...flat.shape.slice(0, dim), ...index.shape, ...flat.shape.slice(dim + 1)];
  const rows = [...flat.shape.slice(0, dim), index.numel(), ...flat.shape.slice(dim + 1)];
  const source = value.expand(target).reshape(rows);
  const place = accumulate ? indexAdd : indexCopy;
  const changed = place(flat, dim, index.reshape([-1]), source).reshape(arranged.shape);
  return changed.permute(order.map((_, d) => order.indexOf(d)));
}

/** x[items] = value, or += with `accumulate` (where every hit counts). */
export function assignAt(input: Tensor, items: readonly IndexItem[], given: Operand, accumulate = false): Tensor {
  const resolved = resolve(input, items);
  const value = asValue(given, input);
  if (resolved.picks.length === 0) {
    const added = accumulate
      ? resolved.view.add(value)
      : trimmed(value, resolved.view.ndim).expand(resolved.view.shape);
    assignInPlace(resolved.view, added);
  } else {
    const changed =
      !accumulate && isFill(resolved, value) ? filled(resolved, value) : placed(resolved, value, accumulate);
    assignInPlace(resolved.view, changed);
  }
  return input;
}

/** Leading dims of size 1 beyond a rank are dropped, as PyTorch does on assignment. */
const trimmed = (value: Tensor, rank: number): Tensor =>
  value.ndim > rank && value.shape[0] === 1 ? trimmed(value.squeeze(0), rank) : value;

const listOf = (items: IndexItem | readonly IndexItem[]): readonly IndexItem[] =>
  Array.isArray(items) ? (items as readonly IndexItem[]) : [items as IndexItem];

declare module './tensor.js' {
  interface Tensor {
    /** Elements by position, as between PyTorch's square brackets: `x.at(0, slice(1, 3), '...', null, mask)`. */
    at(...items: IndexItem[]): Tensor;
    /** The same as `at`. */
    index(...items: IndexItem[]): Tensor;
    /** Assign to `x.at(...items)`; one item needs no list. */
    setAt(items: IndexItem | readonly IndexItem[], value: Operand): this;
    /** A copy with values at the positions. */
    indexPut(items: IndexItem | readonly IndexItem[], value: Operand, accumulate?: boolean): Tensor;
    indexPut_(items: IndexItem | readonly IndexItem[], value: Operand, accumulate?: boolean): this;
  }
}

Object.assign(Tensor.prototype, {
  at(this: Tensor, ...items: IndexItem[]): Tensor {
    return indexWith(this, items);
  },
  index(this: Tensor, ...items: IndexItem[]): Tensor {
    return indexWith(this, items);
  },
  setAt(this: Tensor, items: IndexItem | readonly IndexItem[], value: Operand): Tensor {
    return assignAt(this, listOf(items), value);
  },
  indexPut(this: Tensor, items: IndexItem | readonly IndexItem[], value: Operand, accumulate = false): Tensor {
    return assignAt(this.clone(), listOf(items), value, accumulate);
  },
  indexPut_(this: Tensor, items: IndexItem | readonly IndexItem[], value: Operand, accumulate = false): Tensor {
    return assignAt(this, listOf(items), value, accumulate);
  },
});
