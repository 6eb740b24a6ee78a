/** The modules that one program is compiled to, and running them on typed arrays. */

import { availableParallelism } from 'node:os';
import { wasm } from '../../../backends/wasm/backend.js';
import { hasFeature } from '../../../runtime/deploy/features.js';
import type { Feature } from '../../../runtime/deploy/manifest.js';
import { type Engine, engineOf, type Model, modelOver, type OutputValue } from '../../../runtime/deploy/model.js';
import { startTeam } from '../../../runtime/deploy/team.js';
import { threadSource } from '../../artifact/glue.js';
import { loaderManifest } from '../../artifact/manifest.js';
import { artifactState } from '../../artifact/write.js';
import { fail } from '../../errors.js';
import { arrayOf, type TypedArray } from '../../ir/dtype.js';
import type { TensorType } from '../../ir/graph.js';
import type { EntryProgram, Program } from '../../ir/program.js';
import { numel } from '../../ir/shape.js';
import type { DebugOptions } from '../../pass.js';
import { emitProgram } from '../../pipeline.js';
import { type Variant, variants } from '../choices.js';
import type { EntryInputs } from '../random-inputs.js';
import type { Arrays } from './values.js';

const modules: Readonly<Record<Variant, { readonly suffix: string; readonly requires: Feature | null }>> = {
  simd: { suffix: '.wasm', requires: null },
  relaxed: { suffix: '.relaxed.wasm', requires: 'relaxed-simd' },
  threads: { suffix: '.threads.wasm', requires: 'threads' },
};

/** Can this engine run it? */
export const isRunnable = (variant: Variant): boolean => {
  const { requires } = modules[variant];
  return requires === null || hasFeature(requires);
};

/** A program as one of its modules, in memory. */
export interface Instance {
  readonly variant: Variant;
  readonly program: Program;
  readonly model: Model;
  readonly moduleBytes: number;
}

/** Threads that run a module for threads: at least two, so that it is seen to divide the work. */
const teamSize = Math.max(2, availableParallelism());

export interface EmitOptions {
  readonly debug?: DebugOptions;
  /** With another schedule. */
  readonly backend?: typeof wasm;
}

/** Emit a program and instantiate it with the given state once for each variant. Throws E601 for one the engine cannot run. */
export async function instances(
  program: Program,
  state: Arrays,
  wanted: readonly Variant[],
  { debug = {}, backend = wasm }: EmitOptions = {},
): Promise<Instance[]> {
  const missing = wanted.find(variant => !isRunnable(variant));
  if (missing !== undefined)
    fail('E601', {
      backend: 'wasm',
      what: `the variant '${missing}': this engine has no ${modules[missing].requires}`,
      hint: `compare the others (--variant ${variants.filter(isRunnable).join(',')}), or use a newer Node`,
    });
  const files = emitProgram(
    program,
    backend,
    {
      relaxed: wanted.includes('relaxed'),
      threads: wanted.includes('threads'),
    },
    debug,
  );
  const stateFile = artifactState(program, state);
  return Promise.all(
    wanted.map(async variant => {
      const bytes = files.get(`${program.name}${modules[variant].suffix}`) as Uint8Array<ArrayBuffer>;
      const module = new WebAssembly.Module(bytes);
      const engine = variant === 'threads' ? await teamOver(module) : engineOf(module);
      const count = variant === 'threads' ? teamSize : 1;
      const model = modelOver(engine, loaderManifest(program), stateFile, { count });
      return { variant, program, model, moduleBytes: bytes.length };
    }),
  );
}

async function teamOver(module: WebAssembly.Module): Promise<Engine> {
  const source = new URL(`data:text/javascript,${encodeURIComponent(await threadSource())}`);
  const { engine, reason } = await startTeam(teamSize, async () => module, source);
  return engine ?? fail('E601', { backend: 'wasm', what: `threads here: ${reason}`, hint: 'compare without them' });
}

/** Call an entry; gives its outputs as typed arrays of their own. */
export function callEntry(model: Model, { name, inputs, outputs }: EntryProgram, given: EntryInputs): Arrays {
  const results = model[name](Object.fromEntries(inputs.map(slot => [slot.name, given[slot.name]])));
  return new Map(outputs.map(slot => [slot.name, elementsOf(results[slot.name], slot.type)]));
}

/** An output as elements: the loader gives a tensor of shape [] as a number, 16-bit floats as their bits. */
function elementsOf(value: OutputValue, { dtype, shape }: TensorType): TypedArray {
  if (typeof value === 'object') return value;
  const array = new (arrayOf(dtype))(numel(shape));
  array[0] = dtype === 'int64' ? BigInt(value) : value;
  return array;
}
