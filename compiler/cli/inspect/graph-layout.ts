/**
 * A graph arranged for reading: forward down a column, backward up the next one beside it, new state in a third.
 *
 * The rows of the forward column run in the order of computation and are cut into bands where the module changes. A node of
 * the backward pass stands beside the last forward value that it reads, or the last module whose state it leads to, so that
 * what a module saves runs straight across. Views, copies and constants have no rows: edges pass through them.
 */
import type { Site } from '../../errors.js';
import { type Graph, isParam, type Node, paramName, roots, topological } from '../../ir/graph.js';
import { opDef } from '../../ops/define.js';

export interface Row {
  readonly node: Node;
  /** Rows it reads. */
  readonly sources: readonly Row[];
  /** Inputs and state it reads, by name. */
  readonly reads: readonly string[];
  /** Results it gives, by name. */
  readonly results: readonly string[];
}

/** One tensor of state, and the ops that make its new value. */
export interface NewState {
  readonly name: string;
  /** What an optimizer keeps for it: `opt.exp_avg` for `opt.exp_avg.net.fc.weight`. */
  readonly kept: readonly string[];
  readonly value: Node;
  readonly ops: number;
  /** Rows of the other columns that it is made of. */
  readonly sources: readonly Row[];
}

export interface Band {
  /** The path of its module; empty for the model's own code. */
  readonly module: string;
  readonly forward: readonly Row[];
  /** In the order of computation: later ones stand higher. */
  readonly backward: readonly Row[];
  readonly updates: readonly NewState[];
}

export interface Layout {
  readonly bands: readonly Band[];
}

const isVisible = (node: Node): boolean =>
  !isParam(node) &&
  node.inputs.length > 0 &&
  opDef(node.op).fusion !== 'view' &&
  !['result', 'clone'].includes(node.op);

const siteKey = (site: Site | null): string => (site === null ? '' : `${site.file}:${site.line}:${site.column}`);

export function layoutGraph(graph: Graph): Layout {
  return new GraphLayout(graph).layout();
}

interface MutableBand {
  readonly module: string;
  readonly forward: Row[];
  readonly backward: Row[];
  readonly updates: NewState[];
}

class GraphLayout {
  readonly #order: readonly Node[];
  readonly #forward: ReadonlySet<Node>;
  /** Nodes that only lead to new state and come from where that is made: an optimizer's. */
  readonly #updating: ReadonlySet<Node>;
  readonly #rows = new Map<Node, Row>();
  readonly #bands: MutableBand[] = [];
  readonly #bandOf = new Map<Node, number>();
  /** Nodes of the backward pass that read forward values alone. */
  readonly #masks = new Set<Node>();

