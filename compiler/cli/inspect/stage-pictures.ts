/** The stages of a compilation as pictures and pages. */
import { printKernel } from '../../ir/text.js';
import type { Stage } from '../choices.js';
import { kib, pageDocument, table } from '../page.js';
import { escapeXml } from '../xml.js';
import { type Boundary, boundaries } from './explain.js';
import { drawGraph, edgeLighting } from './graph-picture.js';
import { drawKernels } from './kernel-picture.js';
import { drawListing, listingHtml, listingStyle } from './listing.js';
import { drawMemory } from './memory-picture.js';
import type { RecordedCompilation } from './record.js';
import { kernelsIn, stageText } from './stage-text.js';
import { pictureStyle } from './svg.js';

const about: Readonly<Record<Stage, string>> = {
  graph:
    'What was traced: an op per row, boxes are modules. Rest on a row to see the line that wrote it and light what it reads and who reads it.',
  backward:
    'Forward runs down, the gradient runs up beside it; purple is what is kept for it. On the right, the state that the call renews.',
  passes: 'What each pass left, and what it chose.',
  fused:
    'One box per kernel with the ops in it. Blue leads to results, orange to new state only. Rest on one to see the lines behind it, and why it is not one with the next.',
  explain: 'For each kernel the neighbours it was not fused with, and why.',
  kernels: 'The loops of each kernel, as every backend gets them.',
  memory: 'Buffers over the steps of a call, in one arena behind the state.',
  wat: 'The WebAssembly module as text.',
  cuda: 'The CUDA program.',
};

/** A picture of the first entry. */
export function stagePicture(recorded: RecordedCompilation, stage: Stage): string {
  const { compilation } = recorded;
  switch (stage) {
    case 'graph':
    case 'backward':
    case 'fused':
    case 'memory':
      return entryPicture(recorded, stage, 0);
    case 'passes':
    case 'explain':
    case 'kernels':
    case 'wat':
    case 'cuda':
      return drawListing(`${stage} of ${compilation.source.name}`, stageText(recorded, stage));
    default:
      return stage satisfies never;
  }
}

function entryPicture(
  recorded: RecordedCompilation,
  stage: 'graph' | 'backward' | 'fused' | 'memory',
  i: number,
): string {
  const { compilation } = recorded;
  switch (stage) {
    case 'graph':
      return drawGraph(compilation.source.graphs[i], 'forward');
    case 'backward':
      return drawGraph(compilation.source.graphs[i], 'all');
    case 'fused':
      return drawKernels(compilation.fused[i], reasons(recorded, compilation.fused[i].graph.name));
    case 'memory':
      return drawMemory(compilation.plan.entries[i]);
    default:
      return stage satisfies never;
  }
}

/** Why each kernel of an entry is not one with those that read it. */
const reasons = (recorded: RecordedCompilation, entry: string): ReadonlyMap<string, string> =>
  new Map(
    boundaries(recorded)
      .get(entry)!
      .map(({ kernel, apart }) => [kernel, apart.map(({ from, why }) => `not in ${from}: ${why}`).join('\n')]),
  );

/** A page with all entries. */
export function stagePage(recorded: RecordedCompilation, stage: Stage): string {
  const title = `${recorded.compilation.source.name}: ${stage}`;
  const style = `${pictureStyle}${listingStyle}`;
  return pageDocument({ title, lead: about[stage], body: stageBody(recorded, stage), style });
}

function stageBody(recorded: RecordedCompilation, stage: Stage): string {
  const { compilation } = recorded;
  switch (stage) {
    case 'graph':
    case 'backward':
    case 'fused':
    case 'memory': {
      const sections = compilation.program.entries.map(
        ({ name }, i) => `<h2>${escapeXml(name)}</h2>\n<div class="scroll">${entryPicture(recorded, stage, i)}</div>`,
      );
      const state = `<p>${kib(compilation.program.totalBytes)} in all, of which state ${kib(compilation.program.stateBytes)}.</p>`;
      return `${stage === 'memory' ? state : ''}${sections.join('\n')}\n${edgeLighting}`;
    }
    case 'explain':
      return [...boundaries(recorded)].map(([entry, list]) => explanation(entry, list)).join('\n');
    case 'kernels':
      return listingHtml(
        kernelsIn(compilation).map(kernel => ({ title: `${kernel.name}: ${kernel.doc}`, text: printKernel(kernel) })),
      );
    case 'wat':
      return listingHtml(functionsOf(stageText(recorded, stage)));
    case 'passes':
    case 'cuda':
      return listingHtml([{ title: stage, text: stageText(recorded, stage) }]);
    default:
      return stage satisfies never;
  }
}

function explanation(entry: string, list: readonly Boundary[]): string {
  const rows = list.map(({ kernel, does, apart }) => [
    `<code>${escapeXml(kernel)}</code>`,
    escapeXml(does),
    apart
      .map(({ from, node, why }) => `<code>${escapeXml(from)}</code>: ${escapeXml(why)} (${escapeXml(node)})`)
      .join('<br>'),
  ]);
  return `<h2>${escapeXml(entry)}</h2>\n<div class="text">${table(['kernel', 'does', 'apart from'], rows)}</div>`;
}

/** A module in parts: its functions, and what stands around them. */
function functionsOf(text: string): { title: string; text: string }[] {
  const parts = text.split(/^(?= \(func )/m);
  return parts.map(part => ({ title: /^ \(func (\S+)/.exec(part)?.[1] ?? 'module', text: part }));
}
