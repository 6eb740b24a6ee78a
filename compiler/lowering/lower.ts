/**
 * A group of nodes -> one kernel in plain form.
 *
 * Every node of a group that is not materialised is inlined: the value of a node at a position is an expression, found by
 * asking its op for the element and its inputs for theirs. Reductions of the group share one set of outer loops; each gets an
 * accumulator there and is read back at exactly the outer position. So one rule covers pointwise chains, reductions with
 * prologue and epilogue, contractions with epilogue, and rows with several reductions (softmax, layer norm):
 *
 *   parallel o: { acc1 = reduce over r of f1(o, r); acc2 = reduce over r of f2(o, r, acc1); parallel s: out[o, s] = f3(…) }
 *
 * A group for which this is impossible (a reduction read elsewhere than at the outer position) does not lower: the result is
 * null, which is how the fuser asks whether a merge is legal. Nor does one in which a loop would compute a node at many
 * positions for each of its elements: in a chain of steps that each read their predecessor at two positions (gathers, shifted
 * copies), the first step would otherwise be computed 2ⁿ times.
 */
import { InternalError, invariant } from '../errors.js';
import { computeType } from '../ir/dtype.js';
import { isParam, type Node, type TensorType, topological } from '../ir/graph.js';
import {
  addIndex,
  alloc,
  type Buffer,
  cast,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mulIndex,
  nest,
  neutral,
  reduce,
  type Stmt,
  sameExpr,
  store,
} from '../ir/kernel.js';
import { contiguousStrides, numel, type Shape, sameShape } from '../ir/shape.js';
import { type Lowering, type OpDef, type Operand, type OutputWriter, opDef } from '../ops/define.js';
import { reindex } from '../ops/view.js';

export interface Group {
  readonly nodes: ReadonlySet<Node>;
  /** Nodes of the group whose value is written to memory. */
  readonly outputs: readonly Node[];
}

/** Where the elements of a tensor lie in its buffer. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}

export interface Lowered {
  readonly kernel: Kernel;
  /** The nodes behind `kernel.params`: first those read, then those written. */
  readonly reads: readonly Node[];
  readonly writes: readonly Node[];
  /** Where elements of those are read or written; nothing is told of what an op writes in loops of its own. */
  readonly positions: ReadonlyMap<Node, readonly Position[]>;
}

/** An element of a tensor: an index for each of its dims. */
export type Position = readonly Expr[];

/** Positions at which a loop may compute one node for each of its elements: the corners of a bilinear read, four gates. */
const mostPositions = 4;

/** A node at a position, as computed by the loop `loop`. */
interface Computed {
  readonly at: readonly Expr[];
  readonly value: Expr;
  readonly loop: number;
}

/** Thrown inside lowering where a group cannot be one kernel. */
class NotOneKernel extends Error {}

/** Lower a group; null where it cannot be one kernel. `layoutOf` tells strides of tensors that are not row-major. */
export function lowerGroup(
  group: Group,
  name: string,
  layoutOf: (node: Node) => Layout | null = () => null,
): Lowered | null {
  try {
    return new GroupLowering(group, layoutOf).lower(name);
  } catch (error) {
    if (error instanceof NotOneKernel) return null;
    throw error;
  }
}

class GroupLowering {
  readonly #order: readonly Node[];
  readonly #buffers = new Map<Node, Buffer>();
  readonly #reads: Node[] = [];
  readonly #accumulators = new Map<Node, Buffer>();
  readonly #positions = new Map<Node, Position[]>();
  #outer: readonly Expr[] = [];
  #outerShape: Shape = [];
  #memo = new Map<Node, Computed[]>();
  /** Numbers the loop being written. */
  #loop = 0;

  constructor(
    readonly group: Group,
    readonly layoutOf: (node: Node) => Layout | null,
  ) {
    this.#order = topological(group.outputs, group.nodes);
  }

