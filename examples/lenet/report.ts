/**
 * What a run of the example showed: `report.json` for programs, `report.html` for people, one file without outside assets.
 */
import { type BuiltArtifact, type Comparison, drawKernels, drawMemory, escapeXml, pictureStyle } from 'gradc/compiler';

export interface FileSize {
  readonly path: string;
  readonly bytes: number;
  readonly gzip: number;
}
export interface Report {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly node: string;
  readonly accuracy: { readonly correct: number; readonly images: number; readonly part: number };
  readonly training: { readonly epochs: number; readonly batch: number; readonly steps: number };
  readonly secondsPerEpoch: { readonly compiled: number; readonly eager: number };
  readonly milliseconds: {
    readonly trainStep: { readonly compiled: number; readonly eager: number };
    readonly predict: { readonly compiled: number };
  };
  readonly replay: {
    readonly steps: number;
    readonly largestRelativeDifference: number;
    readonly compiled: readonly number[];
    readonly eager: readonly number[];
  };
  readonly differences: Comparison['differences'];
  readonly files: readonly FileSize[];
}
export interface ReportDetails {
  readonly built: BuiltArtifact;
  /** The loss of every training step. */
  readonly losses: readonly number[];
  /** confusion[label][prediction] */
  readonly confusion: readonly (readonly number[])[];
}

const percent = (part: number): string => `${(100 * part).toFixed(2)} %`;
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;

export function reportPage(report: Report, { built, losses, confusion }: ReportDetails): string {
  const { program, fused, plan } = built.compilation;
  const { milliseconds, replay } = report;
  const cards = [
    ['test accuracy', percent(report.accuracy.part), `${report.accuracy.correct} of ${report.accuracy.images} digits`],
    [
      'epoch, compiled',
      `${report.secondsPerEpoch.compiled.toFixed(1)} s`,
      `${milliseconds.trainStep.compiled.toFixed(2)} ms a step of ${report.training.batch}`,
    ],
    [
      'epoch, eager',
      `${report.secondsPerEpoch.eager.toFixed(0)} s`,
      `${milliseconds.trainStep.eager.toFixed(1)} ms a step, from ${replay.steps} steps`,
    ],
    ['predict', `${milliseconds.predict.compiled.toFixed(3)} ms`, 'one image, compiled'],
    [
      'eager and compiled',
      replay.largestRelativeDifference.toExponential(1),
      `largest relative difference of ${replay.steps} losses`,
    ],
    [
      'model and training step',
      kib(report.files.find(file => file.path === `${report.model}.wasm`)!.gzip),
      'WebAssembly, gzipped',
    ],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(report.model)}: compiled training on MNIST</title>
<style>${pictureStyle}${pageStyle}</style>
</head>
<body>
<h1>${escapeXml(report.model)} on MNIST</h1>
<p class="lead">${report.training.epochs} epochs of ${report.training.steps / report.training.epochs} compiled training steps, tested with the compiled <code>predict</code>. Node ${escapeXml(report.node)}.</p>
<div class="cards">${cards.map(([label, value, note]) => `<div class="card"><div>${label}</div><strong>${value}</strong><div>${note}</div></div>`).join('')}</div>
<h2>Loss over training</h2>
<p>Cross entropy of each batch, and its mean over 50 steps; logarithmic.</p>
${lossChart(
  [
    { values: losses, name: 'batch', style: 'thin' },
    { values: movingMean(losses, 50), name: 'mean of 50', style: 'main' },
  ],
  logarithmic,
)}
<h2>The first ${replay.steps} steps, eager and compiled</h2>
<p>The same batches from the same initial state, op by op with a tape and as one compiled program.</p>
${lossChart(
  [
    { values: replay.compiled, name: 'compiled', style: 'wide' },
    { values: replay.eager, name: 'eager', style: 'main' },
  ],
  linear,
)}
<h2>Test digits by label and prediction</h2>
${confusionTable(confusion)}
${fused.map(f => `<h2>Kernels of ${escapeXml(f.graph.name)}</h2>\n<p>${f.groups.length} kernels; each box lists the ops fused into it. Blue boxes lead to the results, orange ones to new state only.</p>\n<div class="scroll">${drawKernels(f)}</div>`).join('\n')}
${plan.entries.map(entry => `<h2>Memory of ${escapeXml(entry.name)}</h2>\n<p>Inputs, outputs and temporaries share one arena; state (${kib(program.stateBytes)}) lies below it. ${kib(program.totalBytes)} in all.</p>\n<div class="scroll">${drawMemory(entry)}</div>`).join('\n')}
<h2>Largest differences between eager and compiled</h2>
${table(
  ['tensor', 'largest difference', 'relative to the largest element', ''],
  report.differences.map(d => [
    `${d.entry ?? 'after the last step'}: ${d.kind} ${d.name}`,
    d.absolute.toExponential(2),
    d.relative.toExponential(2),
    d.agrees ? 'agrees' : 'differs',
  ]),
)}
<h2>The artifact</h2>
${table(
  ['file', 'size', 'gzip'],
  report.files.map(file => [file.path, kib(file.bytes), kib(file.gzip)]),
)}
</body>
</html>
`;
}

const pageStyle = `
  body { background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; max-width: 68rem; margin: 2.5rem auto; padding: 0 1.2rem; }
  h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.4rem 0 0.2rem; } p { margin: 0.2rem 0 0.8rem; color: var(--faint); } .lead { font-size: 1.05rem; }
  .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 0.8rem; margin: 1.4rem 0; }
  .card { border: 1px solid var(--line); border-radius: 8px; padding: 0.7rem 0.9rem; font-size: 0.82rem; color: var(--faint); } .card strong { display: block; font-size: 1.5rem; color: var(--ink); }
  .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem; } svg { max-width: 100%; height: auto; } svg.chart { max-width: 100%; height: auto; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: 0.18rem 0.9rem 0.18rem 0; text-align: right; font-weight: normal; } th { color: var(--faint); } td:first-child, th:first-child { text-align: left; }
  .confusion td { width: 2.6rem; padding: 0.25rem 0.3rem; text-align: center; } .confusion td:first-child { color: var(--faint); }
  .thin { stroke: var(--line); stroke-width: 0.7; fill: none; } .main { stroke: var(--update-edge); stroke-width: 1.8; fill: none; } .wide { stroke: var(--forward-edge); stroke-width: 6; stroke-opacity: 0.45; fill: none; }`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map(cell => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table>${cells('th', head)}${rows.map(row => cells('td', row)).join('\n')}</table></div>`;
}

