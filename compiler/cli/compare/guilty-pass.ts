/**
 * Which pass spoils a graph: the compilation is repeated, and what each pass left is run and judged. Graphs are run op by
 * op, fused kernels and the planned program by the js backend, scheduled kernels as WebAssembly of the schedule up to there.
 */

import { compileKernel } from '../../../backends/js/emit.js';
import { evaluateConstant } from '../../../backends/js/evaluate.js';
import { instantiateJs } from '../../../backends/js/run.js';
import { wasm } from '../../../backends/wasm/backend.js';
import { arrayOf, type TypedArray } from '../../ir/dtype.js';
import { type Graph, type Node, paramName } from '../../ir/graph.js';
import type { Program, Slot } from '../../ir/program.js';
import { numel } from '../../ir/shape.js';
import type { Lowered } from '../../lowering/lower.js';
import type { FusedGraph } from '../../passes/fuse.js';
import { compileToProgram } from '../../pipeline.js';
import { type Case, type CheckOptions, References, runCompiled, sourceOf } from './check.js';
import { type Arrays, evaluate, type GraphValues } from './values.js';

/** What the compiler has made of a graph at some point, ready to run. */
interface Stage {
  readonly pass: string;
  readonly run: () => GraphValues | Promise<GraphValues>;
}

/** The first pass whose result no longer agrees; null where all do, and so each by itself is right. */
export async function guiltyPass(given: Case, options: CheckOptions): Promise<string | null> {
  const references = new References(given, options.tolerance);
  const isSpoiled = async ({ run }: Stage): Promise<boolean> =>
    references.judge(await run()).some(({ agrees }) => !agrees);
  const stages = stagesOf(given, options);
  return (await firstSpoiled(stages, isSpoiled))?.pass ?? null;
}

/** Bisection: what a pass has spoiled stays spoiled. */
async function firstSpoiled(
  stages: readonly Stage[],
  isSpoiled: (stage: Stage) => Promise<boolean>,
): Promise<Stage | null> {
  let [good, bad] = [-1, stages.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (await isSpoiled(stages[middle])) bad = middle;
    else good = middle;
  }
  return stages[bad] ?? null;
}

function stagesOf(given: Case, options: CheckOptions): Stage[] {
  const { graph, parameters } = given;
  const graphs: { pass: string; ir: Graph }[] = [];
  const observe = (pass: string, ir: unknown): void => {
    if (typeof ir === 'object' && ir !== null && 'results' in ir) graphs.push({ pass, ir: ir as Graph });
  };
  const debug = { ...options.debug, observe };
  const { fused, program } = compileToProgram(sourceOf(graph), debug, evaluateConstant);
  return [
    ...graphs.map(({ pass, ir }) => ({ pass, run: () => evaluate(ir, parameters) })),
    ...kernelStages(fused[0], parameters),
    { pass: 'plan-memory', run: () => runProgram(graph, program, parameters) },
    ...[...wasm.schedule.keys(), wasm.schedule.length].map(count => ({
      pass: count === 0 ? `emit (${wasm.name})` : wasm.schedule[count - 1].name,
      run: () => runCompiled(given, { ...options, backend: { ...wasm, schedule: wasm.schedule.slice(0, count) } }),
    })),
  ];
}

/** Where there are loops or branches, kernels do not run by themselves. */
function kernelStages({ graph, groups }: FusedGraph, parameters: Arrays): Stage[] {
  const kernels = groups.flatMap(({ lowered }) => ('kernel' in lowered ? [lowered] : []));
  if (kernels.length < groups.length) return [];
  return [{ pass: 'fuse', run: () => runKernels(graph, kernels, parameters) }];
}

/** The kernels one after another, each value in memory of its own. */
function runKernels(graph: Graph, kernels: readonly Lowered[], parameters: Arrays): GraphValues {
  const values = new Map<Node, TypedArray>(graph.params.map(param => [param, parameters.get(paramName(param))!]));
  for (const { kernel, reads, writes } of kernels) {
    for (const node of writes) values.set(node, new (arrayOf(node.type.dtype))(numel(node.type.shape)));
    compileKernel(kernel)(...[...reads, ...writes].map(node => values.get(node)!));
  }
  return {
    results: new Map(graph.results.map(({ name, node }) => [name, values.get(node)!])),
    updates: new Map([...graph.updates].map(([param, value]) => [paramName(param), values.get(value)!])),
  };
}

/** The planned program on the js backend: its addresses, nothing scheduled. */
function runProgram(graph: Graph, program: Program, parameters: Arrays): GraphValues {
  const { memory, entries } = instantiateJs(program);
  const [entry] = program.entries;
  const view = ({ type, offset }: Slot): TypedArray => new (arrayOf(type.dtype))(memory, offset, numel(type.shape));
  for (const slot of [...program.state, ...entry.inputs]) view(slot).set(parameters.get(slot.name) as never);
  entries[entry.name]();
  const updated = new Set([...graph.updates.keys()].map(paramName));
  return {
    results: new Map(entry.outputs.map(slot => [slot.name, view(slot).slice()])),
    updates: new Map(
      program.state.filter(({ name }) => updated.has(name)).map(slot => [slot.name, view(slot).slice()]),
    ),
  };
}