  lower(name: string): Lowered {
    const outputs = this.group.outputs.map(node =>
      this.#bufferOf(node, `out${this.group.outputs.length > 1 ? this.group.outputs.indexOf(node) : ''}`),
    );
    const body = this.#body();
    const inputs = this.#reads.map(node => this.#buffers.get(node)!);
    return {
      kernel: {
        name,
        params: [
          ...inputs.map(buffer => ({ buffer, access: 'read' as const })),
          ...outputs.map((buffer, i) => ({
            buffer,
            access: this.#isProgram(this.group.outputs[i]) ? ('readwrite' as const) : ('write' as const),
          })),
        ],
        body,
        doc: this.#doc(),
      },
      reads: this.#reads,
      writes: this.group.outputs,
      positions: this.#positions,
    };
  }

  #doc(): string {
    const names = this.#order
      .filter(node => opDef(node.op).fusion !== 'view' && node.inputs.length > 0)
      .map(node => node.op);
    const modules = new Set(this.#order.map(node => node.site?.module).filter(Boolean));
    return `${names.length > 0 ? names.join(' → ') : this.#order.map(node => node.op).join(' → ')}${modules.size > 0 ? ` (${[...modules].join(', ')})` : ''}`;
  }

  #isProgram = (node: Node): boolean => loweringOf(node).kind === 'program';

