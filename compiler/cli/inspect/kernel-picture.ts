/** The kernels of an entry as a picture, with what was fused into each; resting on one shows the user's lines behind it. */
import { type Graph, type Node, paramName, topological } from '../../ir/graph.js';
import { formatShape } from '../../ir/shape.js';
import { opDef } from '../../ops/define.js';
import type { FusedGraph, FusedGroup } from '../../passes/fuse.js';
import { escapeXml } from '../xml.js';
import { sourceText } from './source-lines.js';
import { clip, svg } from './svg.js';

interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  /** Shown when the pointer rests on it. */
  readonly about: string;
  readonly kind: 'input' | 'forward' | 'update';
  readonly sources: readonly Box[];
  readonly layer: number;
}
/** What takes room in a layer: a box, or the trunk of the edges that pass through on their way from a box further up. */
interface Item {
  readonly box: Box | null;
  readonly width: number;
  readonly sources: Item[];
  /** Of its middle. */
  x: number;
}
const boxWidth = 196;
const trunkWidth = 6;
const gap = { x: 20, y: 36 };
const trunkGap = 7;
const lineHeight = 15;
const boxHeight = (box: Box): number => 12 + lineHeight * (1 + box.lines.length);

/** One box per kernel, listing the ops in it; arrows follow the tensors between them. `notes` are shown with each, by name. */
export function drawKernels(fused: FusedGraph, notes: ReadonlyMap<string, string> = new Map()): string {
  const layers = layersOf(boxesOf(fused, notes));
  arrange(layers);
  const left = Math.min(...layers.flat().map(item => item.x - item.width / 2)) - gap.x;
  const right = Math.max(...layers.flat().map(item => item.x + item.width / 2)) + gap.x;
  const heights = layers.map(layer => Math.max(...layer.map(({ box }) => (box === null ? 0 : boxHeight(box)))));
  const tops = heights.map((_, i) => 12 + heights.slice(0, i).reduce((sum, height) => sum + height + gap.y, 0));
  const layerOf = new Map(layers.flatMap((layer, i) => layer.map(item => [item, i] as const)));
  const edges = layers.flatMap((layer, i) =>
    layer.flatMap(item =>
      item.sources.map(source => edge(source, tops[i - 1], heights[i - 1], item, tops[layerOf.get(item)!])),
    ),
  );
  const trunks = layers.flatMap((layer, i) =>
    layer.filter(item => item.box === null).map(({ x }) => `<path class="edge" d="M${x} ${tops[i]}v${heights[i]}"/>`),
  );
  const boxes = layers.flatMap((layer, i) =>
    layer.map(item => (item.box === null ? '' : drawBox(item.box, item.x - boxWidth / 2, tops[i]))),
  );
  const height = tops.at(-1)! + heights.at(-1)! + 12;
  return svg(left, right - left, height, `Kernels of ${fused.graph.name}`, [...edges, ...trunks, ...boxes].join(''));
}

function edge(from: Item, top: number, height: number, to: Item, end: number): string {
  const start = from.box === null ? top + height : top + boxHeight(from.box);
  const bend = Math.max(16, (end - start) / 2);
  return `<path class="edge" d="M${from.x.toFixed(1)} ${start}C${from.x.toFixed(1)} ${start + bend} ${to.x.toFixed(1)} ${end - bend} ${to.x.toFixed(1)} ${end}"/>`;
}

function drawBox(box: Box, x: number, y: number): string {
  const lines = box.lines.map(
    (line, i) => `<text class="small" x="${x + 10}" y="${y + 18 + lineHeight * (i + 1)}">${escapeXml(line)}</text>`,
  );
  return (
    `<g class="row"><title>${escapeXml(box.about)}</title><rect x="${x}" y="${y}" width="${boxWidth}" height="${boxHeight(box)}" rx="6" fill="var(--${box.kind})" stroke="var(--${box.kind}-edge)"/>` +
    `<text x="${x + 10}" y="${y + 18}">${escapeXml(clip(box.title, 28))}</text>${lines.join('')}</g>`
  );
}

/** Boxes by layer, with a trunk through every layer that the edges of a box pass. */
function layersOf(boxes: readonly Box[]): Item[][] {
  const layers: Item[][] = [];
  const put = (layer: number, box: Box | null, sources: Item[]): Item => {
    const item: Item = { box, width: box === null ? trunkWidth : boxWidth, sources, x: 0 };
    (layers[layer] ??= []).push(item);
    return item;
  };
  /** The item of a box, or of its trunk, in each layer from its own on. */
  const reach = new Map<Box, Item[]>();
  const reachTo = (box: Box, layer: number): Item => {
    const items = reach.get(box)!;
    while (box.layer + items.length <= layer) items.push(put(box.layer + items.length, null, [items.at(-1)!]));
    return items[layer - box.layer];
  };
  for (const box of boxes)
    reach.set(box, [
      put(
        box.layer,
        box,
        box.sources.map(source => reachTo(source, box.layer - 1)),
      ),
    ]);
  return layers;
}

