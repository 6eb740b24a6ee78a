/**
 * `compare`: the rule of acceptance, and the search for a fault: passes are broken on purpose, and the first divergent node,
 * the pass and a reproduction must be found.
 */
import { defineModel, entry, fromTypedArray, input, manualSeed, nn, optim, scan, type Tensor } from 'gradc';
import { compareModel } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { variants } from '../compiler/cli/choices.js';
import { accuracyOf } from '../compiler/cli/compare/accuracy.js';
import { checkCompiled } from '../compiler/cli/compare/check.js';
import { noiseOf } from '../compiler/cli/compare/noise.js';
import { parseRepro } from '../compiler/cli/compare/repro.js';
import { evaluateExactly, toFloat64 } from '../compiler/cli/compare/values.js';
import { isRunnable } from '../compiler/cli/compare/variants.js';
import { randomInputs, uniformNumbers } from '../compiler/cli/random-inputs.js';
import { parseGraph } from '../compiler/ir/text.js';
import { gpt } from '../examples/zoo/gpt.model.js';
import { type Fault, faultsAt } from './support/faults.js';

const floats = (...values: number[]): Float32Array => Float32Array.from(values);
const none = (): readonly Float32Array[] => [];

describe('a compiled tensor is accepted', () => {
  const dtype = 'float32' as const;
  const strict = { rtol: 0, atol: 1e-3 };

  test('up to twice the error of eager, and the floor', () => {
    const exact = Float64Array.of(1, 2);
    const noise = (): Float64Array[] => [Float64Array.of(0.75, 2)];
    const judge = (compiled: number): boolean =>
      accuracyOf({ dtype, eager: floats(1.25, 2), compiled: floats(compiled, 2), exact, noise }, strict).agrees;
    expect([1, 1.5, 0.5].map(judge)).toEqual([true, true, true]);
    expect([1.5078125, 0.4921875].map(judge)).toEqual([false, false]);
  });

  test('only beside eager where eager is further from the oracle than rounding explains', () => {
    const tensors = { dtype, eager: floats(2), exact: Float64Array.of(1), noise: () => [Float64Array.of(1.0001)] };
    expect(accuracyOf({ ...tensors, compiled: floats(1) }, strict).agrees).toBe(false);
    expect(accuracyOf({ ...tensors, compiled: floats(2) }, strict).agrees).toBe(true);
  });

  test('where rounding alone moves it as far', () => {
    const tensors = { dtype, eager: floats(0.25), compiled: floats(-1), exact: Float64Array.of(0) };
    const noise = (): Float64Array[] => [Float64Array.of(0.01), Float64Array.of(0.75)];
    expect(accuracyOf({ ...tensors, noise: none }, strict)).toMatchObject({ agrees: false, noise: false });
    expect(accuracyOf({ ...tensors, noise }, strict)).toMatchObject({ agrees: true, noise: true });
  });

  test('where it has the same NaN and infinities as eager, or is right', () => {
    const eager = floats(Number.NaN, Number.POSITIVE_INFINITY);
    const exact = Float64Array.of(Number.NaN, 1e39);
    const judge = (...compiled: number[]): boolean =>
      accuracyOf({ dtype, eager, compiled: floats(...compiled), exact, noise: none }, strict).agrees;
    expect(judge(Number.NaN, Number.POSITIVE_INFINITY)).toBe(true);
    expect(judge(1, Number.POSITIVE_INFINITY)).toBe(false);
    expect(judge(Number.NaN, 3e38)).toBe(false);
  });

  test('NaN where rounding makes it, which excuses no other element', () => {
    const tensors = { dtype, eager: floats(1, 1), exact: Float64Array.of(Number.NaN, 1) };
    const noise = (): Float64Array[] => [Float64Array.of(Number.NaN, 1)];
    const judge = (...compiled: number[]): boolean =>
      accuracyOf({ ...tensors, compiled: floats(...compiled), noise }, strict).agrees;
    expect(judge(Number.NaN, 1)).toBe(true);
    expect(judge(1, 2)).toBe(false);
  });

  test('tells errors in units in the last place of the largest element', () => {
    const eager = floats(4, 1);
    const compiled = floats(4 + 2 ** -21, 1);
    const { ulps, relative } = accuracyOf({ dtype, eager, compiled, exact: null, noise: none }, strict);
    expect([ulps, relative]).toEqual([1, 2 ** -23]);
  });
});

