/** Steps that change memory in place through views of it: a copy of an earlier value, or state itself. */
import { noGrad } from '../../../compiler/ops/tape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import type { Growth, Random } from './growth.js';
import { bounded, type Kind, type Step } from './program.js';

/** A way to look at a tensor. */
interface View {
  readonly text: string;
  readonly of: (tensor: Tensor) => Tensor;
}

export function drawWrite(growth: Growth): Step | null {
  const { random, state } = growth;
  const onState = state.length > 0 && random.chance(0.4);
  const candidates = onState ? state : growth.numbers;
  if (candidates.length === 0) return null;
  const memory = random.of(candidates);
  const example = growth.at(memory);
  const target = randomView(random, example);
  const change = random.of(changes);
  const value = growth.source(bounded(target.of(example)));
  const kind = onState ? stateKind(target, change) : copyKind(target, change, randomView(random, example));
  return { kind, sources: [{ value: memory, as: null }, value], bodies: [] };
}

interface Change {
  readonly name: string;
  readonly to: (target: Tensor, value: Tensor) => Tensor;
}
const changes: readonly Change[] = [
  { name: 'copy_', to: (target, value) => target.copy_(value) },
  { name: 'add_', to: (target, value) => target.add_(value) },
  { name: 'sub_', to: (target, value) => target.sub_(value, { alpha: 2 }) },
  { name: 'mul_', to: (target, value) => target.mul_(value) },
  { name: 'fill_', to: target => target.fill_(1) },
  { name: 'neg_', to: target => target.neg_() },
  { name: 'maskedFill_', to: (target, value) => target.maskedFill_(value.gt(3), 2) },
];

/** What a view of the copy sees that was taken before the copy changed. */
const copyKind = (target: View, { name, to }: Change, seen: View): Kind => ({
  name,
  run([memory, value]) {
    const copy = memory.clone();
    const before = seen.of(copy);
    to(target.of(copy), value);
    return before;
  },
  text: ([memory, value]) => `(copy of ${memory})${target.text}.${name}(${value}), seen as copy${seen.text}`,
});

const stateKind = (target: View, { name, to }: Change): Kind => ({
  name,
  writes: true,
  run([memory, value]) {
    noGrad(() => to(target.of(memory), value));
    return memory.clone();
  },
  text: ([memory, value]) => `${memory}${target.text}.${name}(${value}), in place`,
});

/** Up to three views, one of the other. */
function randomView(random: Random, tensor: Tensor): View {
  const path: View[] = [];
  let seen = tensor;
  for (let i = random.below(4); i > 0; i--) {
    const view = viewOf(random, seen);
    path.push(view);
    seen = view.of(seen);
  }
  return {
    text: path.map(({ text }) => text).join(''),
    of: whole => path.reduce((part, view) => view.of(part), whole),
  };
}

function viewOf(random: Random, { shape }: Tensor): View {
  const rank = shape.length;
  if (rank === 0) return { text: '.unsqueeze(0)', of: tensor => tensor.unsqueeze(0) };
  const dim = random.below(rank);
  const other = random.below(rank);
  const size = shape[dim];
  const views: View[] = [
    { text: `.transpose(${dim}, ${other})`, of: tensor => tensor.transpose(dim, other) },
    { text: `.unsqueeze(${dim})`, of: tensor => tensor.unsqueeze(dim) },
    { text: '.squeeze()', of: tensor => tensor.squeeze() },
  ];
  const step = 1 + random.below(2);
  const start = random.below(size + 1);
  const end = start + random.below(size + 1 - start);
  views.push({ text: `.slice(${dim}, ${start}, ${end}, ${step})`, of: tensor => tensor.slice(dim, start, end, step) });
  const index = random.below(size);
  if (size > 0) views.push({ text: `.select(${dim}, ${index})`, of: tensor => tensor.select(dim, index) });
  if (dim !== other)
    views.push({ text: `.diagonal(0, ${dim}, ${other})`, of: tensor => tensor.diagonal(0, dim, other) });
  return random.of(views);
}