/**
 * Places along each layer: near the mean of what an item is connected to, in that order, without overlaps (the barycentre
 * rule of Sugiyama's method, down and up by turns).
 */
function arrange(layers: readonly Item[][]): void {
  const users = new Map<Item, Item[]>();
  for (const item of layers.flat())
    for (const source of item.sources) users.set(source, [...(users.get(source) ?? []), item]);
  const settle = (layer: Item[], neighbours: (item: Item) => readonly Item[]): void => {
    const wanted = new Map(layer.map(item => [item, mean(neighbours(item).map(n => n.x)) ?? item.x]));
    layer.sort((a, b) => wanted.get(a)! - wanted.get(b)!);
    let right = Number.NEGATIVE_INFINITY;
    for (const item of layer) {
      item.x = Math.max(wanted.get(item)!, right + item.width / 2);
      right = item.x + item.width / 2 + (item.box === null ? trunkGap : gap.x);
    }
    const shift = mean(layer.map(item => wanted.get(item)! - item.x))!;
    for (const item of layer) item.x += shift;
  };
  for (const layer of layers) settle(layer, item => item.sources);
  for (let round = 0; round < 4; round++) {
    for (const layer of [...layers].reverse()) settle(layer, item => users.get(item) ?? []);
    for (const layer of layers) settle(layer, item => item.sources);
  }
}

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Inputs of the entry, then its kernels in order; state is named inside the kernels that read it. */
function boxesOf({ graph, groups }: FusedGraph, notes: ReadonlyMap<string, string>): Box[] {
  const towardsResults = new Set(topological(graph.results.map(result => result.node)));
  const producer = new Map<Node, Box>();
  const boxes: Box[] = [];
  for (const param of graph.params.filter(p => p.attrs.role === 'input')) {
    const box: Box = {
      title: paramName(param),
      lines: [`${param.type.dtype}${formatShape(param.type.shape)}`],
      about: `input ${paramName(param)}`,
      kind: 'input',
      sources: [],
      layer: 0,
    };
    producer.set(param, box);
    boxes.push(box);
  }
  for (const group of groups) {
    const sources = [...new Set(group.lowered.reads.map(read => producer.get(read)).filter(box => box !== undefined))];
    const title = 'kernel' in group.lowered ? group.lowered.kernel.name : group.lowered.control.op;
    const box: Box = {
      title,
      lines: describeGroup(group, graph),
      about: [sourcesOf(group), notes.get(title) ?? ''].filter(text => text !== '').join('\n\n'),
      kind: group.outputs.some(output => towardsResults.has(output)) ? 'forward' : 'update',
      sources,
      layer: Math.max(-1, ...sources.map(source => source.layer)) + 1,
    };
    for (const output of group.outputs) producer.set(output, box);
    boxes.push(box);
  }
  return boxes;
}

function describeGroup({ nodes, outputs }: FusedGroup, graph: Graph): string[] {
  const ops = [...nodes]
    .sort((a, b) => a.id - b.id)
    .filter(node => opDef(node.op).fusion !== 'view' && node.inputs.length > 0);
  const states = new Map([...graph.updates].map(([param, value]) => [value, paramName(param)]));
  const written = outputs.map(output => states.get(output)).filter(name => name !== undefined);
  const module = ops.find(node => node.site?.module)?.site?.module;
  const made =
    written.length > 0 ? written : outputs.map(output => `${output.type.dtype}${formatShape(output.type.shape)}`);
  return [
    ...wrap(counted(ops.map(node => node.op)), 30),
    ...(module ? [clip(`in ${module}`, 32)] : []),
    clip(`→ ${made[0]}${made.length > 1 ? ` and ${made.length - 1} more` : ''}`, 32),
  ];
}

/** The user's lines that are computed in a kernel. */
function sourcesOf({ nodes }: FusedGroup): string {
  const lines = new Set([...nodes].map(node => sourceText(node.site)).filter(text => text !== ''));
  return [...lines].join('\n');
}

/** `mul, mul, add` as `mul ×2, add`. */
function counted(words: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => (count > 1 ? `${word} ×${count}` : word));
}

/** Words joined by commas, in at most three lines of `width` characters. */
function wrap(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + word.length + 2 <= width) lines[last] += `, ${word}`;
    else lines.push(word);
  }
  return lines.length <= 3 ? lines : [...lines.slice(0, 2), `and ${lines.slice(2).join(', ').split(', ').length} more`];
}
