/**
 * A part of a body that has one gradient as a whole: a checkpointed function, a module with backward hooks.
 *
 * The part becomes a graph, which runs in its place; its derivative is another graph, made of the first by the op table and
 * handed on with the values. Elsewhere than in bodies the tape does this, op by op.
 */
import { fail } from '../../errors.js';
import { isFloat } from '../../ir/dtype.js';
import { formatType } from '../../ir/graph.js';
import { settled } from '../../ops/presence.js';
import { philoxState } from '../../ops/random.js';
import { requiresGrad } from '../../ops/tape.js';
import type { Tensor } from '../../ops/tensor.js';
import { type BodyTrace, contentsNow, type Gradients, joinBodies, traceBody, writeBack } from './body.js';
import { backwardSide, callControl, recordTogether } from './call.js';
import { replay } from './replay.js';
import { type Flat, flatten, type Tree } from './tree.js';

export interface RegionGradient {
  /** Compute in the derivative what the part computes anew, and keep none of it. */
  readonly anew: boolean;
  /** From the gradients of the values and those of `inputs` to what goes to the inputs. */
  readonly change?: (incoming: Gradients, found: readonly RegionInput[]) => Gradients;
}
export interface RegionInput {
  /** What the part uses from around it. */
  readonly tensor: Tensor;
  readonly grad: Tensor;
}

/** Run `fn` as such a part of `body`. Throws E110 unless it returns a tree of tensors. */
export function differentiatedAsOne<R extends Tree>(
  body: BodyTrace,
  op: string,
  fn: () => R,
  { anew, change }: RegionGradient,
): R {
  let form: Flat<R> | null = null;
  const traced = traceBody(op, body, [], () => {
    form = flatten(op, 'the result', fn());
    return form.tensors;
  });
  const { tensors, rebuild } = form! as Flat<R>;
  const { captures, changed, graphs } = joinBodies([traced], ['result']);
  if (anew) onlyRandom(op, changed);
  const [graph] = graphs;
  const inputs = [...captures, ...changed.map(contentsNow)];
  const outputs = body.unseen(() => {
    const valueOf = replay(graph, inputs, callControl);
    return graph.results.map(({ node }) => body.tensorOf(body.nodeOf(valueOf(node))));
  });
  writeBack(changed, outputs.slice(tensors.length));
  const floats = tensors.flatMap(({ dtype }, i) => (isFloat(dtype) ? [i] : []));
  const wanted = inputs.flatMap((input, i) => (requiresGrad(input) ? [i] : []));
  if (floats.length === 0 || wanted.length === 0) return rebuild(outputs.slice(0, tensors.length));
  const back = backwardSide(graph, floats, wanted, anew);
  const pull = (grads: readonly Tensor[]): Gradients => {
    const valueOf = replay(back, [...inputs, ...grads], callControl);
    const found = wanted.map((i, r) => ({ tensor: inputs[i], grad: valueOf(back.results[r].node) }));
    return change === undefined ? found.map(({ grad }) => grad) : change(grads, found);
  };
  const args = wanted.map(i => inputs[i]);
  const marked = body.withGradient(
    floats.map(i => outputs[i]),
    args,
    pull,
  );
  recordTogether(`${op}Backward`, args, marked, grads =>
    pull(marked.map((value, i) => (grads[i] ? settled(grads[i]) : value.detach().zerosLike()))),
  );
  return rebuild(tensors.map((_, i) => (floats.includes(i) ? marked[floats.indexOf(i)] : outputs[i])));
}

/** Run again, it would change that again; and a loop whose gradient is taken must not run otherwise than one whose is not. */
function onlyRandom(op: string, changed: readonly Tensor[]): void {
  const other = changed.find(tensor => tensor !== philoxState());
  if (other)
    fail('E304', {
      problem: `a function under ${op}, in a loop or branch, changes a ${formatType(other.type)} from outside in place`,
      hint: 'return the new value, and carry it; or put running statistics into evaluation mode',
    });
}
