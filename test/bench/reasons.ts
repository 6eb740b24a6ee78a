/** Why a kernel stays below its roofline, as far as its form and the estimate of its schedule tell. */
import { tileContractions } from '../../backends/wasm/contraction.js';
import type { Plan } from '../../backends/wasm/operand.js';
import { costOf, type Limits, leastMs } from '../../compiler/cli/bench/cost.js';
import { bytesOf, isFloat } from '../../compiler/ir/dtype.js';
import { type Expr, expressionsOf, type Kernel, type Stmt, walkExpr, walkStmts } from '../../compiler/ir/kernel.js';

/** From here on a kernel is as fast as it should be. */
const goodPart = 0.8;

/** Calling a function from JavaScript, and filling and emptying its loops: milliseconds that no roofline knows of. */
const startMs = 1e-3;

/** Null for a kernel that is good. */
export function reasonFor(kernel: Kernel, limits: Limits, minMs: number): string | null {
  const isGood = (ms: number): boolean => ms / minMs >= goodPart;
  const least = leastMs(limits);
  const { arithmetic, functions, memory } = limits;
  if (isGood(least)) return null;
  if (isGood(least + startMs)) return `short: the call and the ends of its loops are part of ${microseconds(minMs)}`;
  if (isGood(arithmetic + functions + memory))
    return 'computing and moving take about as long and do not overlap in full';
  return (
    gathers(kernel) ??
    wideElements(kernel) ??
    (memory > arithmetic + functions ? displaced(kernel) : null) ??
    tiles(kernel) ??
    choices(kernel) ??
    (functions > arithmetic ? 'its functions were measured alone, with all registers to themselves' : null) ??
    edges(kernel) ??
    shortSums(kernel) ??
    'nothing in its form says why'
  );
}

const microseconds = (ms: number): string => `${(1000 * ms).toFixed(1)} µs`;
const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;

function contains(root: Expr, isWanted: (part: Expr) => boolean): boolean {
  let found = false;
  walkExpr(root, part => {
    found ||= isWanted(part);
  });
  return found;
}

function statementsOf({ body }: Kernel): Stmt[] {
  const all: Stmt[] = [];
  walkStmts(body, stmt => all.push(stmt));
  return all;
}

function gathers(kernel: Kernel): string | null {
  const jumps = (index: Expr): boolean => contains(index, part => part.kind === 'load');
  const found = statementsOf(kernel).some(
    stmt =>
      ((stmt.kind === 'store' || stmt.kind === 'reduce') && jumps(stmt.index)) ||
      expressionsOf(stmt).some(expr => contains(expr, part => part.kind === 'load' && jumps(part.index))),
  );
  return found ? 'which element is next is in the data, so they come one at a time' : null;
}

/** Not where only a step count or a rate is wide. */
function wideElements({ params }: Kernel): string | null {
  const elements = params.reduce((sum, { buffer }) => sum + buffer.size, 0);
  const wide = params.find(({ buffer }) => bytesOf(buffer.dtype) === 8 && buffer.size >= elements / 8);
  return wide === undefined ? null : `elements of ${wide.buffer.dtype} are computed one at a time`;
}

/** Profiled on a last layer, of 2 MB: 0.03 ms alone and 0.09 among others. */
function displaced({ params }: Kernel): string | null {
  const bytes = params.reduce((sum, { buffer }) => sum + buffer.size * bytesOf(buffer.dtype), 0);
  return bytes > 1 << 20
    ? `its ${(bytes / 2 ** 20).toFixed(1)} MB come from further than the second cache, which other kernels have filled`
    : null;
}

/** Products that a tile makes in a cycle of the estimate, where nothing else takes time. */
const vectorOfProducts = 4;

/** What the schedule of a contraction is estimated to spend on other things than products. */
function tiles(kernel: Kernel): string | null {
  let plan: Plan | null = null;
  const choose = (_: Kernel, __: number, plans: readonly Plan[]): null => {
    [plan] = plans;
    return null;
  };
  tileContractions(1, { choose }).run(kernel, { note: () => {} });
  if (plan === null) return null;
  const { what, cost } = plan as Plan;
  const share = costOf(kernel).flops / 2 / vectorOfProducts / cost;
  return share < 0.9 ? `${what}: by estimate ${percent(1 - share)} for ends of tiles, staging and fetching` : null;
}

/** Comparisons, choices and whole numbers take their time and are no floating point operations. */
function choices(kernel: Kernel): string | null {
  let [floats, others] = [0, 0];
  for (const expr of statementsOf(kernel).flatMap(expressionsOf))
    walkExpr(expr, part => {
      if (part.dtype === 'index' || !['call', 'select', 'cast'].includes(part.kind)) return;
      if (part.kind === 'call' && isFloat(part.dtype)) floats++;
      else others++;
    });
  const share = others / Math.max(1, floats + others);
  return share >= 0.4
    ? `${percent(share)} of its operations compare, choose or convert, which counts for nothing`
    : null;
}

const parallelExtents = (kernel: Kernel): number[] =>
  statementsOf(kernel).flatMap(stmt => (stmt.kind === 'loop' && stmt.map === 'parallel' ? [stmt.iter.extent] : []));

/** What is left of the last loop beyond whole vectors. */
function edges(kernel: Kernel): string | null {
  const extent = parallelExtents(kernel).at(-1) ?? 4;
  const fill = extent / (Math.ceil(extent / 4) * 4);
  return fill < 0.95 ? `rows of ${extent} fill vectors of 4 to ${percent(fill)}` : null;
}

/** Steps of the longest nest of serial loops. */
const termsIn = (stmts: readonly Stmt[]): number =>
  stmts.reduce((most, stmt) => {
    if (stmt.kind !== 'loop' && stmt.kind !== 'alloc') return most;
    const steps = stmt.kind === 'loop' && stmt.map === 'serial' ? stmt.iter.extent : 1;
    return Math.max(most, steps * termsIn(stmt.body));
  }, 1);

function shortSums(kernel: Kernel): string | null {
  const terms = termsIn(kernel.body);
  return terms > 1 && terms <= 256 ? `sums of ${terms} terms: beginning and ending them is part of each` : null;
}
