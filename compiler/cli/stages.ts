/** The stages of a compilation as text and as pictures. */
import { cudaBackend } from '../../backends/cuda/backend.js';
import { wasm } from '../../backends/wasm/backend.js';
import { memoryUses } from '../artifact/manifest.js';
import { fail } from '../errors.js';
import { formatType, type Graph } from '../ir/graph.js';
import { allLaunches, launchesOf } from '../ir/program.js';
import { printGraph, printKernel, printNode } from '../ir/text.js';
import { type FusedGroup, kernelsOf } from '../passes/fuse.js';
import { type Compilation, emitProgram } from '../pipeline.js';
import type { Stage } from './choices.js';
import { backwardNodes, drawKernels, drawMemory, pictureStyle } from './picture.js';

/** A compilation with one entry left, or all of them. */
export function onlyEntry(compilation: Compilation, name: string | null): Compilation {
  if (name === null) return compilation;
  const keep = <T>(list: readonly T[]): T[] => list.filter((_, i) => compilation.program.entries[i].name === name);
  const { source, graphs, fused, program } = compilation;
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
    program: { ...program, entries: keep(program.entries) },
  };
}

export function stageText(compilation: Compilation, stage: Stage): string {
  const { source, graphs, fused, program } = compilation;
  switch (stage) {
    case 'graph':
      return source.graphs.map(graph => `${printGraph(graph)}\n`).join('\n');
    case 'backward':
      return graphs.map(backwardText).join('\n');
    case 'fused':
      return fused
        .map(
          ({ graph, groups }) =>
            `${graph.name}: ${kernelsOf(groups).length} kernels\n${groups.map(group => groupText(group, '  ')).join('')}`,
        )
        .join('\n');
    case 'kernels':
      return [...new Set(allLaunches(program).map(launch => launch.kernel))]
        .map(kernel => `${printKernel(kernel)}\n`)
        .join('\n');
    case 'memory':
      return memoryText(compilation);
    case 'wat':
      return textOf(emitProgram(program, wasm, { text: true }), '.wat');
    case 'cuda':
      return textOf(emitProgram(program, cudaBackend), '.cu');
    default:
      return stage satisfies never;
  }
}

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

function memoryText({ program }: Compilation): string {
  const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;
  const state = program.state
    .map(({ name, type, offset }) => `  ${String(offset).padStart(9)}  ${name}: ${formatType(type)}\n`)
    .join('');
  const entries = program.entries.map(entry => {
    const uses = memoryUses(program, entry).map(
      use =>
        `  ${String(use.offset).padStart(9)}  ${kib(use.bytes).padStart(12)}  kernels ${use.first} to ${use.last}\n`,
    );
    return `${entry.name}: ${launchesOf(entry.steps).length} kernels\n${uses.join('')}`;
  });
  return `${program.name}: ${kib(program.totalBytes)}, of which state ${kib(program.stateBytes)}\n${state}\n${entries.join('\n')}`;
}

export function picture(
  { fused, program }: Compilation,
  stage: Stage,
  entry: number,
): { heading: string; svg: string } {
  if (stage === 'wat' || stage === 'cuda')
    fail('E501', { problem: `stage ${stage} has no picture`, hint: 'pictures: graph, fused, kernels and memory' });
  const heading = program.entries[entry].name;
  const svg =
    stage === 'memory' ? drawMemory(heading, memoryUses(program, program.entries[entry])) : drawKernels(fused[entry]);
  return { heading, svg };
}

export const standalone = (svg: string): string => svg.replace('>', `><style>${pictureStyle}</style>`);