function confusionTable(confusion: readonly (readonly number[])[]): string {
  const digits = confusion.map((_, digit) => String(digit));
  const cell = (count: number, label: number, prediction: number): string => {
    const total = confusion[label].reduce((sum, n) => sum + n, 0);
    const shade = label === prediction ? 0.15 : Math.min(0.9, (count / total) * 30);
    return `<td style="background: hsl(${label === prediction ? 210 : 15} 80% 55% / ${count === 0 ? 0 : shade.toFixed(2)})">${count || ''}</td>`;
  };
  return `<table class="confusion"><tr><td></td>${digits.map(digit => `<td>${digit}</td>`).join('')}</tr>
${confusion.map((row, label) => `<tr><td>${label}</td>${row.map((count, prediction) => cell(count, label, prediction)).join('')}</tr>`).join('\n')}</table>`;
}

interface Curve {
  readonly values: readonly number[];
  readonly name: string;
  /** A class of the page's style. */
  readonly style: 'thin' | 'main' | 'wide';
}

/** Where a loss stands between the lowest and the highest, from 0 to 1, and the losses that get a line. */
interface Scale {
  readonly at: (loss: number) => number;
  readonly marks: readonly number[];
}
type ScaleOf = (lowest: number, highest: number) => Scale;

const logarithmic: ScaleOf = (lowest, highest) => {
  const [low, high] = [Math.floor(Math.log10(lowest)), Math.ceil(Math.log10(highest))];
  return {
    at: loss => (Math.log10(loss) - low) / (high - low),
    marks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
  };
};
const linear: ScaleOf = (lowest, highest) => {
  const step = 10 ** Math.floor(Math.log10(highest - lowest));
  const [low, high] = [Math.floor(lowest / step) * step, Math.ceil(highest / step) * step];
  return {
    at: loss => (loss - low) / (high - low),
    marks: Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step),
  };
};

/** Curves over steps. */
function lossChart(curves: readonly Curve[], scaleOf: ScaleOf): string {
  const [left, top, width, height] = [52, 10, 900, 260];
  const values = curves.flatMap(curve => curve.values).filter(value => value > 0);
  const steps = Math.max(...curves.map(curve => curve.values.length));
  const scale = scaleOf(Math.min(...values), Math.max(...values));
  const x = (step: number): number => left + (step / Math.max(1, steps - 1)) * width;
  const y = (loss: number): number => top + (1 - Math.max(0, scale.at(loss))) * height;
  const grid = scale.marks.map(
    loss =>
      `<line x1="${left}" x2="${left + width}" y1="${y(loss)}" y2="${y(loss)}" stroke="var(--line)" stroke-width="0.5"/><text class="small" x="${left - 8}" y="${y(loss) + 4}" text-anchor="end">${Number(loss.toPrecision(3))}</text>`,
  );
  const paths = curves.map(
    ({ values, style }) =>
      `<path class="${style}" d="M${values.map((value, step) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join('L')}"/>`,
  );
  const legend = curves.map(
    ({ name, style }, i) =>
      `<path class="${style}" d="M${left + 640 + i * 130} ${top + 12}h26"/><text x="${left + 672 + i * 130}" y="${top + 16}">${name}</text>`,
  );
  const axis = `<text class="small" x="${left}" y="${top + height + 18}">step 1</text><text class="small" x="${left + width}" y="${top + height + 18}" text-anchor="end">step ${steps}</text>`;
  return `<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + width + 10} ${top + height + 26}" width="${left + width + 10}" role="img" aria-label="loss over steps">${grid.join('')}${paths.join('')}${legend.join('')}${axis}</svg>`;
}

function movingMean(values: readonly number[], span: number): number[] {
  let sum = 0;
  return values.map((value, i) => {
    sum += value - (i >= span ? values[i - span] : 0);
    return sum / Math.min(i + 1, span);
  });
}