test('the key bias of attention under Adam is noise, and is called so', async () => {
  const definition = gpt({ layers: 1, width: 16, heads: 2, time: 9, vocabulary: 24 }, 2);
  const { agrees, oracle, differences } = await compareModel(definition, { steps: 3, integers: 24, measure: false });
  expect(differences.filter(d => !d.agrees)).toEqual([]);
  expect({ agrees, oracle }).toEqual({ agrees: true, oracle: true });
  expect(differences.filter(d => d.noise).map(d => d.name)).toEqual(expect.arrayContaining([]));
});

class Net extends nn.Module {
  first = new nn.Linear(6, 8);
  second = new nn.Linear(8, 4);
  override forward(x: Tensor): Tensor {
    const hidden = F.relu(this.first.forward(x));
    return F.softmax(this.second.forward(hidden.add(hidden.mul(hidden))), 1);
  }
}
const definition = defineModel('faulty', () => {
  manualSeed(3);
  const net = new Net();
  const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
  const weights = fromTypedArray(
    Float32Array.from({ length: 12 }, (_, i) => (i % 5) - 1.5),
    [3, 4],
  );
  return {
    state: { net, opt },
    entries: {
      trainStep: entry({ x: input([3, 6]) }, ({ x }) => {
        opt.zeroGrad();
        const loss = net.forward(x).mul(weights).sum();
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});

describe('a broken pass is found', () => {
  test.each<[pass: string, fault: Fault, op: RegExp]>([
    ['canonicalize', 'drop-add', /^add$/],
    ['decompose', 'drop-add', /^add$/],
    ['cse', 'drop-add', /^add$/],
    ['dead-code', 'drop-add', /^add$/],
    ['fuse', 'enlarge-exponentials', /softmax/],
    ['plan-memory', 'misplace-outputs', /./],
    ['vectorise-loops', 'enlarge-stores', /./],
  ])('%s: %s', async (pass, fault, op) => {
    const debug = { faults: faultsAt({ [pass]: fault }) };
    const { agrees, firstDivergence } = await compareModel(definition, { steps: 1, debug, measure: false });
    expect(agrees).toBe(false);
    expect(firstDivergence).toMatchObject({ entry: 'trainStep', pass, op: expect.stringMatching(op) });
    expect(firstDivergence!.site).toMatchObject({ file: 'test/compare.test.ts' });
    expect(firstDivergence!.nodes).toBeLessThanOrEqual(3);

    const repro = parseRepro(firstDivergence!.repro!);
    const isRight = async (options: { debug?: typeof debug }): Promise<boolean> =>
      (await checkCompiled(repro, { ...repro, ...options })).every(value => value.agrees);
    expect(await isRight({ debug })).toBe(false);
    expect(await isRight({})).toBe(true);
  });

  test('and without a fault nothing is, in any variant', async () => {
    const { agrees, firstDivergence, modules } = await compareModel(definition, {
      steps: 2,
      variants: variants.filter(isRunnable),
      measure: false,
    });
    expect({ agrees, firstDivergence }).toEqual({ agrees: true, firstDivergence: null });
    expect(modules.map(({ variant }) => variant)).toEqual(expect.arrayContaining(['simd', 'threads']));
  });
});

test('what tracing does not see is told from what passes spoil', async () => {
  let calls = 0;
  const counting = defineModel('counting', () => ({
    state: {},
    entries: { count: entry({ x: input([4]) }, ({ x }) => ({ y: x.mul(++calls) })) },
  }));
  const { agrees, firstDivergence } = await compareModel(counting, { steps: 2, measure: false });
  expect(agrees).toBe(false);
  expect(firstDivergence).toMatchObject({ op: 'mul', pass: 'trace', repro: null });
});

test('in a model with a loop the broken op is found too, and the loop where it is inside', async () => {
  const accumulate = defineModel('loop', () => ({
    state: {},
    entries: {
      run: entry({ xs: input([5, 3]), start: input([3]) }, ({ xs, start }) => {
        const [last, all] = scan(
          (sum: Tensor, x: Tensor) => {
            const next = sum.mul(0.5).sub(x.exp());
            return [next, next];
          },
          start.add(start.sin()),
          xs,
        );
        return { last, all };
      }),
    },
  }));
  const search = async (faults: ReturnType<typeof faultsAt>) =>
    (await compareModel(accumulate, { steps: 1, debug: { faults }, measure: false })).firstDivergence;
  expect(await search(faultsAt({ cse: 'drop-add' }))).toMatchObject({ op: 'add', pass: 'cse', nodes: 1 });
  expect(await search(faultsAt({ 'vectorise-loops': 'enlarge-stores' }))).toMatchObject({ pass: 'vectorise-loops' });
  expect(await search(undefined)).toBeNull();
});

test('gradients that are state are compared where eagerly they are other tensors after each call', async () => {
  const accumulating = defineModel('accumulating', () => {
    manualSeed(0);
    const net = new nn.Linear(3, 2);
    const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
    const add = entry({ x: input([4, 3]) }, ({ x }) => {
      net.forward(x).square().mean().backward();
      return {};
    });
    const apply = entry({}, () => {
      opt.step();
      opt.zeroGrad({ setToNone: true });
      return {};
    });
    return { state: { net, opt }, entries: { add, apply } };
  });
  const { agrees, differences } = await compareModel(accumulating, { steps: 3, measure: false });
  expect(agrees).toBe(true);
  expect(differences.map(({ name }) => name)).toContain('net.weight.grad');
});

test('a gradient that eagerly is none after a step is zero where compiled', async () => {
  const resetting = defineModel('resetting', () => {
    manualSeed(0);
    const net = new nn.Linear(3, 2);
    const opt = new optim.SGD(net.parameters(), { lr: 0.1 });
    const train = entry({ x: input([4, 3]) }, ({ x }) => {
      net.forward(x).square().mean().backward();
      opt.step();
      opt.zeroGrad({ setToNone: true });
      return {};
    });
    const predict = entry({ x: input([4, 3]) }, ({ x }) => ({ y: net.forward(x) }));
    return { state: { net, opt }, entries: { train, predict } };
  });
  const { agrees, differences } = await compareModel(resetting, { steps: 2, measure: false });
  expect(agrees).toBe(true);
  expect(differences.map(({ name }) => name)).toEqual(expect.arrayContaining(['y', 'net.weight.grad']));
});

describe('a sample of rounding noise', () => {
  const sample = (op: string, x: Float32Array, seed: number, type = 'float32[]'): number => {
    const graph = parseGraph(`graph g(%x: float32[${x.length}] input) {
  %0 = ${op} : ${type}
  return y = %0
}
`);
    return Number(evaluateExactly(graph, new Map([['x', x]]), uniformNumbers(seed)).results.get('y')![0]);
  };
  const total = 'sum(%x) {dim: [0], keepdim: false, dtype: null}';

  test('moves a sum as much as its terms make it uncertain', () => {
    const cancelling = floats(1e4, 3.3, -1e4, -3.3);
    const errors = [1, 2, 3, 4].map(seed => Math.abs(sample(total, cancelling, seed)));
    for (const error of errors) expect(error).toBeLessThan(4 * 2e4 * 2 ** -24);
    expect(Math.max(...errors)).toBeGreaterThan(1e4 * 2 ** -26);
  });

  test('rounds within ops of several steps: equal numbers are standardised to what their mean is off by', () => {
    const equal = floats(0.3, 0.3, 0.3);
    const standardized = 'standardize(%x) {dim: [0], eps: 0.00001}';
    const errors = [1, 2, 3, 4].map(seed => Math.abs(sample(standardized, equal, seed, 'float32[3]')));
    for (const error of errors) expect(error).toBeLessThan(4 * 0.3 * 2 ** -24 * Math.sqrt(1e5));
    expect(Math.max(...errors)).toBeGreaterThan(0.3 * 2 ** -26 * Math.sqrt(1e5));
  });

  test('rounds equal numbers alike of some ops, and each by itself of others', () => {
    const graph = parseGraph(`graph g(%x: float32[40] input) {
  %0 = sin(%x) : float32[40]
  return y = %0
}
`);
    const x = new Float32Array(40).fill(0.3);
    const distinct = (seed: number): number =>
      new Set(Array.from(evaluateExactly(graph, new Map([['x', x]]), uniformNumbers(seed)).results.get('y')!, Number))
        .size;
    const counts = Array.from({ length: 16 }, (_, seed) => distinct(seed + 1));
    expect(Math.min(...counts)).toBe(1);
    expect(Math.max(...counts)).toBeGreaterThan(1);
  });

  test('rounds within branches and loops', () => {
    const graph = parseGraph(`graph g(%x: float32[2] input) {
  %0 = full() {size: [], value: true, dtype: "bool"} : bool[]
  %1 = cond(%0, %x) with {
    graph then(%y: float32[2] input) {
      %0 = sin(%y) : float32[2]
      return out = %0
    }
    graph else(%y: float32[2] input) {
      return out = %y
    }
  } : bool[0]
  %2 = result(%1) {index: 0, dtype: "float32", shape: [2]} : float32[2]
  return y = %2
}
`);
    const x = floats(0.3, 0.7);
    const run = (sample: number): readonly number[] =>
      Array.from(evaluateExactly(graph, new Map([['x', x]]), noiseOf(sample)).results.get('y')!, Number);
    const nearest = Array.from(x, element => Math.fround(Math.sin(element)));
    expect(run(0)).toEqual(nearest);
    expect([1, 2, 3, 4].map(run)).toContainEqual(expect.not.arrayContaining(nearest));
  });

  test('leaves alone what float32 holds', () => {
    expect([1, 2, 3].map(seed => sample('amax(%x) {dim: [0], keepdim: false}', floats(1.25, 3), seed))).toEqual([
      3, 3, 3,
    ]);
  });
});

test('the oracle draws the random numbers that eager and compiled draw', async () => {
  const dropping = defineModel('dropping', () => ({
    state: {},
    entries: { run: entry({ x: input([64]) }, ({ x }) => ({ y: F.dropout(x.exp(), 0.5) })) },
  }));
  const { agrees, oracle, differences } = await compareModel(dropping, { steps: 3, measure: false });
  expect({ agrees, oracle }).toEqual({ agrees: true, oracle: true });
  const y = differences.find(({ name }) => name === 'y')!;
  expect(y.eagerError!.relative).toBeLessThan(1e-6);
});

test('random inputs of every float type are spread over [-1, 1)', () => {
  for (const dtype of ['float16', 'bfloat16', 'float32', 'float64'] as const) {
    const { x } = randomInputs(2)({ inputs: [{ name: 'x', type: { dtype, shape: [100] } }] });
    const values = Array.from(toFloat64(x, dtype), Number);
    expect(Math.min(...values), dtype).toBeLessThan(-0.8);
    expect(Math.max(...values), dtype).toBeGreaterThan(0.8);
    expect(Math.max(...values.map(Math.abs)), dtype).toBeLessThanOrEqual(1);
  }
});

describe('a reproduction', () => {
  const graph = `graph g(%x: float32[2] input, %w: float32[2] state) {
  %0 = mul(%x, %w) : float32[2]
  return y = %0
  update %w = %0
}
`;
  test('is a graph with values, random unless they are given', () => {
    const repro = parseRepro(`# variant: simd\n# rtol: 0.5\n# value w: AACAPwAAAEA=\n${graph}`);
    expect(repro.parameters.get('w')).toEqual(floats(1, 2));
    expect(repro.parameters.get('x')).toHaveLength(2);
    expect(repro).toMatchObject({ variant: 'simd', tolerance: { rtol: 0.5 }, graph: { name: parseGraph(graph).name } });
  });

  test.each([
    ['# variant: fast\n', "there is no variant 'fast'"],
    ['# rtol: close\n', "rtol must be a number of at least 0, but is 'close'"],
    ['# value w: AACAPw==\n', 'value w has 4 bytes, but float32[2] takes 8'],
  ])('complains about %j', (header, problem) => {
    expect(() => parseRepro(header + graph)).toThrow(problem);
  });
});
