/**
 * The arena of an entry over time: steps from left to right, addresses upwards, a rectangle per buffer; below it how much is
 * alive at each step, which no plan can go under.
 */
import type { EntryMemory, Lifetime } from '../../passes/plan-memory.js';
import { kib } from '../page.js';
import { escapeXml } from '../xml.js';
import { clip, svg } from './svg.js';

const [left, top, width, height, curveHeight] = [84, 10, 960, 360, 90];

export function drawMemory({ name, arenaBytes, lowerBound, lifetimes }: EntryMemory): string {
  const steps = 1 + Math.max(0, ...lifetimes.map(({ last }) => last));
  const low = Math.min(...lifetimes.map(({ offset }) => offset));
  const x = (step: number): number => left + (Math.max(0, step) / steps) * width;
  const y = (bytes: number): number => top + height - (bytes / Math.max(1, arenaBytes)) * height;
  const rects = lifetimes.map((lifetime, i) => rectangle(lifetime, i, x, bytes => y(bytes - low)));
  const marks = [0, 0.25, 0.5, 0.75, 1].map(part => mark(y(part * arenaBytes), kib(part * arenaBytes)));
  const alive = Array.from({ length: steps }, (_, step) => bytesAlive(lifetimes, step));
  const base = top + height + 44 + curveHeight;
  const level = (bytes: number): number => base - (bytes / Math.max(1, arenaBytes)) * curveHeight;
  const curve = alive.map(
    (bytes, step) => `H${x(step).toFixed(1)}V${level(bytes).toFixed(1)}H${x(step + 1).toFixed(1)}`,
  );
  const body = [
    ...marks,
    ...rects,
    label(left, top + height + 16, 'step 0', 'start'),
    label(left + width, top + height + 16, `step ${steps - 1}`, 'end'),
    label(left, base - curveHeight - 8, 'bytes alive', 'start'),
    `<path d="M${left} ${base}${curve.join('')}V${base}Z" fill="var(--forward)" stroke="var(--forward-edge)"/>`,
    mark(level(arenaBytes), kib(arenaBytes)),
    `<line x1="${left}" x2="${left + width}" y1="${level(lowerBound)}" y2="${level(lowerBound)}" stroke="var(--saved)" stroke-dasharray="4 3"/>`,
    label(left + width, base + 16, boundText(arenaBytes, lowerBound), 'end'),
  ];
  return svg(0, left + width + 14, base + 24, `Memory of ${name}`, body.join(''));
}

const boundText = (arena: number, bound: number): string =>
  `planned ${kib(arena)}; at most ${kib(bound)} are alive at once${arena === bound ? ', so the plan is the best there is' : ` (${((100 * arena) / bound - 100).toFixed(1)} % more)`}`;

/** A buffer that is made before the first step is there from the first. */
const isAlive = ({ first, last }: Lifetime, step: number): boolean => Math.max(0, first) <= step && step <= last;
const bytesAlive = (lifetimes: readonly Lifetime[], step: number): number =>
  lifetimes.filter(lifetime => isAlive(lifetime, step)).reduce((sum, { bytes }) => sum + bytes, 0);

const label = (x: number, y: number, text: string, anchor: 'start' | 'end'): string =>
  `<text class="small" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
const mark = (y: number, text: string): string =>
  `<line x1="${left}" x2="${left + width}" y1="${y}" y2="${y}" stroke="var(--line)" stroke-width="0.5"/>${label(left - 8, y + 4, text, 'end')}`;

function rectangle(lifetime: Lifetime, i: number, x: (step: number) => number, y: (bytes: number) => number): string {
  const { name, role, bytes, offset, first, last } = lifetime;
  const [x1, x2, y1] = [x(first), x(last + 1), y(offset + bytes)];
  const tall = Math.max(0.6, y(offset) - y1);
  const fits = tall > 13 && x2 - x1 > 50;
  const text = fits
    ? `<text class="small" x="${x1 + 5}" y="${y1 + Math.min(tall / 2 + 4, 16)}" style="fill: #1f2430">${escapeXml(clip(name, Math.floor((x2 - x1) / 6.2)))}</text>`
    : '';
  return `<g class="row"><title>${escapeXml(`${role} ${name}\n${kib(bytes)} at ${offset}\nsteps ${Math.max(0, first)} to ${last}`)}</title><rect x="${x1.toFixed(1)}" y="${y1.toFixed(1)}" width="${(x2 - x1).toFixed(1)}" height="${tall.toFixed(1)}" rx="${tall > 8 ? 3 : 0}" fill="${colorOf(role, i)}" stroke="var(--paper)" stroke-width="0.6"/>${text}</g>`;
}

/** Inputs green, outputs blue; temporaries in many colours, so that neighbours are told apart. */
function colorOf(role: Lifetime['role'], i: number): string {
  if (role === 'input') return 'var(--input-edge)';
  if (role === 'output') return 'var(--forward-edge)';
  return `hsl(${((i * 137.5) % 360).toFixed(0)} 55% 68% / 0.85)`;
}
