/**
 * The whole compiler as one list; read this first.
 *
 *   trace ─▶ Graph ─ graph passes ─▶ Graph ─ fuse, stream ─▶ Kernels ─ order, plan-memory ─▶ Program ─ schedule ─▶ emit
 *
 * Tracing is `trace/model.ts`; autodiff has happened there, since `backward()` inside an entry appends the gradient to the
 * graph. Everything below is a pure function of the graphs. A backend is handed in: the compiler knows none by name.
 */
import type { ArtifactFiles, Backend } from '../backends/backend.js';
import { fail } from './errors.js';
import type { DType } from './ir/dtype.js';
import type { Graph, TensorType } from './ir/graph.js';
import type { Kernel } from './ir/kernel.js';
import { allLaunches, type Launch, launchesOf, mapLaunches, type Program } from './ir/program.js';
import { printGraph, printKernel } from './ir/text.js';
import { verifyGraph, verifyKernel, verifyProgram } from './ir/verify.js';
import { opDef } from './ops/define.js';
import {
  type DebugOptions,
  left,
  type Pass,
  type PassContext,
  type PassHooks,
  passContext,
  runPasses,
} from './pass.js';
import { inBodies } from './passes/bodies.js';
import { canonicalize, type Evaluate } from './passes/canonicalize.js';
import { cse } from './passes/cse.js';
import { deadCode } from './passes/dead-code.js';
import { decompose } from './passes/decompose.js';
import { deferSums } from './passes/defer-sums.js';
import { type FusedGraph, fuse, kernelsOf } from './passes/fuse.js';
import { orderGroups } from './passes/order.js';
import { dropOwnGradients } from './passes/own-gradients.js';
import { type MemoryPlan, planMemory } from './passes/plan-memory.js';
import { stream } from './passes/stream.js';
import { trimControl } from './passes/trim-control.js';
import { expandNode } from './trace/trace.js';

/** From what the user wrote to what will be computed. */
export const graphPasses = (evaluate: Evaluate | null): readonly Pass<Graph>[] => [
  inBodies(dropOwnGradients),
  trimControl,
  inBodies(canonicalize(evaluate)),
  inBodies(decompose(expandNode)),
  inBodies(canonicalize(evaluate)),
  inBodies(cse),
  trimControl,
  inBodies(deferSums),
  trimControl,
  inBodies(cse),
  deadCode,
];

const graphHooks: PassHooks<Graph> = {
  print: printGraph,
  verify: graph => verifyGraph(graph, (op, inputs, attrs) => opDef(op).infer(inputs, attrs)),
};
const kernelHooks: PassHooks<Kernel> = { print: printKernel, verify: verifyKernel };

/** What is compiled together: entries over one state. */
export interface Source {
  readonly name: string;
  readonly graphs: readonly Graph[];
  readonly state: readonly { readonly name: string; readonly type: TensorType }[];
}

/** Every stage of a compilation, for inspection. */
export interface Compilation {
  readonly source: Source;
  /** After the graph passes. */
  readonly graphs: readonly Graph[];
  readonly fused: readonly FusedGraph[];
  readonly plan: MemoryPlan;
  /** Kernels in plain form: what every backend starts from. */
  readonly program: Program;
}

/** Everything up to the backend. `evaluate` runs what is constant; without it constants are only moved about. */
export function compileToProgram(
  source: Source,
  debug: DebugOptions = {},
  evaluate: Evaluate | null = null,
): Compilation {
  const passes = graphPasses(evaluate);
  const graphs = source.graphs.map(graph => runPasses(passes, graph, graphHooks, debug));
  const context = (pass: string): PassContext => passContext(pass, debug);
  const fused = graphs.map(graph => {
    const groups = left('fuse', debug, fuse(graph, context('fuse')));
    const streamed = left('stream', debug, stream(groups, context('stream')));
    return left('order', debug, orderGroups(streamed, context('order')));
  });
  const planned = planMemory(
    source.name,
    source.state,
    fused.map(({ graph, groups }) => ({ graph, kernels: groups.map(group => group.lowered) })),
    context('plan-memory'),
  );
  const plan = left('plan-memory', debug, planned);
  if (debug.verify) {
    for (const { groups } of fused) for (const { kernel } of kernelsOf(groups)) verifyKernel(kernel);
    for (const { kernel } of allLaunches(plan.program)) verifyKernel(kernel);
    verifyProgram(plan.program);
  }
  return { source, graphs, fused, plan, program: shareKernels(plan.program) };
}

/** A kernel as text in which its tensors have numbers for names: equal for kernels that do the same to other tensors. */
export function anonymousText(kernel: Kernel): string {
  const numbers = new Map(kernel.params.map(({ buffer }, i) => [buffer.name, `$${i}`]));
  return printKernel({ ...kernel, name: '', doc: '' }).replace(/[A-Za-z_]\w*/g, word => numbers.get(word) ?? word);
}

/** Kernels that do the same become one object, so that backends emit them once. */
function shareKernels(program: Program): Program {
  const byText = new Map<string, Kernel>();
  const shared = (launch: Launch): Launch => {
    const text = anonymousText(launch.kernel);
    const kernel = byText.get(text) ?? launch.kernel;
    byText.set(text, kernel);
    return { ...launch, kernel };
  };
  return mapLaunches(program, shared);
}

/** A program with its kernels in the form the backend spells. Throws E601 for an element type the backend lacks. */
export function scheduleProgram<O>(program: Program, backend: Backend<O>, debug: DebugOptions = {}): Program {
  const scheduled = new Map<Kernel, Kernel>();
  const schedule = (kernel: Kernel): Kernel => {
    const known = scheduled.get(kernel) ?? runPasses(backend.schedule, kernel, kernelHooks, debug);
    scheduled.set(kernel, known);
    return known;
  };
  checkTypes(program, backend);
  return mapLaunches(program, launch => ({ ...launch, kernel: schedule(launch.kernel) }));
}

function checkTypes<O>(program: Program, backend: Backend<O>): void {
  const lacks = (dtype: DType): boolean => !backend.capabilities.dtypes.includes(dtype);
  for (const { name, steps } of program.entries) {
    for (const { kernel } of launchesOf(steps)) {
      const missing = kernel.params.find(({ buffer }) => lacks(buffer.dtype));
      if (missing)
        fail('E601', {
          backend: backend.name,
          what: `${missing.buffer.dtype} (in entry '${name}', ${kernel.doc})`,
          hint: 'convert to float32 before it, or choose another target',
        });
    }
  }
}

/** Schedule and write a program with one backend. */
export const emitProgram = <O>(
  program: Program,
  backend: Backend<O>,
  options?: O,
  debug: DebugOptions = {},
): ArtifactFiles => backend.emit(scheduleProgram(program, backend, debug), options);
