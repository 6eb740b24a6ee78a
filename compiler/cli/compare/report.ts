/** A comparison as text and as a page. */
import { columns } from '../arguments.js';
import type { Comparison, Difference } from '../compare-model.js';
import { kib, pageDocument, table } from '../page.js';
import { escapeXml } from '../xml.js';
import type { Distance } from './accuracy.js';
import type { CheckedValue } from './check.js';
import type { EntryCost } from './cost.js';
import type { Divergence } from './divergence.js';

/** A tensor, and how each variant did on it. */
interface Row {
  readonly label: string;
  readonly agrees: boolean;
  readonly variants: readonly Difference[];
}

const label = ({ kind, entry, name }: Difference): string =>
  entry === null ? `${kind} ${name}` : `${entry}: ${kind} ${name}`;

/** Rows with the ones that fail first, then those farthest from the oracle. */
function rowsOf({ differences }: Comparison): Row[] {
  const byTensor = new Map<string, Difference[]>();
  for (const difference of differences) {
    const key = label(difference);
    byTensor.set(key, [...(byTensor.get(key) ?? []), difference]);
  }
  const rows = [...byTensor].map(([label, variants]) => ({
    label,
    variants,
    agrees: variants.every(({ agrees }) => agrees),
  }));
  const worst = ({ variants }: Row): number => Math.max(...variants.map(errorOf));
  return rows.sort((a, b) => Number(a.agrees) - Number(b.agrees) || worst(b) - worst(a));
}

const errorOf = ({ compiledError, relative }: Difference): number => compiledError?.relative ?? relative;

/** Rows that a reader of a terminal is shown unless he asks for all; those that fail always are. */
const shownRows = 24;

export function comparisonText(comparison: Comparison, all: boolean): string {
  const rows = rowsOf(comparison);
  const shown = all ? rows : rows.filter((row, i) => !row.agrees || i < shownRows);
  const hidden = rows.length - shown.length;
  const lines = shown.map(row => [
    row.label,
    [
      ...(comparison.oracle ? [`eager ${distanceText(row.variants[0].eagerError!)}`] : []),
      ...row.variants.map(d => `${d.variant} ${distanceText(d.compiledError ?? d)} ${verdict(d)}`),
    ].join('; '),
  ]);
  const truth = comparison.oracle ? 'float64' : 'eager; there is no float64 oracle for this model';
  return [
    `largest errors against ${truth}, relative to the largest element and in its ulps\n${columns(lines)}`,
    ...(hidden > 0 ? [`  and ${hidden} more that agree (--all shows them)\n`] : []),
    `\n${columns(comparison.costs.map(cost => [cost.entry, costText(cost)]))}`,
    `${columns(comparison.modules.map(m => [`${m.variant} module${m.threads > 1 ? `, ${m.threads} threads` : ''}`, `${kib(m.moduleBytes)} of code, ${kib(m.memoryBytes)} of memory with ${kib(m.stateBytes)} of state`]))}\n`,
    `${summary(comparison)}\n`,
  ].join('');
}

const distanceText = ({ relative, ulps }: Distance): string =>
  relative === Number.POSITIVE_INFINITY
    ? 'infinite'
    : `${relative.toExponential(1)}${ulps === null ? '' : ` (${ulps < 100 ? ulps.toFixed(1) : ulps.toExponential(1)} ulp)`}`;
const verdict = ({ agrees, noise, step }: Difference): string =>
  agrees ? (noise ? 'ok, as far as rounding goes' : 'ok') : `FAIL at step ${step}`;

const costText = ({ eager, compiled }: EntryCost): string =>
  [
    `eager ${eager.ms.toFixed(3)} ms and ${kib(eager.bytes)} a call`,
    ...compiled.map(c => `${c.variant} ${c.ms.toFixed(3)} ms, ${(eager.ms / c.ms).toFixed(1)} times faster`),
  ].join('; ');

function summary(comparison: Comparison): string {
  const { agrees, differences } = comparison;
  if (agrees) return 'all tensors agree';
  const failed = differences.filter(d => !d.agrees).length;
  return `${failed} of ${differences.length} tensors differ\n${whereFrom(comparison)}`;
}

export function whereFrom({ firstDivergence: first }: Pick<Comparison, 'firstDivergence'>): string {
  if (first === null) return 'the first call that differs is right when it is made by itself: it builds up over many';
  if (first.pass === 'trace')
    return `what was traced is not what the model does eagerly: ${first.op} of ${first.entry}${place(first)} differs op by op, ${distanceText(first)}; it depends on what tracing does not see, such as a counter or a random number of its own`;
  return `first divergent op: ${first.op} of ${first.entry}${place(first)}, ${passText(first)}: ${distanceText(first)} from eager`;
}

const place = ({ site }: Divergence): string =>
  site === null ? '' : ` at ${site.file}:${site.line}:${site.column}${site.module ? ` in ${site.module}` : ''}`;
const passText = ({ pass, nodes }: Divergence): string =>
  `${pass === null ? 'though each pass by itself is right' : `wrong after ${pass}`}, in ${nodes} ${nodes === 1 ? 'op' : 'ops'} by ${nodes === 1 ? 'itself' : 'themselves'}`;

