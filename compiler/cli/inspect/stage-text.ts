/** The stages of a compilation as text. */
import { cudaBackend } from '../../../backends/cuda/backend.js';
import { fail } from '../../errors.js';
import { formatType, type Graph, isParam, type Node, roots, topological } from '../../ir/graph.js';
import type { Kernel } from '../../ir/kernel.js';
import { allLaunches, launchesOf } from '../../ir/program.js';
import { printGraph, printKernel, printNode } from '../../ir/text.js';
import { type FusedGroup, kernelsOf } from '../../passes/fuse.js';
import { type Compilation, emitProgram } from '../../pipeline.js';
import type { Stage } from '../choices.js';
import { kib } from '../page.js';
import { explanationText, passesText } from './explain.js';
import { type RecordedCompilation, scheduleRecorded } from './record.js';

/** A compilation with one entry left, or all of them. */
export function onlyEntry(compilation: Compilation, name: string | null): Compilation {
  if (name === null) return compilation;
  const keep = <T>(list: readonly T[]): T[] => list.filter((_, i) => compilation.program.entries[i].name === name);
  const { source, graphs, fused, plan, program } = compilation;
  if (keep(program.entries).length === 0)
    fail('E501', {
      problem: `there is no entry '${name}'`,
      hint: `entries: ${program.entries.map(entry => entry.name).join(', ')}`,
    });
  return {
    ...compilation,
    source: { ...source, graphs: keep(source.graphs) },
    graphs: keep(graphs),
    fused: keep(fused),
    plan: { ...plan, entries: keep(plan.entries) },
    program: { ...program, entries: keep(program.entries) },
  };
}

export function stageText(recorded: RecordedCompilation, stage: Stage): string {
  const { compilation } = recorded;
  const { source, graphs, fused, program } = compilation;
  switch (stage) {
    case 'graph':
      return source.graphs.map(graph => `${printGraph(graph)}\n`).join('\n');
    case 'backward':
      return graphs.map(backwardText).join('\n');
    case 'passes':
      return passesText(recorded, scheduleRecorded(recorded));
    case 'explain':
      return explanationText(recorded);
    case 'fused':
      return fused
        .map(
          ({ graph, groups }) =>
            `${graph.name}: ${kernelsOf(groups).length} kernels\n${groups.map(group => groupText(group, '  ')).join('')}`,
        )
        .join('\n');
    case 'kernels':
      return kernelsIn(compilation)
        .map(kernel => `${printKernel(kernel)}\n`)
        .join('\n');
    case 'memory':
      return memoryText(compilation);
    case 'wat':
      return textOf(emitProgram(program, recorded.backend, { text: true }), '.wat');
    case 'cuda':
      return textOf(emitProgram(program, cudaBackend), '.cu');
    default:
      return stage satisfies never;
  }
}

/** Each kernel of a program once. */
export const kernelsIn = ({ program }: Compilation): Kernel[] => [
  ...new Set(allLaunches(program).map(launch => launch.kernel)),
];

/** A kernel in a line; a loop or branch with those inside it. */
function groupText({ lowered }: FusedGroup, indent: string): string {
  if ('kernel' in lowered) return `${indent}${lowered.kernel.name.padEnd(34 - indent.length)} ${lowered.kernel.doc}\n`;
  const bodies = lowered.bodies.map(({ groups }) => groups.map(group => groupText(group, `${indent}  `)).join(''));
  return `${indent}${lowered.control.op} {\n${bodies.join(`${indent}} {\n`)}${indent}}\n`;
}

function textOf(files: ReadonlyMap<string, Uint8Array | string>, suffix: string): string {
  return [...files]
    .filter(([path]) => path.endsWith(suffix))
    .map(([, content]) => String(content))
    .join('\n');
}

/** What backward() and the optimizer added, as they are after the graph passes. */
function backwardText(graph: Graph): string {
  const lines = backwardNodes(graph).map(node => {
    const at = node.site
      ? `  // ${node.site.file}:${node.site.line}${node.site.module ? ` ${node.site.module}` : ''}`
      : '';
    return `  %${node.id} = ${printNode(node, input => `%${input.id}`)}${at}\n`;
  });
  return `${graph.name}: ${lines.length} nodes beside those of the results\n${lines.join('')}`;
}

function memoryText({ program, plan }: Compilation): string {
  const state = program.state
    .map(({ name, type, offset }) => `  ${String(offset).padStart(9)}  ${name}: ${formatType(type)}\n`)
    .join('');
  const entries = plan.entries.map(({ name, arenaBytes, lowerBound, lifetimes }, i) => {
    const rows = [...lifetimes]
      .sort((a, b) => a.first - b.first || a.offset - b.offset)
      .map(
        ({ name, role, bytes, offset, first, last }) =>
          `  ${String(offset).padStart(9)}  ${kib(bytes).padStart(12)}  kernels ${Math.max(0, first)} to ${last}  ${role} ${name}\n`,
      );
    const kernels = launchesOf(program.entries[i].steps).length;
    return `${name}: ${kernels} kernels; planned peak ${kib(arenaBytes)}, lower bound ${kib(lowerBound)} (the most alive at once)\n${rows.join('')}`;
  });
  return `${program.name}: ${kib(program.totalBytes)}, of which state ${kib(program.stateBytes)}\n${state}\n${entries.join('\n')}`;
}

/** Nodes that only new state needs: the gradient and the optimizer, without what the results need anyway. */
function backwardNodes(graph: Graph): Node[] {
  const forward = new Set(topological(graph.results.map(result => result.node)));
  return topological(roots(graph)).filter(node => !forward.has(node) && !isParam(node));
}