  constructor(readonly graph: Graph) {
    const forward = inOrder(graph.results.map(({ node }) => node));
    this.#forward = new Set(forward);
    this.#order = [...forward, ...topological(roots(graph)).filter(node => !this.#forward.has(node))];
    const newState = [...graph.updates.values()].filter(value => !this.#forward.has(value) && !value.site?.module);
    const sites = new Set(newState.map(value => siteKey(value.site)));
    const first = this.#order.find(
      node => !this.#forward.has(node) && isVisible(node) && !sites.has(siteKey(node.site)),
    );
    const apart = first !== undefined || newState.length === 0;
    this.#updating = new Set(
      this.#order.filter(node => apart && !this.#forward.has(node) && sites.has(siteKey(node.site))),
    );
  }

  layout(): Layout {
    for (const node of this.#order.filter(node => this.#forward.has(node) && isVisible(node)))
      this.#placeForward(this.#row(node));
    const led = this.#bandsLedTo();
    for (const node of this.#order) {
      if (this.#forward.has(node) || this.#updating.has(node) || !isVisible(node)) continue;
      this.#placeBackward(this.#row(node), led.get(node) ?? -1);
    }
    const names = [...this.graph.updates.keys()].map(paramName);
    const isKeptFor = (name: string, other: string): boolean => name.endsWith(`.${other}`);
    for (const [param, value] of this.graph.updates) {
      const name = paramName(param);
      if (names.some(other => isKeptFor(name, other))) continue;
      const kept = names.filter(other => isKeptFor(other, name)).map(other => other.slice(0, -name.length - 1));
      this.#placeUpdate(name, value, kept);
    }
    return { bands: this.#bands.filter(band => band.forward.length + band.backward.length + band.updates.length > 0) };
  }

  #row(node: Node): Row {
    const { rows, params } = this.#sourcesOf(node);
    const results = this.graph.results.filter(result => result.node === node).map(({ name }) => name);
    const row = { node, sources: rows, reads: params.map(paramName), results };
    this.#rows.set(node, row);
    return row;
  }

  /** The last band whose module owns state that a node leads to. */
  #bandsLedTo(): Map<Node, number> {
    const led = new Map<Node, number>();
    const raise = (node: Node, band: number): void => void led.set(node, Math.max(band, led.get(node) ?? -1));
    for (const [param, value] of this.graph.updates) raise(value, this.#ownerOf(paramName(param)));
    for (const node of [...this.#order].reverse())
      for (const input of node.inputs) if (led.has(node)) raise(input, led.get(node)!);
    return led;
  }

  /** The rows and parameters that a node reads, through what has no row. */
  #sourcesOf(node: Node): { rows: Row[]; params: Node[] } {
    const [rows, params, seen] = [new Set<Row>(), new Set<Node>(), new Set<Node>()];
    const visit = (input: Node): void => {
      if (seen.has(input)) return;
      seen.add(input);
      const row = this.#rows.get(input);
      if (row !== undefined) rows.add(row);
      else if (isParam(input)) params.add(input);
      else for (const next of input.inputs) visit(next);
    };
    for (const input of node.inputs) visit(input);
    return { rows: [...rows], params: [...params] };
  }

  #placeForward(row: Row): void {
    const module = row.node.site?.module ?? '';
    if (this.#bands.at(-1)?.module !== module) this.#bands.push({ module, forward: [], backward: [], updates: [] });
    this.#bands.at(-1)!.forward.push(row);
    this.#bandOf.set(row.node, this.#bands.length - 1);
  }

  #placeBackward(row: Row, led: number): void {
    const isForward = ({ node }: Row): boolean => this.#forward.has(node);
    if (row.sources.length > 0 && row.sources.every(isForward)) this.#masks.add(row.node);
    const isSaved = (source: Row): boolean => isForward(source) || this.#masks.has(source.node);
    const saved = row.sources.filter(isSaved).map(({ node }) => this.#bandOf.get(node)!);
    const owners = row.reads.map(name => this.#ownerOf(name));
    const band = Math.max(led, ...saved, ...owners);
    this.#put(row, band < 0 ? this.#bands.length - 1 : band);
  }

  #put(row: Row, band: number): void {
    if (this.#bands.length === 0) this.#bands.push({ module: '', forward: [], backward: [], updates: [] });
    this.#bands[Math.max(0, band)].backward.push(row);
    this.#bandOf.set(row.node, Math.max(0, band));
  }

  /** The last band of the module that owns a tensor of state: `net.conv1.weight` is of `conv1`. */
  #ownerOf(name: string): number {
    const owners = this.#bands.map(({ module }) => module).filter(m => m !== '' && `.${name}`.includes(`.${m}.`));
    const owner = owners.sort((a, b) => b.length - a.length)[0];
    return this.#bands.findLastIndex(({ module }) => module === owner);
  }

  #placeUpdate(name: string, value: Node, kept: readonly string[]): void {
    const inner = new Set<Node>();
    const sources = new Set<Row>();
    const visit = (node: Node): void => {
      const row = this.#rows.get(node);
      if (row !== undefined) sources.add(row);
      else if (!isParam(node) && !inner.has(node)) {
        inner.add(node);
        node.inputs.forEach(visit);
      }
    };
    visit(value);
    const update = { name, kept, value, ops: [...inner].filter(isVisible).length, sources: [...sources] };
    const owner = this.#ownerOf(name);
    const band = owner >= 0 ? owner : Math.max(0, ...[...sources].map(({ node }) => this.#bandOf.get(node)!));
    if (this.#bands.length === 0) this.#bands.push({ module: '', forward: [], backward: [], updates: [] });
    this.#bands[band].updates.push(update);
  }
}

/** The order of computation in which what takes little comes late: just before it is read. */
function inOrder(wanted: readonly Node[]): Node[] {
  const height = new Map<Node, number>();
  for (const node of topological(wanted))
    height.set(node, 1 + Math.max(0, ...node.inputs.map(input => height.get(input)!)));
  const done = new Set<Node>();
  const pending = [...wanted].reverse().map(node => ({ node, ready: false }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { node, ready } = next;
    if (done.has(node)) continue;
    if (ready) {
      done.add(node);
      continue;
    }
    pending.push({ node, ready: true });
    const inputs = [...node.inputs].sort((a, b) => height.get(a)! - height.get(b)!);
    for (const input of inputs) if (!done.has(input)) pending.push({ node: input, ready: false });
  }
  return [...done];
}