export function reproText(values: readonly CheckedValue[]): string {
  const rows = values.map(v => [`${v.kind} ${v.name}`, `${v.agrees ? 'ok  ' : 'FAIL'}  ${distanceText(v)} from eager`]);
  const wrong = values.filter(({ agrees }) => !agrees).length;
  return `${columns(rows)}${wrong === 0 ? 'compiled agrees' : `${wrong} of ${values.length} values differ`}\n`;
}

// ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const pageStyle = `
  .bar { display: inline-block; width: 7rem; height: 0.55rem; border-radius: 3px; background: var(--panel); margin-right: 0.6rem; vertical-align: baseline; } .bar i { display: block; height: 100%; border-radius: 3px; background: var(--forward-edge); } .bar i.eager { background: var(--faint); } .bar i.over { background: var(--bad); }
  .banner { border-left: 5px solid var(--good); background: var(--panel); border-radius: 4px; padding: 0.7rem 1rem; margin: 1rem 0; } .banner.wrong { border-color: var(--bad); }`;

export function comparisonPage(name: string, comparison: Comparison): string {
  const rows = rowsOf(comparison);
  const { costs, modules, agrees, firstDivergence } = comparison;
  const variants = modules.map(({ variant }) => variant);
  const body = [
    `<div class="banner${agrees ? '' : ' wrong'}"><strong>${escapeXml(agrees ? `All ${rows.length} tensors agree` : `${rows.filter(row => !row.agrees).length} of ${rows.length} tensors differ`)}</strong><br>${escapeXml(agrees ? farthestText(rows[0]) : whereFrom(comparison))}</div>`,
    `<div class="cards">${costs.flatMap(speedCards).join('')}</div>`,
    ...(!firstDivergence?.repro
      ? []
      : [
          `<h2>What goes wrong by itself</h2><p class="faint">Saved to a file that ends in <code>.graph</code>, <code>gradc compare FILE.graph</code> runs it.</p><div class="scroll"><pre>${escapeXml(clipLines(firstDivergence.repro))}</pre></div>`,
        ]),
    '<h2>Accuracy</h2>',
    `<p class="faint">The largest error of each tensor over all steps, relative to its largest element; bars are logarithmic, from 1e-9 to 1.</p>`,
    table(
      ['tensor', ...(comparison.oracle ? ['eager'] : []), ...variants, ''],
      rows.map(row => [
        escapeXml(row.label),
        ...(comparison.oracle ? [errorCell(row.variants[0].eagerError!, 'eager')] : []),
        ...row.variants.map(d => errorCell(d.compiledError ?? d, d.agrees ? 'compiled' : 'over')),
        row.agrees
          ? `<span class="good">${row.variants.some(d => d.noise) ? 'noise' : 'agrees'}</span>`
          : '<span class="bad">differs</span>',
      ]),
    ),
    '<h2>Speed and memory</h2>',
    table(
      ['entry', 'eager', 'eager, memory a call', ...variants.flatMap(variant => [variant, 'times faster'])],
      costs.map(({ entry, eager, compiled }) => [
        escapeXml(entry),
        `${eager.ms.toFixed(3)} ms`,
        kib(eager.bytes),
        ...compiled.flatMap(({ ms }) => [`${ms.toFixed(3)} ms`, (eager.ms / ms).toFixed(1)]),
      ]),
    ),
    table(
      ['module', 'code', 'memory', 'of which state'],
      modules.map(m => [m.variant, kib(m.moduleBytes), kib(m.memoryBytes), kib(m.stateBytes)]),
    ),
  ].join('\n');
  return pageDocument({ title: `${name}: eager and compiled`, lead: rule(comparison), body, style: pageStyle });
}

const farthestText = ({ label, variants }: Row): string =>
  `Farthest from the truth is ${label}: ${variants.map(d => `${d.variant} ${distanceText(d.compiledError ?? d)}`).join(', ')}.`;

const rule = ({ oracle }: Comparison): string =>
  oracle
    ? 'Compiled may be as far from float64 as twice eager’s own error, and a floor.'
    : 'There is no float64 oracle for this model: compiled is held against eager alone.';

const speedCards = ({ entry, eager, compiled }: EntryCost): string[] =>
  compiled.map(
    c =>
      `<div class="card">${escapeXml(entry)}, ${c.variant}<strong>${(eager.ms / c.ms).toFixed(1)} ×</strong>${c.ms.toFixed(3)} ms, eager ${eager.ms.toFixed(1)} ms</div>`,
  );

function errorCell(distance: Distance, kind: 'eager' | 'compiled' | 'over'): string {
  const part = Math.min(1, Math.max(0, (Math.log10(Math.max(distance.relative, 1e-9)) + 9) / 9));
  return `<span class="bar"><i class="${kind}" style="width: ${(100 * part).toFixed(0)}%"></i></span>${distanceText(distance)}`;
}

/** Long values in base64 are not for reading. */
const clipLines = (text: string): string => text.replace(/^(.{200}).+$/gm, '$1…');
