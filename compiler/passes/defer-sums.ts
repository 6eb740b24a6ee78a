/**
 * What a loop only adds up is added up after it, in one go, where what that takes lies stacked in memory anyway or is smaller
 * than the sum.
 *
 *   %1 = scan(%zeros, %hs, %gs) with { update %dw = add(%dw, batchedMatmul(permute(%h), %g)) }
 *     ->  %1 = permute(reshape(%hs)); %2 = reshape(%gs); %3 = batchedMatmul(%1, %2)
 *
 * So the gradient of a weight that all steps share is one product of large matrices instead of many small ones, and the
 * weight's memory is not walked over at every step. Sums along dims (of a bias) likewise. The order of additions changes.
 */
import {
  type Control,
  carriesOf,
  controlNode,
  controlOf,
  isControl,
  isResult,
  layoutOf,
  mainBody,
  resultIndex,
  scanLength,
} from '../ir/control.js';
import {
  type Attrs,
  type Graph,
  Interner,
  isParam,
  mapGraph,
  type Node,
  roots,
  topological,
  usersOf,
} from '../ir/graph.js';
import { numel } from '../ir/shape.js';
import { opDef } from '../ops/define.js';
import type { Pass } from '../pass.js';

export const deferSums: Pass<Graph> = {
  name: 'defer-sums',
  doc: 'Products and sums that a loop only adds up are computed after it from what it stacks.',
  run(graph, context) {
    let deferred = 0;
    const sumsAt = new Map<Node, CarriedSums>();
    for (const node of topological(roots(graph))) {
      if (node.op !== 'scan') continue;
      sumsAt.set(node, carriedSums(controlOf(node)));
      deferred += sumsAt.get(node)!.sums.length;
    }
    if (deferred === 0) return graph;
    context.note(graph.name, `${deferred} sums are computed after their loop`);
    const interner = new Interner();
    const values = new Map<Node, readonly Node[]>();
    return mapGraph(graph, interner, (node, inputs) => {
      if (isResult(node)) return values.get(node.inputs[0])![resultIndex(node)];
      const made = interner.like(node, inputs);
      if (isControl(node)) values.set(node, new Deferral(interner, node, inputs, sumsAt.get(node) ?? none).values());
      return made;
    });
  },
};

/** A carry to which every step adds `term`, and which nothing else reads. */
interface CarriedSum {
  readonly carry: number;
  /** The product or sum behind `term`. */
  readonly core: Node;
  /** From the core to what is added, views all. */
  readonly views: readonly Node[];
}

interface CarriedSums {
  readonly sums: readonly CarriedSum[];
  /** What the loop must stack for them beside its results. */
  readonly stacked: readonly Node[];
}
const none: CarriedSums = { sums: [], stacked: [] };

function carriedSums(control: Control): CarriedSums {
  if (scanLength(control) === 0) return none;
  const body = mainBody(control);
  const users = usersOf(roots(body));
  const results = new Set(body.results.map(({ node }) => node));
  const { captures, carries } = layoutOf(control);
  const stacked = new Set<Node>();
  const isStacked = (node: Node): boolean =>
    results.has(node) || stacked.has(node) || body.params.indexOf(node) >= captures + carries;
  const candidates = carriesOf(control).flatMap((param, carry): CarriedSum[] => {
    const next = body.updates.get(param);
    if (next?.op !== 'add' || next.attrs.alpha !== 1 || results.has(next) || users.get(next)!.length > 0) return [];
    if (results.has(param) || users.get(param)?.length !== 1 || !next.inputs.includes(param)) return [];
    const term = next.inputs[0] === param ? next.inputs[1] : next.inputs[0];
    if (term.type.dtype !== param.type.dtype || term.type.shape.join() !== param.type.shape.join()) return [];
    const views = viewsOf(term);
    const core = views.length > 0 ? views[0].inputs[0] : term;
    const isProduct = core.op === 'batchedMatmul' && core.type.shape.length === 2;
    return isProduct || core.op === 'sum' ? [{ carry, core, views }] : [];
  });
  // products first: sums often read what those stack
  const isSum = ({ core }: CarriedSum): boolean => core.op === 'sum';
  const sums = [...candidates.filter(each => !isSum(each)), ...candidates.filter(isSum)].filter(({ core }) => {
    const missing = [...new Set(core.inputs.map(baseOf))].filter(base => !isStacked(base));
    if (missing.some(base => body.params.indexOf(base) >= 0 && body.params.indexOf(base) < captures)) return false;
    const elements = missing.reduce((sum, { type }) => sum + numel(type.shape), 0);
    if (elements > 0 && elements >= numel(core.type.shape)) return false;
    for (const base of missing) stacked.add(base);
    return true;
  });
  return { sums, stacked: [...stacked] };
}

/** The rearrangements on the way to a node, the first one first. */
function viewsOf(node: Node): Node[] {
  const views: Node[] = [];
  for (let at = node; at.op === 'permute' || at.op === 'reshape'; at = at.inputs[0]) views.unshift(at);
  return views;
}
const baseOf = (node: Node): Node => viewsOf(node)[0]?.inputs[0] ?? node;

