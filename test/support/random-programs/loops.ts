/** Steps that are loops and branches, with random blocks as their bodies. */
import * as g from 'gradc';
import { SampleTensor } from '../../../compiler/ops/samples.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';
import { makeTensor } from '../op-samples.js';
import { type Growth, ofType } from './growth.js';
import { around, continuing, exampleOf, type Grow, loopType, made, parts, shapes } from './inside.js';
import { adapted, bounded, type Kind, type Step } from './program.js';

/** A loop in a loop is short, as all its steps run eagerly as well. */
const lengthOf = ({ random, taste }: Growth): number => random.of(taste.depth > 1 ? [0, 1, 2, 3, 5] : [0, 1, 2]);

export function drawScan(growth: Growth, grow: Grow): Step {
  const { random } = growth;
  const length = lengthOf(growth);
  const carries = random.list(random.below(3), () => growth.smallSource(random.of(shapes), loopType(growth)));
  const slices = random.list(random.below(carries.length === 0 ? 2 : 3) + Number(carries.length === 0), () =>
    growth.smallSource([length, ...random.of(shapes)], loopType(growth)),
  );
  const captured = around(growth);
  const examples = [
    ...carries.map(source => exampleOf(growth, source)),
    ...slices.map(source => sliceOf(exampleOf(growth, source))),
    ...captured.map(({ value }) => growth.at(value)),
  ];
  const sources = [...carries, ...slices, ...captured];
  const body = growth.inner(sources, examples);
  grow(body, 1 + random.below(3));
  const next = carries.map((_, i) => continuing(body, i));
  const { block, fresh } = body.finish([...next, ...made(body)]);
  const outputs = block.results.length;
  const reverse = random.chance(0.3);
  const shape = { carries: carries.length, slices: slices.length, length, reverse, output: random.below(outputs) };
  return { kind: scanKind(shape), sources: [...sources, ...fresh.map(growth.input, growth)], bodies: [block] };
}

interface ScanShape {
  readonly carries: number;
  readonly slices: number;
  readonly length: number;
  readonly reverse: boolean;
  readonly output: number;
}

const scanKind = ({ carries, slices, length, reverse, output }: ScanShape): Kind => ({
  name: 'scan',
  run(given, [body]) {
    const [init, xs, around] = parts(given, carries, slices);
    const step = (carry: Tensor[], x: Tensor[]): [Tensor[], Tensor[]] => {
      const results = body([...carry, ...x, ...around]);
      return [carry.map((now, i) => adapted(results[i], bounded(now))), results.slice(carries)];
    };
    return g.scan(step, init, xs, { length, reverse }).flat()[output];
  },
  text(given) {
    const [init, xs, around] = parts(given, carries, slices).map(list => list.join(', '));
    return `scan(carry ${init}; slices ${xs}; around ${around}; length ${length}${reverse ? ' reverse' : ''})[${output}]`;
  },
});

const sliceOf = (stacked: Tensor): Tensor =>
  stacked.shape[0] > 0 ? stacked.select(0, 0) : g.zeros(stacked.shape.slice(1), { dtype: stacked.dtype });

export function drawWhile(growth: Growth, grow: Grow): Step {
  const { random } = growth;
  const limit = growth.input(makeTensor('int64', [], [lengthOf(growth)]));
  const carries = random.list(1 + random.below(2), () => growth.smallSource(random.of(shapes), loopType(growth)));
  const captured = around(growth);
  const sources = [limit, ...carries, ...captured];
  const examples = sources.map(source => exampleOf(growth, source));
  const body = growth.inner(sources, examples);
  grow(body, 1 + random.below(2));
  const { block, fresh } = body.finish(carries.map((_, i) => continuing(body, i + 1)));
  const kind = whileKind(carries.length, random.below(carries.length));
  return { kind, sources: [...sources, ...fresh.map(growth.input, growth)], bodies: [block] };
}

/** What is given twice stays one tensor: a compiled body changes no memory that it also sees through another (E304). */
function detached(given: readonly Tensor[]): Tensor[] {
  const once = new Map(given.map(value => [value, value.detach()]));
  return given.map(value => once.get(value)!);
}

/** So often as the first source says; it has no derivative. */
const whileKind = (carries: number, output: number): Kind => ({
  name: 'whileLoop',
  run(given, [body]) {
    const [[limit], init, around] = parts(detached(given), 1, carries);
    const [last] = g.whileLoop(
      ([, count]: [Tensor[], Tensor]) => count.lt(limit),
      ([carry, count]): [Tensor[], Tensor] => {
        const results = body([limit, ...carry, ...around]);
        return [carry.map((now, i) => adapted(results[i], bounded(now)).detach()), count.add(1)];
      },
      [init, limit.zerosLike()],
    );
    return last[output];
  },
  text(given) {
    const [limit, init, around] = parts(given, 1, carries).map(list => list.join(', '));
    return `whileLoop(${limit} times; carry ${init}; around ${around})[${output}]`;
  },
});

export function drawCond(growth: Growth, grow: Grow): Step {
  const { random } = growth;
  const captured = around(growth);
  const sources = [growth.source(ofType([], 'bool'), () => random.tensor('bool', [])), ...captured];
  const examples = sources.map(source => exampleOf(growth, source));
  const fresh: Tensor[] = [];
  const blocks = random.list(2, () => {
    const side = growth.inner(sources, [...examples, ...fresh]);
    grow(side, 1 + random.below(2));
    const grown = side.finish(made(side).slice(-1));
    fresh.push(...grown.fresh);
    return grown.block;
  });
  const kind = condKind(new SampleTensor(random.of(shapes), -2, 2, loopType(growth), null));
  return { kind, sources: [...sources, ...fresh.map(growth.input, growth)], bodies: blocks };
}

/** Both sides are given what either needs, and brought to one type. */
const condKind = (as: SampleTensor): Kind => ({
  name: 'cond',
  run: ([predicate, ...rest], sides) =>
    g.cond(
      predicate,
      ...(sides.map(side => () => adapted(side([predicate, ...rest])[0], as)) as [() => Tensor, () => Tensor]),
    ),
  text: ([predicate, ...rest]) => `cond(${predicate}; around ${rest.join(', ')}) as ${as.dtype}[${as.shape}]`,
});