  #body(): Stmt[] {
    const reductions = this.#order.filter(node => loweringOf(node).kind === 'reduce');
    const program = this.#order.find(this.#isProgram);
    if (program) return this.#program(program);
    if (reductions.length === 0) return this.#pointwise();
    return this.#rows(reductions);
  }

  // one loop nest, one store per output
  #pointwise(): Stmt[] {
    const { shape } = this.group.outputs[0].type;
    const iters = itersFor(shape);
    const at = iters.map(iterOf);
    const stores = this.group.outputs.map(node => {
      if (numel(node.type.shape) !== numel(shape)) throw new NotOneKernel();
      return this.#store(node, reindex(at, shape, node.type.shape));
    });
    return nest(iters, 'parallel', stores);
  }

  #program(node: Node): Stmt[] {
    if (this.group.outputs.length !== 1 || this.group.outputs[0] !== node) throw new NotOneKernel();
    const lowering = loweringOf(node);
    invariant(lowering.kind === 'program', 'a program is lowered as one');
    const buffer = this.#bufferOf(node, 'out');
    return [
      ...lowering.build({
        inputs: this.#operands(node),
        attrs: node.attrs,
        type: node.type,
        out: outputWriter(buffer, node.type),
      }),
    ];
  }

  // outer loops, one accumulator per reduction, then the outputs
  #rows(reductions: readonly Node[]): Stmt[] {
    const kept = keptShape(reductions[0]);
    const outerIters = itersFor(kept);
    this.#outer = outerIters.map(iterOf);
    this.#outerShape = kept;
    const full = fullShape(reductions[0]);
    const wrappers: ((rest: Stmt[]) => Stmt[])[] = reductions.map(node => this.#reduction(node));
    const outputs = this.#rowOutputs(full);
    return nest(
      outerIters,
      'parallel',
      wrappers.reduceRight((rest, wrap) => wrap(rest), outputs),
    );
  }

  #reduction(node: Node): (rest: Stmt[]) => Stmt[] {
    const lowering = loweringOf(node);
    invariant(lowering.kind === 'reduce', 'only reductions accumulate');
    if (numel(keptShape(node)) !== numel(this.#outerShape)) throw new NotOneKernel();
    const dtype = computeType(node.type.dtype);
    const acc: Buffer = { name: `acc${this.#accumulators.size || ''}`, dtype, size: 1, scope: 'register' };
    const extents = lowering.extents(
      node.inputs.map(input => input.type),
      node.attrs,
      node.type,
    );
    const reduced = extents.map((extent, d) => makeIter(`r${d}`, extent));
    this.#loop++;
    const at = reindex(this.#outer, this.#outerShape, node.type.shape);
    const value = lowering.element(at, reduced.map(iterOf), this.#operands(node), node.attrs, node.type);
    const accumulate = nest(reduced, 'serial', [reduce(acc, index(0), lowering.fn, value)]);
    this.#accumulators.set(node, acc);
    return rest => [alloc(acc, [store(acc, index(0), neutral(lowering.fn, dtype)), ...accumulate, ...rest])];
  }

  /** Outputs of one element per outer position, then those of whole rows in one inner nest. */
  #rowOutputs(full: { shape: Shape; reduced: readonly number[] } | null): Stmt[] {
    this.#loop++;
    const perRow = this.group.outputs.filter(node => numel(node.type.shape) === numel(this.#outerShape));
    const whole = this.group.outputs.filter(node => !perRow.includes(node));
    const stores = perRow.map(node => this.#store(node, this.#outerPosition(node)));
    if (whole.length === 0) return stores;
    if (full === null) throw new NotOneKernel();
    const { shape, reduced } = full;
    const inner = reduced.map((d, i) => makeIter(`s${i}`, shape[d]));
    let next = 0;
    const position = shape.map((_, d) =>
      reduced.includes(d) ? iterOf(inner[reduced.indexOf(d)]) : this.#outer[next++],
    );
    const rows = whole.map(node => {
      if (numel(node.type.shape) !== numel(shape)) throw new NotOneKernel();
      return this.#store(node, reindex(position, shape, node.type.shape));
    });
    return [...stores, ...nest(inner, 'parallel', rows)];
  }

  /** Where an output of one element per outer position keeps it: found by following the reduction through views. */
  #outerPosition(node: Node): readonly Expr[] {
    return this.#followed(node) ?? reindex(this.#outer, this.#outerShape, node.type.shape);
  }

  #followed(node: Node): readonly Expr[] | null {
    if (!this.group.nodes.has(node) || numel(node.type.shape) !== numel(this.#outerShape)) return null;
    if (loweringOf(node).kind === 'reduce') return reindex(this.#outer, this.#outerShape, node.type.shape);
    const { inverse, elementwise } = opDef(node.op);
    for (const input of node.inputs) {
      const at = this.#followed(input);
      if (at === null) continue;
      if (inverse) return inverse(at, input.type, node.attrs, node.type);
      if (elementwise && sameShape(input.type.shape, node.type.shape)) return at;
    }
    return null;
  }

  #store(node: Node, at: Position): Stmt {
    this.#touched(node, at);
    const buffer = this.#bufferOf(node, 'out');
    return store(buffer, linearIndex(at, node.type, null), cast(buffer.dtype, this.#value(node, at)));
  }

  /** The value of a node of the group at a position. */
  #value(node: Node, at: readonly Expr[]): Expr {
    const computed = this.#memo.get(node) ?? [];
    const known = computed.find(
      entry => entry.at.length === at.length && entry.at.every((expr, d) => sameExpr(expr, at[d])),
    );
    if (known) return known.value;
    const here = computed.filter(entry => entry.loop === this.#loop);
    if (here.length >= mostPositions && this.group.nodes.has(node) && !isFree(node)) throw new NotOneKernel();
    const value = this.#asStored(node, this.#compute(node, at));
    computed.push({ at, value, loop: this.#loop });
    this.#memo.set(node, computed);
    return value;
  }

  #compute(node: Node, at: readonly Expr[]): Expr {
    if (!this.group.nodes.has(node)) return this.#read(node, at);
    const lowering = loweringOf(node);
    if (lowering.kind === 'reduce') {
      const acc = this.#accumulators.get(node);
      const expected = reindex(this.#outer, this.#outerShape, node.type.shape);
      if (!acc || !at.every((expr, d) => node.type.shape[d] === 1 || sameExpr(expr, expected[d])))
        throw new NotOneKernel();
      return load(acc, index(0));
    }
    if (lowering.kind === 'program') throw new NotOneKernel();
    return lowering.element(at, this.#operands(node), node.attrs, node.type);
  }

  /** 16-bit floats are computed in float32, but every op rounds its result, as it does when the result goes to memory. */
  #asStored(node: Node, value: Expr): Expr {
    const { dtype } = node.type;
    const isRounded = computeType(dtype) === dtype || !this.group.nodes.has(node) || opDef(node.op).fusion === 'view';
    return isRounded ? value : cast(computeType(dtype), cast(dtype, value));
  }

  #operands(node: Node): Operand[] {
    return node.inputs.map(input => ({ type: input.type, at: position => this.#value(input, position) }));
  }

  #touched(node: Node, at: Position): void {
    const positions = this.#positions.get(node);
    if (positions === undefined) this.#positions.set(node, [at]);
    else positions.push(at);
  }

  #read(node: Node, at: Position): Expr {
    this.#touched(node, at);
    if (!this.#buffers.has(node)) this.#reads.push(node);
    const layout = this.layoutOf(node);
    const buffer = this.#bufferOf(node, isParam(node) ? String(node.attrs.name) : `x${this.#reads.length - 1}`, layout);
    return cast(computeType(node.type.dtype), load(buffer, linearIndex(at, node.type, layout)));
  }

  #bufferOf(node: Node, name: string, layout: Layout | null = null): Buffer {
    let buffer = this.#buffers.get(node);
    if (buffer === undefined) {
      buffer = {
        name: name.replace(/\W/g, '_'),
        dtype: node.type.dtype,
        size: extentOf(node.type, layout),
        scope: 'param',
      };
      this.#buffers.set(node, buffer);
    }
    return buffer;
  }
}

/** Computed by whoever reads it: rearrangements of one input, and values that need no input. */
export const isFree = (node: Node): boolean => {
  const { fusion } = opDef(node.op);
  return fusion === 'view' || (fusion === 'pointwise' && node.inputs.length === 0);
};

const itersFor = (shape: Shape): Iter[] => shape.map((extent, d) => makeIter(`i${d}`, extent));

function linearIndex(at: readonly Expr[], type: TensorType, layout: Layout | null): Expr {
  const strides = layout?.strides ?? contiguousStrides(type.shape);
  return at.reduce<Expr>((sum, i, d) => addIndex(sum, mulIndex(i, strides[d])), index(layout?.offset ?? 0));
}

/** Elements a tensor's buffer must have. */
function extentOf(type: TensorType, layout: Layout | null): number {
  if (layout === null) return numel(type.shape);
  return layout.offset + 1 + type.shape.reduce((last, dim, d) => last + (dim - 1) * layout.strides[d], 0);
}

export function loweringOf(node: Node): Lowering {
  const def: OpDef = opDef(node.op);
  if (!def.lower) throw new InternalError(`op '${node.op}' reached lowering but is only defined by decomposition`);
  return def.lower;
}

/** The shape of the outer loops of a reduction: its own, without the dims that `keepdim` left. */
function keptShape(node: Node): Shape {
  const dims = node.attrs.dim;
  return node.attrs.keepdim === true && Array.isArray(dims)
    ? node.type.shape.filter((_, d) => !dims.includes(d))
    : node.type.shape;
}

/**
 * For a reduction over dims of one tensor: that tensor's shape and the dims reduced, where outputs of full rows may be
 * written.
 */
function fullShape(node: Node): { shape: Shape; reduced: readonly number[] } | null {
  if (opDef(node.op).fusion !== 'reduction' || !Array.isArray(node.attrs.dim) || node.inputs.length !== 1) return null;
  return { shape: node.inputs[0].type.shape, reduced: node.attrs.dim as number[] };
}

function outputWriter(buffer: Buffer, type: TensorType): OutputWriter {
  const at = (position: readonly Expr[]): Expr => linearIndex(position, type, null);
  return {
    store: (position, value) => store(buffer, at(position), cast(buffer.dtype, value)),
    reduce: (position, fn, value) => reduce(buffer, at(position), fn, cast(buffer.dtype, value)),
    load: position => cast(computeType(type.dtype), load(buffer, at(position))),
    fill(value) {
      const iter = makeIter('f', numel(type.shape));
      return loop(iter, 'parallel', [store(buffer, iterOf(iter), constant(type.dtype, value))]);
    },
  };
}
