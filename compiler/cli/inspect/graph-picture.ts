/**
 * The graph of an entry as a picture: one row per op, clusters by module; forward runs down, backward runs up beside it, and
 * what is saved for it crosses over, highlighted. Resting on a row shows the user's line, type and attributes.
 */
import type { Graph, Node } from '../../ir/graph.js';
import { formatShape } from '../../ir/shape.js';
import { escapeXml } from '../xml.js';
import { type Band, layoutGraph, type NewState, type Row } from './graph-layout.js';
import { nodeText } from './source-lines.js';
import { clip, svg } from './svg.js';

const rowHeight = 22;
const bandGap = 12;
const headHeight = 20;
const top = 34;
/** Left edges and widths of the columns, with room for arcs between them. */
const forwardX = 170;
const backwardX = 610;
const updateX = 1000;
const columnWidth = 300;
const updateWidth = 290;
const clusterX = 16;

type Column = 'forward' | 'backward';
interface Placed {
  readonly column: Column;
  readonly y: number;
}

/** `columns`: forward alone, or all three. */
export function drawGraph(graph: Graph, columns: 'forward' | 'all'): string {
  const { bands } = layoutGraph(graph);
  const all = columns === 'all' && bands.some(band => band.backward.length + band.updates.length > 0);
  const shown = all ? bands : bands.filter(band => band.forward.length > 0);
  return new Picture(graph, shown, all).draw();
}

class Picture {
  readonly #at = new Map<Row, Placed>();
  readonly #ids = new Map<Node, number>();
  readonly #tops: number[] = [];
  #height = top;

  constructor(
    readonly graph: Graph,
    readonly bands: readonly Band[],
    readonly all: boolean,
  ) {
    for (const band of bands) {
      this.#tops.push(this.#height);
      const start = this.#height + headHeight;
      for (const [i, row] of band.forward.entries()) this.#place(row, 'forward', start + i * rowHeight);
      const upwards = all ? [...band.backward].reverse() : [];
      for (const [i, row] of upwards.entries()) this.#place(row, 'backward', start + i * rowHeight);
      this.#height = start + this.#rowsOf(band) * rowHeight + bandGap;
    }
  }

