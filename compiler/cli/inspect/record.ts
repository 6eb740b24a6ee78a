/** A compilation with what its passes did: sizes before and after, times, choices. */
import { evaluateConstant } from '../../../backends/js/evaluate.js';
import { wasm } from '../../../backends/wasm/backend.js';
import { type Graph, roots, topological } from '../../ir/graph.js';
import type { Kernel } from '../../ir/kernel.js';
import type { DebugOptions, Note } from '../../pass.js';
import { type FusedGraph, kernelsOf } from '../../passes/fuse.js';
import { type Compilation, compileToProgram, type Source, scheduleProgram } from '../../pipeline.js';
import type { Tuning } from '../tune/tuning-file.js';

export interface PassRecord {
  readonly pass: string;
  /** The entry, or the kernel that was scheduled; empty for the whole program. */
  readonly on: string;
  readonly ms: number;
  /** Nodes or kernels that it left. */
  readonly left: string;
  readonly notes: readonly Note[];
}
export interface RecordedCompilation {
  readonly compilation: Compilation;
  readonly passes: readonly PassRecord[];
  /** That of a build: with the plans of the tuning beside the model. */
  readonly backend: typeof wasm;
  readonly tuning: Tuning | null;
}

export function compileRecorded(
  source: Source,
  debug: DebugOptions,
  backend = wasm,
  tuning: Tuning | null = null,
): RecordedCompilation {
  const recorder = new Recorder();
  const compilation = compileToProgram(source, recorder.watching(debug), evaluateConstant);
  return { compilation, passes: recorder.passes, backend, tuning };
}

/** What the schedule of the wasm backend does to the kernels. */
export function scheduleRecorded({ compilation: { program }, backend }: RecordedCompilation): readonly PassRecord[] {
  const recorder = new Recorder();
  scheduleProgram(program, backend, recorder.watching({}));
  return recorder.passes;
}

class Recorder {
  readonly passes: PassRecord[] = [];
  #notes: Note[] = [];
  #since = performance.now();

  watching(debug: DebugOptions): DebugOptions {
    return {
      ...debug,
      noted: note => void this.#notes.push(note),
      observe: (pass, ir) => {
        const now = performance.now();
        this.passes.push({ pass, ...describe(ir), ms: now - this.#since, notes: this.#notes });
        this.#notes = [];
        this.#since = performance.now();
      },
    };
  }
}

/** What an IR is, by its parts. */
function describe(ir: unknown): { on: string; left: string } {
  if (has<FusedGraph>(ir, 'groups')) return { on: ir.graph.name, left: `${kernelsOf(ir.groups).length} kernels` };
  if (has<Graph>(ir, 'results')) return { on: ir.name, left: `${topological(roots(ir)).length} nodes` };
  return has<Kernel>(ir, 'body') ? { on: ir.name, left: '' } : { on: '', left: '' };
}

const has = <T extends object>(ir: unknown, key: keyof T): ir is T =>
  typeof ir === 'object' && ir !== null && key in ir;