/** One loop without some of its carries, and what they would have been. */
class Deferral {
  readonly #control: Control;
  readonly #body: Graph;
  readonly #length: number;
  /** The carries that stay, by number. */
  readonly #kept: readonly number[];
  /** The results of the body, then what it stacks for the sums. */
  readonly #stacks: readonly Node[];
  readonly #values: readonly Node[];

  constructor(
    readonly interner: Interner,
    node: Node,
    readonly inputs: readonly Node[],
    readonly sums: CarriedSums,
  ) {
    this.#control = controlOf(node);
    this.#body = mainBody(this.#control);
    const { captures, carries } = layoutOf(this.#control);
    const dropped = new Set(sums.sums.map(({ carry }) => captures + carry));
    const keeps = (i: number): boolean => !dropped.has(i);
    this.#kept = Array.from({ length: carries }, (_, i) => i).filter(i => keeps(captures + i));
    this.#length = node.op === 'scan' ? scanLength(this.#control) : 0;
    this.#stacks = [...this.#body.results.map(result => result.node), ...sums.stacked];
    const left = inputs.filter((_, i) => keeps(i));
    const control = dropped.size === 0 ? this.#control : this.#without(keeps);
    this.#values = controlNode(interner, control, left, node.site);
  }

  #without(keeps: (i: number) => boolean): Control {
    const { params, updates } = this.#body;
    const body = {
      ...this.#body,
      params: params.filter((_, i) => keeps(i)),
      results: this.#stacks.map((node, i) => ({ name: `out.${i}`, node })),
      updates: new Map([...updates].filter(([param]) => keeps(params.indexOf(param)))),
    };
    return { ...this.#control, attrs: { ...this.#control.attrs, carries: this.#kept.length }, bodies: [body] };
  }

  /** In the order of the loop as it was. */
  values(): readonly Node[] {
    const { captures, carries } = layoutOf(this.#control);
    const finals = Array.from({ length: carries }, (_, i) => {
      const sum = this.sums.sums.find(({ carry }) => carry === i);
      if (sum === undefined) return this.#values[this.#kept.indexOf(i)];
      return this.#add(this.inputs[captures + i], this.#total(sum));
    });
    return [...finals, ...this.#values.slice(this.#kept.length, this.#kept.length + this.#body.results.length)];
  }

  #make(op: string, inputs: readonly Node[], attrs: Attrs, site: Node['site']): Node {
    const types = inputs.map(({ type }) => type);
    return this.interner.node(op, inputs, attrs, opDef(op).infer(types, attrs), site);
  }

  #add(start: Node, total: Node): Node {
    const isZero = start.op === 'full' && Number(start.attrs.value) === 0;
    return isZero ? total : this.#make('add', [start, total], { alpha: 1 }, total.site);
  }

  #total({ core, views }: CarriedSum): Node {
    const whole = core.op === 'sum' ? this.#sumOfAll(core) : this.#productOfAll(core);
    return views.reduce((node, view) => this.#make(view.op, [node], view.attrs, view.site), whole);
  }

  /** Over the steps and the dims that each step sums over. */
  #sumOfAll(core: Node): Node {
    const dim = [0, ...(core.attrs.dim as readonly number[]).map(d => d + 1)];
    const all = this.#make('sum', [this.#stack(core.inputs[0])], { ...core.attrs, dim }, core.site);
    return this.#make('reshape', [all], { shape: core.type.shape }, core.site);
  }

  /** Σ a[t] @ b[t] is one product: the inner dim runs over the steps, too. */
  #productOfAll(core: Node): Node {
    const [a, b] = core.inputs;
    const [rows, inner] = a.type.shape;
    const [, columns] = b.type.shape;
    const byRows = this.#make('reshape', [this.#flipped(a)], { shape: [this.#length * inner, rows] }, core.site);
    const left = this.#make('permute', [byRows], { dims: [1, 0] }, core.site);
    const shape = [this.#length * inner, columns];
    const right = this.#make('reshape', [this.#stack(b)], { shape }, core.site);
    return this.#make('batchedMatmul', [left, right], core.attrs, core.site);
  }

  /** A matrix of every step, transposed: as it lies in memory, where the step itself transposes it. */
  #flipped(matrix: Node): Node {
    if (matrix.op === 'permute') return this.#stack(matrix.inputs[0]);
    return this.#make('permute', [this.#stack(matrix)], { dims: [0, 2, 1] }, matrix.site);
  }

  /** A value of every step, along a new first dim. */
  #stack(node: Node): Node {
    const { shape } = node.type;
    const result = this.#stacks.indexOf(node);
    if (result >= 0) return this.#values[this.#kept.length + result];
    if (isParam(node)) return this.inputs[this.#body.params.indexOf(node)];
    const input = this.#stack(node.inputs[0]);
    if (node.op === 'reshape') return this.#make('reshape', [input], { shape: [this.#length, ...shape] }, node.site);
    const dims = [0, ...(node.attrs.dims as readonly number[]).map(d => d + 1)];
    return this.#make('permute', [input], { dims }, node.site);
  }
}
