/**
 * Why a kernel stays below its roofline: what its form is known to take besides operations and bytes, each as a time that can
 * be held against the measured one. The first that agrees with it is the reason; where none does, the nearest is given with
 * the part that it accounts for.
 */
import { tileContractions } from '../../backends/wasm/contraction.js';
import type { Plan } from '../../backends/wasm/operand.js';
import { schedule } from '../../backends/wasm/schedule.js';
import type { Ceilings } from '../../compiler/cli/bench/ceilings.js';
import { costOf, type Limits, leastMs } from '../../compiler/cli/bench/cost.js';
import type { Kernel } from '../../compiler/ir/kernel.js';
import { instructionsOf, instructionsOfCalls } from './instructions.js';

/** From here on a kernel is as fast as it should be. */
const goodPart = 0.8;
/** By so much may what a reason takes differ from what was measured. */
const tolerance = 0.15;

/** Calling a function from JavaScript, and filling and emptying its loops: milliseconds that no roofline knows of. */
const startMs = 1e-3;
/** What they take at most, on a machine that does other things between the calls. */
const longestStartMs = 2 * startMs;

/** What a form takes, in milliseconds, and its name. */
interface Reason {
  readonly what: string;
  readonly ms: number;
}

/** Null for a kernel that is good. */
export function reasonFor(kernel: Kernel, limits: Limits, minMs: number, ceilings: Ceilings): string | null {
  const least = leastMs(limits);
  if (least / minMs >= goodPart) return null;
  if (minMs <= least + longestStartMs)
    return `short: the call, and the ends of its loops, are part of ${microseconds(minMs)}`;
  const reasons = reasonsOf(kernel, limits, ceilings);
  const distance = ({ ms }: Reason): number => Math.abs(ms / minMs - 1);
  const agreed = reasons.find(reason => distance(reason) <= tolerance);
  if (agreed !== undefined) return `${agreed.what}: ${microseconds(agreed.ms)} of ${microseconds(minMs)}`;
  const nearest = reasons.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return `not explained: ${nearest.what}, would be ${microseconds(nearest.ms)} of ${microseconds(minMs)}`;
}

const microseconds = (ms: number): string => `${(1000 * ms).toFixed(1)} µs`;

function reasonsOf(kernel: Kernel, limits: Limits, ceilings: Ceilings): Reason[] {
  const { arithmetic, functions, memory } = limits;
  const far = farMs(kernel, ceilings);
  const work = instructionMs(kernel, ceilings);
  const tile = tileReason(kernel, arithmetic);
  return [
    { what: 'computing and moving, which do not overlap', ms: arithmetic + functions + memory },
    ...(tile === null ? [] : [tile, { what: `${tile.what}; its data from memory`, ms: tile.ms + far }]),
    { what: 'its instructions, 4 in a cycle', ms: work },
    { what: 'its data from memory', ms: far },
    { what: 'computing, and its data from memory', ms: arithmetic + functions + far },
    { what: 'its instructions, and the call', ms: work + startMs },
    { what: 'its instructions, and its data from memory', ms: work + far },
    {
      what: 'its functions at their rate, its other instructions, and its data from memory',
      ms: functions + work - functionInstructionMs(kernel, ceilings) + far,
    },
    { what: 'the call, its instructions, and its data from memory', ms: startMs + work + far },
    { what: 'its instructions, and its data from a cache of its size', ms: work + memory },
  ];
}

/** Where other kernels have filled the caches since the data was there. */
function farMs(kernel: Kernel, { streams }: Ceilings): number {
  const farthest = streams[streams.length - 1].gigabytesPerSecond;
  return costOf(kernel).bytes / farthest / 1e6;
}

/** Operations in a cycle of the arithmetic ceiling: two products and two sums of four. */
const operationsPerCycle = 16;
const instructionsPerCycle = 4;

function instructionMs(kernel: Kernel, ceilings: Ceilings): number {
  const scheduled = schedule.reduce((stage, pass) => pass.run(stage, { note: () => {} }), kernel);
  return msOfInstructions(instructionsOf(scheduled), ceilings);
}

/** What of that is in functions whose rate is measured: most wait for one another's results. */
function functionInstructionMs(kernel: Kernel, ceilings: Ceilings): number {
  const measured = [...costOf(kernel).calls].filter(([fn]) => ceilings.functions[fn] !== undefined);
  const count = measured.reduce((sum, [fn, calls]) => sum + instructionsOfCalls(fn, calls), 0);
  return msOfInstructions(count, ceilings);
}

const msOfInstructions = (count: number, { mulAddGflops }: Ceilings): number =>
  count / instructionsPerCycle / (mulAddGflops / operationsPerCycle) / 1e6;

/** Products that a tile makes in a cycle of the estimate, where nothing else takes time. */
const vectorOfProducts = 4;

/** What the schedule of a contraction is estimated to spend: ends of tiles, staging and fetching besides products. */
function tileReason(kernel: Kernel, arithmetic: number): Reason | null {
  let plan: Plan | null = null;
  const choose = (_: Kernel, __: number, plans: readonly Plan[]): null => {
    [plan] = plans;
    return null;
  };
  tileContractions(1, { choose }).run(kernel, { note: () => {} });
  if (plan === null) return null;
  const { what, cost } = plan as Plan;
  return { what: `${what}, as estimated`, ms: (arithmetic * vectorOfProducts * cost) / (costOf(kernel).flops / 2) };
}
