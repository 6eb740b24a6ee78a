/**
 * Pictures of a compilation as SVG text, for `inspect --svg` and for reports: the kernels of an entry with what was fused
 * into each, and the arena over time. Colours follow the reader's light or dark preference through CSS variables.
 */

import type { MemoryUse } from '../artifact/manifest.js';
import { type Graph, isParam, type Node, paramName, roots, topological } from '../ir/graph.js';
import { formatShape } from '../ir/shape.js';
import { opDef } from '../ops/define.js';
import type { FusedGraph, FusedGroup } from '../passes/fuse.js';
import { escapeXml } from './xml.js';

/** The colours that pictures use; a page may set them again. */
export const pictureStyle = `
  :root { --ink: #1f2430; --faint: #8a93a3; --line: #b9c0cc; --paper: #ffffff; --forward: #e3effd; --forward-edge: #5b93d6; --update: #fdeedd; --update-edge: #dd9a4c; --input: #e7f5e6; --input-edge: #66ad62; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --faint: #8a93a3; --line: #49505e; --paper: #171a21; --forward: #1d2f47; --forward-edge: #5b93d6; --update: #40301e; --update-edge: #dd9a4c; --input: #1f3520; --input-edge: #66ad62; } }
  svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
  svg .small { font-size: 10.5px; fill: var(--faint); }
  svg .edge { fill: none; stroke: var(--line); stroke-width: 1.2; }`;

const svg = (width: number, height: number, label: string, body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(label)}">${body}</svg>\n`;

// ── kernels and what was fused into them ───────────────────────────────────────────────────────────────────────────────

interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  readonly kind: 'input' | 'forward' | 'update';
  readonly sources: readonly Box[];
  readonly layer: number;
  column: number;
}
const boxWidth = 196;
const gap = { x: 22, y: 40 };
const lineHeight = 15;
const boxHeight = (box: Box): number => 12 + lineHeight * (1 + box.lines.length);

/** One box per kernel, listing the ops in it; arrows follow the tensors between them. */
export function drawKernels(fused: FusedGraph): string {
  const boxes = boxesOf(fused);
  const layers: Box[][] = [];
  for (const box of boxes) (layers[box.layer] ??= []).push(box);
  arrange(layers);
  const widest = Math.max(...layers.map(layer => layer.length));
  const width = widest * (boxWidth + gap.x) + gap.x;
  const place = new Map<Box, { x: number; y: number }>();
  let y = 12;
  for (const layer of layers) {
    const left = (width - layer.length * (boxWidth + gap.x) + gap.x) / 2;
    for (const [i, box] of layer.entries()) place.set(box, { x: left + i * (boxWidth + gap.x), y });
    y += Math.max(...layer.map(boxHeight)) + gap.y;
  }
  const edges = boxes.flatMap(box =>
    box.sources.map(source => edge(place.get(source)!, boxHeight(source), place.get(box)!)),
  );
  return svg(
    width,
    y - gap.y + 12,
    `Kernels of ${fused.graph.name}`,
    [...edges, ...boxes.map(box => drawBox(box, place.get(box)!))].join(''),
  );
}

function edge(from: { x: number; y: number }, height: number, to: { x: number; y: number }): string {
  const [x1, y1, x2, y2] = [from.x + boxWidth / 2, from.y + height, to.x + boxWidth / 2, to.y];
  const bend = Math.max(18, (y2 - y1) / 2);
  return `<path class="edge" d="M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}"/>`;
}

function drawBox(box: Box, { x, y }: { x: number; y: number }): string {
  const lines = box.lines.map(
    (line, i) => `<text class="small" x="${x + 10}" y="${y + 18 + lineHeight * (i + 1)}">${escapeXml(line)}</text>`,
  );
  return (
    `<rect x="${x}" y="${y}" width="${boxWidth}" height="${boxHeight(box)}" rx="6" fill="var(--${box.kind})" stroke="var(--${box.kind}-edge)"/>` +
    `<text x="${x + 10}" y="${y + 18}">${escapeXml(clip(box.title, 28))}</text>${lines.join('')}`
  );
}

