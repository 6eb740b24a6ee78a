/** `scan`: a loop over the first dim of tensors, as JAX's `lax.scan` (Bradbury et al., 2018). */
import { fail } from '../../errors.js';
import { sliced } from '../../ir/control.js';
import { formatType } from '../../ir/graph.js';
import { full } from '../../ops/define.js';
import { stack } from '../../ops/shape.js';
import { type Tensor, withExecutor } from '../../ops/tensor.js';
import { Trace } from '../../trace/trace.js';
import { checkSame, contentsNow, currentTrace, joinBodies, traceBody, writeBack } from './body.js';
import { callControl } from './call.js';
import { type Flat, flatten, type Tree } from './tree.js';

export interface ScanOptions {
  /** Number of steps; needed only where `xs` holds no tensor. */
  readonly length?: number;
  /** From the last slice to the first; `ys` keep the order of `xs`. */
  readonly reverse?: boolean;
}

type Step<C extends Tree, X extends Tree, Y extends Tree> = (carry: C, x: X) => readonly [carry: C, y: Y];

/**
 * A loop that carries values from step to step:
 *
 *   let carry = init;
 *   for (t of steps) [carry, ys[t]] = f(carry, xs[t]);
 *   return [carry, ys];
 *
 * `init`, `xs` and what `f` returns are trees: tensors, or arrays and objects of them, or null. `xs` are sliced along dim 0,
 * [length, …] -> […]; the `y` of all steps are stacked, […] -> [length, …]. The carry keeps its form, shapes and dtypes.
 * Compiled it is one loop, whatever the length, and so is its gradient; `f` runs once, while it is traced, and may use any
 * tensor around it. Memory around it that `f` changes in place is carried, too. Throws E107 where the carry changes its type
 * or lengths differ, E110 for what is no tree, E304 where `f` changes an argument in place, or memory that it sees through
 * two tensors.
 */
export function scan<C extends Tree, X extends Tree, Y extends Tree>(
  f: Step<C, X, Y>,
  init: C,
  xs: X,
  options: ScanOptions = {},
): [carry: C, ys: Y] {
  const carry = flatten('scan', 'init', init);
  const slices = flatten('scan', 'xs', xs);
  const length = lengthOf(slices.tensors, options.length);
  const reverse = options.reverse ?? false;
  const trace = currentTrace();
  return trace === null
    ? runSteps(f, carry, slices, length, reverse)
    : traceSteps(trace, f, carry, slices, length, reverse);
}

function lengthOf(xs: readonly Tensor[], given: number | undefined): number {
  const flat = xs.find(({ ndim }) => ndim === 0);
  if (flat)
    fail('E107', { op: 'scan', problem: `xs holds a ${formatType(flat.type)}, which has no dim 0 to be sliced along` });
  const lengths = [...new Set([...xs.map(({ shape }) => shape[0]), ...(given === undefined ? [] : [given])])];
  if (lengths.length === 1 && Number.isInteger(lengths[0]) && lengths[0] >= 0) return lengths[0];
  return fail('E107', {
    op: 'scan',
    problem:
      lengths.length === 0
        ? 'the number of steps is not known: xs holds no tensor'
        : `the number of steps is not clear: ${lengths.join(', ')}`,
    hint: 'all tensors of xs must have the same size along dim 0, and options.length, if given, is that size',
  });
}

/** What one step gives, checked. */
function stepped<C extends Tree, X extends Tree, Y extends Tree>(
  f: Step<C, X, Y>,
  carry: Flat<C>,
  args: readonly [carry: C, x: X],
): { carry: Flat<C>; y: Flat<Y> } {
  const given = f(...args) as unknown;
  if (!Array.isArray(given) || given.length !== 2)
    fail('E110', { op: 'scan', problem: 'the function must return [carry, y]', hint: 'y may be null' });
  const [next, y] = given as [C, Y];
  const flat = flatten('scan', 'the carry', next);
  checkSame(
    'scan',
    'the carry that the function returns',
    flat,
    carry,
    'a carry has the same form, shapes and dtypes before and after each step: start it as it will be, or convert it',
  );
  return { carry: flat, y: flatten('scan', 'y', y) };
}

function runSteps<C extends Tree, X extends Tree, Y extends Tree>(
  f: Step<C, X, Y>,
  init: Flat<C>,
  xs: Flat<X>,
  length: number,
  reverse: boolean,
): [C, Y] {
  let carry = init;
  const ys: Flat<Y>[] = [];
  for (let step = 0; step < length; step++) {
    const t = reverse ? length - 1 - step : step;
    const x = xs.rebuild(xs.tensors.map(tensor => tensor.select(0, t)));
    const made = stepped(f, init, [carry.rebuild(carry.tensors), x]);
    carry = made.carry;
    ys[t] = made.y;
  }
  const [first] = ys;
  if (first === undefined) return emptyRun(f, init, xs);
  for (const y of ys) checkSame('scan', 'what the function returns for y', y, first, 'y is the same at every step');
  const stacked = first.tensors.map((_, i) => stack(ys.map(y => y.tensors[i])));
  return [carry.rebuild(carry.tensors), first.rebuild(stacked)];
}

/** No step: the form of ys is that of a step that is only traced, so that memory it would change stays as it is. */
function emptyRun<C extends Tree, X extends Tree, Y extends Tree>(
  f: Step<C, X, Y>,
  init: Flat<C>,
  xs: Flat<X>,
): [C, Y] {
  const trace = new Trace('scan');
  const carry = init.tensors.map(({ type }, i) => trace.input(`carry.${i}`, type));
  const slices = xs.tensors.map(({ type }, i) => trace.input(`slice.${i}`, sliced(type)));
  const { y } = withExecutor(trace, () => stepped(f, init, [init.rebuild(carry), xs.rebuild(slices)]));
  return withoutSteps(init, y);
}

const withoutSteps = <C extends Tree, Y extends Tree>(init: Flat<C>, y: Flat<Y>): [C, Y] => [
  init.rebuild(init.tensors),
  y.rebuild(y.tensors.map(({ shape, dtype }) => full([0, ...shape], 0, { dtype }))),
];

function traceSteps<C extends Tree, X extends Tree, Y extends Tree>(
  trace: Trace,
  f: Step<C, X, Y>,
  init: Flat<C>,
  xs: Flat<X>,
  length: number,
  reverse: boolean,
): [C, Y] {
  const carries = init.tensors.length;
  const args = [
    ...init.tensors.map(({ type }, i) => ({ name: `carry.${i}`, type, role: 'state' as const })),
    ...xs.tensors.map(({ type }, i) => ({ name: `slice.${i}`, type: sliced(type), role: 'input' as const })),
  ];
  let y: Flat<Y> | null = null;
  const body = traceBody('scan', trace, args, inputs => {
    const step = stepped(f, init, [init.rebuild(inputs.slice(0, carries)), xs.rebuild(inputs.slice(carries))]);
    y = step.y;
    return [...step.carry.tensors, ...step.y.tensors];
  });
  // as eagerly: a loop would have gradients, zeros, for what it captures
  if (length === 0) return withoutSteps(init, y!);
  const { captures, changed, graphs } = joinBodies([body], ['carry']);
  const attrs = { captures: captures.length, carries: changed.length + carries, length, reverse };
  const inputs = [...captures, ...changed.map(contentsNow), ...init.tensors, ...xs.tensors];
  const values = callControl({ op: 'scan', attrs, bodies: graphs }, inputs);
  writeBack(changed, values);
  const own = values.slice(changed.length);
  return [init.rebuild(own.slice(0, carries)), y!.rebuild(own.slice(carries))] as [C, Y];
}
