/**
 * About how many cycles statements take on one thread: enough to tell what is worth dividing among threads from what is
 * not. Memory is taken to keep up; a vector is taken to cost what one element does.
 */
import { type Expr, expressionsOf, type Stmt, walkExpr } from '../../compiler/ir/kernel.js';
import { LANES } from './emit-vector.js';
import { scalar } from './scalar.js';

/** Of simple instructions several run at once: measured on the tiles of contractions and on plain pointwise loops. */
const SIMPLE = 0.15;
/** An iteration of a loop besides its work, a function of many instructions, and a quotient of indices. */
export const LOOP = 1;
const LONG_FUNCTION = 10;
const DIVISION = 2;

export const workOf = (stmts: readonly Stmt[]): number => stmts.reduce((sum, stmt) => sum + work(stmt), 0);

function work(stmt: Stmt): number {
  const own = expressionsOf(stmt).reduce((sum, expr) => sum + cost(expr), 0);
  switch (stmt.kind) {
    case 'loop':
      return own + times(stmt) * workOf(stmt.body) + (isCounted(stmt) ? LOOP * stmt.iter.extent : 0);
    case 'store':
    case 'reduce':
    case 'allreduce':
      return own + SIMPLE;
    case 'if':
      return own + Math.max(workOf(stmt.then), workOf(stmt.otherwise));
    case 'alloc':
      return workOf(stmt.body);
    case 'barrier':
      return 0;
    default:
      return stmt satisfies never;
  }
}

type Loop = Extract<Stmt, { kind: 'loop' }>;
const isCounted = ({ map }: Loop): boolean => map !== 'vector' && map !== 'unroll';
const times = ({ map, iter }: Loop): number => (map === 'vector' && iter.extent === LANES ? 1 : iter.extent);

/** Sums of counters are addresses, which cost nothing. */
function cost(root: Expr): number {
  let sum = 0;
  walkExpr(root, expr => {
    if (expr.kind === 'load' || expr.kind === 'select' || expr.kind === 'cast') sum += SIMPLE;
    if (expr.kind !== 'call') return;
    if (expr.dtype === 'index') sum += expr.fn === 'floorDiv' || expr.fn === 'mod' ? DIVISION : 0;
    else sum += scalar[expr.fn].scalar(expr.dtype)?.kind === 'instruction' ? SIMPLE : LONG_FUNCTION;
  });
  return sum;
}
