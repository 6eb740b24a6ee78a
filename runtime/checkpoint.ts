/**
 * Gradient checkpointing: what a function computes on its way is not kept for its gradient, but computed again there.
 *
 * Chen et al., "Training deep nets with sublinear memory cost" (2016). How the tape lets go and asks again is in
 * `compiler/ops/saved.ts`; what is done here is that the second run draws the random numbers of the first.
 */
import { currentBody, currentTrace } from '../compiler/autodiff/control/body.js';
import { differentiatedAsOne } from '../compiler/autodiff/control/region.js';
import type { Tree } from '../compiler/autodiff/control/tree.js';
import { fail } from '../compiler/errors.js';
import { philoxState } from '../compiler/ops/random.js';
import { keep, recomputedRegion } from '../compiler/ops/saved.js';
import { enableGrad, isGradEnabled, noGrad } from '../compiler/ops/tape.js';
import { Tensor } from '../compiler/ops/tensor.js';
import { defaultGenerator } from './generator.js';
import type { Module } from './nn/module.js';

/**
 * `fn(...args)`, of whose intermediate results none is kept for the gradient: `backward()` runs `fn` once more. That costs its
 * time again and saves its memory. As PyTorch's `torch.utils.checkpoint.checkpoint` with `use_reentrant=False`:
 *
 *   for (const block of this.blocks) x = checkpoint(input => block.forward(input), x);
 *
 * Arguments, results and whatever `fn` uses from around it may be anything; parameters that it uses get their gradients. It
 * must do the same when it runs again; the random numbers it draws are the same. What it changes in place outside (running
 * statistics) is changed again when it runs again. Compiled, the program computes the intermediate results again, as late as
 * it can, and its memory plan has no room for them in between; in the body of a `scan`, the loop stacks what `fn` is given,
 * not what it computes. In a loop or branch of an entry, `fn` returns tensors, or arrays and objects of them, and changes
 * nothing outside. Regions may be nested, and gradients of gradients taken. Throws in `backward()`: E204 where an argument
 * has been changed in place since, E207 where the second run is unlike the first.
 */
export function checkpoint<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): R {
  if (!isGradEnabled()) return fn(...args);
  const body = currentBody();
  if (body !== null) return differentiatedAsOne(body, 'checkpoint', () => fn(...args) as Tree, { anew: true }) as R;
  const given = args.filter(arg => arg instanceof Tensor).map(keep);
  const again = repeated(() => {
    for (const [i, saved] of given.entries()) saved.read('checkpoint', i, null);
    fn(...args);
  });
  return recomputedRegion(() => fn(...args), again);
}

/** The same again, from the random state that is there now. */
function repeated(fn: () => unknown): () => void {
  const rewind = randomState();
  return () => {
    const back = randomState();
    rewind();
    try {
      enableGrad(fn);
    } finally {
      back();
    }
  };
}

/** A function that takes all random numbers back to where they are now. */
function randomState(): () => void {
  const generator = defaultGenerator.mark();
  const counter = counterState();
  return () => {
    generator();
    counter();
  };
}

function counterState(): () => void {
  const state = philoxState();
  const trace = currentTrace();
  if (trace !== null) return trace.mark(state);
  const now = noGrad(() => state.clone());
  return () => void noGrad(() => state.copy_(now));
}

type Layer = Module & { forward(input: Tensor): Tensor };

/**
 * Layers one after another, in `segments` parts of equal length (the last takes what is left over), of which all but the last
 * are checkpointed: `functions` is a `Sequential`, or a list of modules or functions. As
 * `torch.utils.checkpoint.checkpoint_sequential`. Throws E110 unless there are 1 to as many segments as layers.
 */
export function checkpointSequential(
  functions: Iterable<Layer | ((input: Tensor) => Tensor)>,
  segments: number,
  input: Tensor,
): Tensor {
  const layers = [...functions].map(layer =>
    typeof layer === 'function' ? layer : (x: Tensor): Tensor => layer.forward(x),
  );
  if (!(Number.isInteger(segments) && segments >= 1 && segments <= layers.length))
    fail('E110', {
      op: 'checkpointSequential',
      problem: `${layers.length} layers make no ${segments} segments`,
      hint: 'the number of segments is a whole number from 1 to the number of layers',
    });
  const size = Math.floor(layers.length / segments);
  const run = (part: typeof layers) => (x: Tensor) => part.reduce((value, layer) => layer(value), x);
  let value = input;
  for (let start = 0; start < size * (segments - 1); start += size)
    value = checkpoint(run(layers.slice(start, start + size)), value);
  return run(layers.slice(size * (segments - 1)))(value);
}