const clip = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** Inputs of the entry, then its kernels in order; state is named inside the kernels that read it. */
function boxesOf({ graph, groups }: FusedGraph): Box[] {
  const towardsResults = new Set(topological(graph.results.map(result => result.node)));
  const producer = new Map<Node, Box>();
  const boxes: Box[] = [];
  for (const param of graph.params.filter(p => p.attrs.role === 'input')) {
    const box: Box = {
      title: paramName(param),
      lines: [`${param.type.dtype}${formatShape(param.type.shape)}`],
      kind: 'input',
      sources: [],
      layer: 0,
      column: 0,
    };
    producer.set(param, box);
    boxes.push(box);
  }
  for (const group of groups) {
    const sources = [...new Set(group.lowered.reads.map(read => producer.get(read)).filter(box => box !== undefined))];
    const box: Box = {
      title: group.lowered.kernel.name,
      lines: describeGroup(group, graph),
      kind: group.outputs.some(output => towardsResults.has(output)) ? 'forward' : 'update',
      sources,
      layer: Math.max(-1, ...sources.map(source => source.layer)) + 1,
      column: 0,
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
  return [
    ...wrap(counted(ops.map(node => node.op)), 32),
    ...(module ? [clip(`in ${module}`, 34)] : []),
    clip(
      `→ ${written.length > 0 ? written.join(', ') : outputs.map(output => `${output.type.dtype}${formatShape(output.type.shape)}`).join(', ')}`,
      34,
    ),
  ];
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

/** Order each layer by the mean position of its sources: few crossings (Sugiyama's barycentre rule). */
function arrange(layers: readonly Box[][]): void {
  for (const layer of layers) {
    const mean = new Map(
      layer.map(box => [
        box,
        box.sources.reduce((sum, source) => sum + source.column, 0) / Math.max(box.sources.length, 1),
      ]),
    );
    layer.sort((a, b) => mean.get(a)! - mean.get(b)!);
    for (const [i, box] of layer.entries()) box.column = i - (layer.length - 1) / 2;
  }
}

// ── the arena ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The arena of an entry: kernels from left to right, addresses upwards, one rectangle per buffer. */
export function drawMemory(name: string, uses: readonly MemoryUse[]): string {
  const steps = Math.max(1, ...uses.map(use => use.last + 1));
  const low = Math.min(...uses.map(use => use.offset));
  const high = Math.max(...uses.map(use => use.offset + use.bytes));
  const [left, width, height] = [78, 900, 300];
  const x = (step: number): number => left + (step / steps) * width;
  const y = (offset: number): number => 10 + height - ((offset - low) / Math.max(1, high - low)) * height;
  const rects = uses.map((use, i) => {
    const tall = Math.max(0.6, y(use.offset) - y(use.offset + use.bytes));
    const hue = (i * 137.5) % 360;
    return `<rect x="${x(use.first).toFixed(1)}" y="${(y(use.offset) - tall).toFixed(1)}" width="${(x(use.last + 1) - x(use.first)).toFixed(1)}" height="${tall.toFixed(1)}" fill="hsl(${hue.toFixed(0)} 60% 62% / 0.8)" stroke="var(--paper)" stroke-width="0.6"><title>${(use.bytes / 1024).toFixed(1)} KiB at ${use.offset}, kernels ${use.first} to ${use.last}</title></rect>`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(part => {
    const at = low + part * (high - low);
    return `<line x1="${left}" x2="${left + width}" y1="${y(at)}" y2="${y(at)}" stroke="var(--line)" stroke-width="0.5"/><text class="small" x="${left - 8}" y="${y(at) + 4}" text-anchor="end">${(at / 1024).toFixed(0)} KiB</text>`;
  });
  const axis = `<text class="small" x="${left}" y="${height + 28}">kernel 0</text><text class="small" x="${left + width}" y="${height + 28}" text-anchor="end">kernel ${steps - 1}</text>`;
  return svg(left + width + 12, height + 38, `Memory of ${name}`, [...ticks, ...rects, axis].join(''));
}

/** A page of its own for pictures. */
export const pictureDocument = (
  title: string,
  sections: readonly { readonly heading: string; readonly svg: string }[],
): string => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escapeXml(title)}</title>
<style>${pictureStyle} body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem; } .scroll { overflow-x: auto; }</style>
<h1>${escapeXml(title)}</h1>
${sections.map(section => `<h2>${escapeXml(section.heading)}</h2><div class="scroll">${section.svg}</div>`).join('\n')}
</html>
`;

/** Nodes that only new state needs: the gradient and the optimizer, without what the results need anyway. */
export function backwardNodes(graph: Graph): Node[] {
  const forward = new Set(topological(graph.results.map(result => result.node)));
  return topological(roots(graph)).filter(node => !forward.has(node) && !isParam(node));
}
