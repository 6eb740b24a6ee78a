/** Steps that take a derivative of a random block: with those of the whole program, derivatives of higher orders. */
import * as g from 'gradc';
import type { Growth } from './growth.js';
import { around, exampleOf, type Grow, made, parts, shapes } from './inside.js';
import { type Kind, type Step, sumOfSquares } from './program.js';

export function drawDerivative(growth: Growth, grow: Grow): Step {
  const { random } = growth;
  const variables = random.list(1 + random.below(2), () => growth.smallSource(random.of(shapes), 'float32'));
  const sources = [...variables, ...around(growth)];
  const body = growth.inner(
    sources,
    sources.map(source => exampleOf(growth, source)),
    { writes: false },
  );
  grow(body, 1 + random.below(3));
  const { block, fresh } = body.finish(made(body));
  const kind = random.of([gradientKind, productKind])(variables.length, random.below(variables.length));
  return { kind, sources: [...sources, ...fresh.map(growth.input, growth)], bodies: [block] };
}

type Derivative = (variables: number, output: number) => Kind;

const gradientKind: Derivative = (variables, output) => ({
  name: 'vjp',
  run(given, [body]) {
    const [xs, around] = parts(given, variables, given.length);
    return g.vjp((...leaves) => sumOfSquares(body([...leaves, ...around])), xs, null, { createGraph: true })[1][output];
  },
  text: given => `gradient by ${given[output]} of the squares of the results on (${given.join(', ')})`,
});

/** Along ones. */
const productKind: Derivative = variables => ({
  name: 'jvp',
  run(given, [body]) {
    const [xs, around] = parts(given, variables, given.length);
    const ones = xs.map(x => x.onesLike());
    return g.jvp((...leaves) => sumOfSquares(body([...leaves, ...around])), xs, ones, { createGraph: true })[1];
  },
  text: given =>
    `derivative along ${given.slice(0, variables).join(', ')} of the squares of the results on (${given.join(', ')})`,
});