  #place(row: Row, column: Column, y: number): void {
    this.#at.set(row, { column, y });
    this.#ids.set(row.node, this.#ids.size);
  }

  #rowsOf({ forward, backward, updates }: Band): number {
    return this.all ? Math.max(forward.length, backward.length, updates.length) : forward.length;
  }

  draw(): string {
    const width = this.all ? updateX + updateWidth + 20 : forwardX + columnWidth + 40;
    const body = [
      ...this.#clusters(width),
      ...this.#headings(),
      ...[...this.#at.keys()].flatMap(row => row.sources.map(source => this.#edge(source, row))),
      ...(this.all ? this.bands.flatMap((band, i) => this.#updates(band, this.#tops[i])) : []),
      ...[...this.#at.keys()].map(row => this.#row(row)),
    ];
    return svg(0, width, this.#height + 8, `Graph of ${this.graph.name}`, body.join('\n'));
  }

  #headings(): string[] {
    const heading = (x: number, text: string): string => `<text class="small" x="${x}" y="22">${text}</text>`;
    if (!this.all) return [heading(forwardX, 'forward ↓')];
    return [
      heading(forwardX, 'forward ↓'),
      heading(backwardX, 'backward ↑'),
      heading(updateX, 'new state'),
      `<text class="small" x="${forwardX + columnWidth + 16}" y="22" style="fill: var(--saved)">saved for backward →</text>`,
    ];
  }

  /** A box per band, and one around all neighbouring bands of an outer module. */
  #clusters(width: number): string[] {
    const boxes = this.bands.map(({ module }, i) => {
      const bottom = (this.#tops[i + 1] ?? this.#height) - bandGap + 4;
      const label = module === '' ? 'the model' : module;
      const x = clusterX + 7 * depthOf(module);
      return `<rect x="${x}" y="${this.#tops[i]}" width="${width - x - 8}" height="${bottom - this.#tops[i]}" rx="7" fill="var(--panel)" stroke="var(--line)" stroke-width="0.7"/><text class="small" x="${x + 9}" y="${this.#tops[i] + 15}">${escapeXml(clip(label, 22))}</text>`;
    });
    return [...this.#outerClusters(width), ...boxes];
  }

  #outerClusters(width: number): string[] {
    const paths = new Set(this.bands.flatMap(({ module }) => outerModules(module)));
    return [...paths].flatMap(path => {
      const inside = (module: string): boolean => module === path || module.startsWith(`${path}.`);
      const runs: [first: number, last: number][] = [];
      for (const [i, { module }] of this.bands.entries()) {
        if (!inside(module)) continue;
        if (runs.at(-1)?.[1] === i - 1) runs.at(-1)![1] = i;
        else runs.push([i, i]);
      }
      return runs
        .filter(([first, last]) => last > first)
        .map(([first, last]) => {
          const y = this.#tops[first] - 4;
          const bottom = (this.#tops[last + 1] ?? this.#height) - bandGap + 8;
          const x = clusterX + 7 * depthOf(path) - 4;
          return `<rect x="${x}" y="${y}" width="${width - x - 4}" height="${bottom - y}" rx="9" fill="none" stroke="var(--faint)" stroke-width="0.9"><title>${escapeXml(path)}</title></rect>`;
        });
    });
  }

  #row(row: Row): string {
    const { column, y } = this.#at.get(row)!;
    const x = column === 'forward' ? forwardX : backwardX;
    const given = row.results.length > 0 ? ` → ${row.results.join(', ')}` : '';
    const reads = row.reads.length > 0 ? `  ${row.reads.join(', ')}` : '';
    const color = column === 'forward' ? 'forward' : 'update';
    return `<g class="row" data-row="${this.#ids.get(row.node)}"><title>${escapeXml(nodeText(row.node))}</title><rect x="${x}" y="${y + 1}" width="${columnWidth}" height="${rowHeight - 3}" rx="5" fill="var(--${row.results.length > 0 ? 'input' : color})" stroke="var(--${row.results.length > 0 ? 'input' : color}-edge)" stroke-width="0.8"/><text x="${x + 8}" y="${y + 15}">${escapeXml(row.node.op)} <tspan class="small">${escapeXml(clip(`${formatShape(row.node.type.shape)}${given}${reads}`, 44 - row.node.op.length))}</tspan></text></g>`;
  }

  #edge(from: Row, to: Row): string {
    const [a, b] = [this.#at.get(from), this.#at.get(to)];
    if (a === undefined || b === undefined) return '';
    const data = `data-from="${this.#ids.get(from.node)}" data-to="${this.#ids.get(to.node)}"`;
    if (a.column !== b.column) return `<path class="saved" ${data} d="${this.#across(a.y, b.y)}"/>`;
    const path = a.column === 'forward' ? arc(forwardX, a.y, b.y, -1) : arc(backwardX + columnWidth, a.y, b.y, 1);
    return `<path class="edge" ${data} d="${path}"/>`;
  }

  #across(from: number, to: number): string {
    const [x1, y1, x2, y2] = [forwardX + columnWidth, from + rowHeight / 2, backwardX, to + rowHeight / 2];
    const bend = (x2 - x1) / 2;
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  }

  #updates({ updates }: Band, y: number): string[] {
    return updates.map((update, i) => this.#update(update, y + headHeight + i * rowHeight));
  }

  #update(update: NewState, y: number): string {
    const edges = update.sources.map(row => {
      const at = this.#at.get(row)!;
      const x1 = (at.column === 'forward' ? forwardX : backwardX) + columnWidth;
      const [y1, y2] = [at.y + rowHeight / 2, y + rowHeight / 2];
      return `<path class="edge" data-from="${this.#ids.get(row.node)}" d="M${x1} ${y1}C${x1 + 30} ${y1} ${updateX - 30} ${y2} ${updateX} ${y2}"/>`;
    });
    const kept = update.kept.map(name => name.slice(name.lastIndexOf('.') + 1)).join(', ');
    const text = `${update.name} ← ${update.ops} ${update.ops === 1 ? 'op' : 'ops'}${kept === '' ? '' : `, ${kept}`}`;
    return `${edges.join('')}<g class="row"><title>${escapeXml(`${update.name}\n${nodeText(update.value)}`)}</title><rect x="${updateX}" y="${y + 1}" width="${updateWidth}" height="${rowHeight - 3}" rx="5" fill="var(--paper)" stroke="var(--update-edge)" stroke-width="0.8"/><text class="small" x="${updateX + 8}" y="${y + 15}">${escapeXml(clip(text, 46))}</text></g>`;
  }
}

/** From a row to another of its column: straight between neighbours, else around at the side, wider the longer it is. */
function arc(x: number, from: number, to: number, side: 1 | -1): string {
  const down = to > from;
  const [y1, y2] = [from + rowHeight / 2, to + rowHeight / 2];
  if (Math.abs(to - from) <= rowHeight) {
    const middle = x - side * 60;
    return `M${middle} ${from + (down ? rowHeight - 2 : 1)}V${to + (down ? 1 : rowHeight - 2)}`;
  }
  const out = Math.min(120, 10 + Math.sqrt(Math.abs(to - from)) * 3.2);
  return `M${x} ${y1}C${x + side * out} ${y1} ${x + side * out} ${y2} ${x} ${y2}`;
}

const depthOf = (module: string): number => (module === '' ? 0 : module.split('.').length);
const outerModules = (module: string): string[] =>
  module
    .split('.')
    .map((_, i, parts) => parts.slice(0, i + 1).join('.'))
    .filter(path => path !== '');

/** Lights the edges of the row under the pointer. */
export const edgeLighting = `<script>
for (const row of document.querySelectorAll('.row[data-row]')) {
  const svg = row.closest('svg');
  const edges = [...svg.querySelectorAll('[data-from="' + row.dataset.row + '"], [data-to="' + row.dataset.row + '"]')];
  row.addEventListener('pointerenter', () => edges.forEach(edge => edge.classList.add('lit')));
  row.addEventListener('pointerleave', () => edges.forEach(edge => edge.classList.remove('lit')));
}
</script>`;
