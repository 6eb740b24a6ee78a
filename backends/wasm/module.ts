/**
 * Emitted functions -> the bytes of a module: memory, the scratch area, internal functions, entries; validated and
 * cleaned up by binaryen.
 */
import binaryen from 'binaryen';
import { InternalError } from '../../compiler/errors.js';
import { buildFunction } from './build.js';
import { type EmittedFunction, emitHelper } from './emit.js';
import { type EntryStep, StepBuilder } from './entry.js';
import { SCRATCH } from './globals.js';
import { addTeam, type TeamPlan } from './team.js';

export interface ModulePlan {
  readonly functions: ReadonlyMap<string, EmittedFunction>;
  /** Exported functions without arguments, each a sequence of steps; those of a team are in `team`. */
  readonly entries: ReadonlyMap<string, readonly EntryStep[]>;
  /** Functions exported as they are. */
  readonly exported: readonly string[];
  /** The module's own memory, exported, of so many bytes; or one it imports as `env.memory`. */
  readonly memoryBytes: number | 'imported';
  /** Where scratch memory starts. */
  readonly scratchBase: number;
  /** Whether functions hold instructions of relaxed SIMD. */
  readonly relaxed: boolean;
  /** Threads that run the entries together, over a shared memory that the module imports. */
  readonly team?: TeamPlan;
}

/**
 * What is run over the whole module, once. The emitter has placed every value already; passes that move code (-O2 and
 * above) undo that and cost the hot loops a fifth of their speed on Node 20, so only these are used:
 */
const COALESCE = 'coalesce-locals';
const passes = [
  'duplicate-function-elimination', // kernels of equal code, as of layers with equal shapes, become one
  'vacuum', // drops values that nothing uses
  COALESCE, // values whose lives do not overlap share a local: smaller frames for the baseline compiler
  'reorder-locals', // the most used locals get the numbers that take one byte
  'remove-unused-module-elements', // the scratch address where no kernel needs it
];

/** A function of more is not looked at by pairs of locals: of 32,000, that took longer than two minutes. */
const MOST_LOCALS = 5000;

const features =
  binaryen.Features.SIMD128 |
  binaryen.Features.BulkMemory |
  binaryen.Features.NontrappingFPToInt |
  binaryen.Features.SignExt |
  binaryen.Features.MutableGlobals;
const PAGE = 65536;
const MOST_PAGES = 65536;

export function buildModule(plan: ModulePlan): Uint8Array {
  const module = planModule(plan);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

/** The text form, for people. */
export function moduleText(plan: ModulePlan): string {
  const module = planModule(plan);
  try {
    return module.emitText();
  } finally {
    module.dispose();
  }
}

function planModule(plan: ModulePlan): binaryen.Module {
  const module = new binaryen.Module();
  module.setFeatures(featuresOf(plan));
  addMemory(module, plan);
  if (plan.team) addTeam(module, plan.team, plan.scratchBase);
  else module.addGlobal(SCRATCH, binaryen.i32, false, module.i32.const(plan.scratchBase));
  const locals = new Map<string, number>();
  for (const [name, emitted] of withHelpers(plan.functions))
    locals.set(name, buildFunction(module, name, emitted.code, emitted.result));
  for (const [name, steps] of plan.entries) addEntry(module, name, steps);
  for (const name of plan.exported) module.addFunctionExport(name, name);
  if (!module.validate()) throw new InternalError(`binaryen refuses the module\n${module.emitText()}`);
  optimise(module, locals);
  return module;
}

/** Where a function is too large for a pass, the pass is run on the others one by one. */
function optimise(module: binaryen.Module, locals: ReadonlyMap<string, number>): void {
  const small = [...locals.keys()].filter(name => locals.get(name)! <= MOST_LOCALS);
  if (small.length === locals.size) {
    module.runPasses(passes);
    return;
  }
  for (const pass of passes) {
    if (pass !== COALESCE) module.runPasses([pass]);
    else for (const name of small.filter(each => module.getFunction(each))) module.runPassesOnFunction(name, [pass]);
  }
}

const featuresOf = ({ relaxed, team }: ModulePlan): number =>
  features | (relaxed ? binaryen.Features.RelaxedSIMD : 0) | (team ? binaryen.Features.Atomics : 0);

function addMemory(module: binaryen.Module, { memoryBytes, team }: ModulePlan): void {
  if (team) {
    module.setMemory(Math.ceil(Number(memoryBytes) / PAGE), MOST_PAGES, null, [], true);
    module.addMemoryImport('0', 'env', 'memory', true);
    return;
  }
  if (memoryBytes === 'imported') {
    module.setMemory(0, -1);
    module.addMemoryImport('0', 'env', 'memory');
    return;
  }
  const pages = Math.ceil(memoryBytes / PAGE);
  module.setMemory(pages, pages, 'memory');
}

/** The functions, and the internal ones they call, and the ones those call. */
function withHelpers(functions: ReadonlyMap<string, EmittedFunction>): Map<string, EmittedFunction> {
  const all = new Map(functions);
  for (const emitted of all.values()) {
    for (const [name, helper] of emitted.helpers) if (!all.has(name)) all.set(name, emitHelper(helper));
  }
  return all;
}

function addEntry(module: binaryen.Module, name: string, steps: readonly EntryStep[]): void {
  const builder = new StepBuilder(module);
  const body = builder.block(steps);
  const internal = `entry.${name}`;
  module.addFunction(internal, binaryen.none, binaryen.none, builder.locals, body);
  module.addFunctionExport(internal, name);
}
