/**
 * Passes: program text before and after, and programs run before and after.
 */
import { describe, expect, test } from 'vitest';
import { evaluateConstant } from '../backends/js/evaluate.js';
import { type Graph, type Interner, paramName } from '../compiler/ir/graph.js';
import { p, rewriteGraph, rule } from '../compiler/ir/rewrite.js';
import { parseGraph, printGraph } from '../compiler/ir/text.js';
import { verifyGraph } from '../compiler/ir/verify.js';
import { allOps } from '../compiler/ops/define.js';
import { type DebugOptions, type Pass, runPasses, Stopped } from '../compiler/pass.js';
import { canonicalize } from '../compiler/passes/canonicalize.js';
import { cse } from '../compiler/passes/cse.js';
import { deadCode } from '../compiler/passes/dead-code.js';
import { decompose } from '../compiler/passes/decompose.js';
import { expandNode } from '../compiler/trace/trace.js';
import { graphOfSample, infer, sampleGraphs } from './support/graphs.js';
import { testedOps } from './support/op-samples.js';
import { fillOf, runGraph, type Values } from './support/run-program.js';

const hooks = { print: (graph: Graph) => printGraph(graph), verify: (graph: Graph) => verifyGraph(graph, infer) };
const afterPass = (pass: Pass<Graph>, text: string): string =>
  printGraph(runPasses([pass], parseGraph(text), hooks, { verify: true }));

/** Lines of a graph over float32 parameters; `…` in the params stands for the usual ones. */
const graph = (params: string, ...lines: string[]): string =>
  printGraph(parseGraph(`graph g(${params}) {\n${lines.join('\n')}\n}`));
const xyz = '%x: float32[2, 3] input, %y: float32[2, 3] input, %b: float32[3] input';
const T = 'float32[2, 3]';
const scalar = (name: string, value: string, dtype = 'float32'): string =>
  `%${name} = full() {size: [], value: ${value}, dtype: "${dtype}"} : ${dtype}[]`;

describe('canonicalize', () => {
  const rewrites: readonly [name: string, params: string, before: string[], result: string[]][] = [
    ['x * 1', xyz, [scalar('0', '1'), `%1 = mul(%x, %0) : ${T}`, 'return r = %1'], ['return r = %x']],
    [
      '1 * x of a lower rank',
      xyz,
      [`%0 = full() {size: [2, 3], value: 1, dtype: "float32"} : ${T}`, `%1 = mul(%0, %b) : ${T}`, 'return r = %1'],
      [`%0 = expand(%b) {size: [2, 3]} : ${T}`, 'return r = %0'],
    ],
    [
      'integers times a float 1',
      '%i: int32[2] input',
      [scalar('0', '1'), '%1 = mul(%i, %0) : float32[2]', 'return r = %1'],
      ['%0 = castTo(%i) {dtype: "float32"} : float32[2]', 'return r = %0'],
    ],
    [
      'x + 0 keeps the sign of zero',
      xyz,
      [scalar('0', '0'), `%1 = add(%x, %0) {alpha: 1} : ${T}`, 'return r = %1'],
      [scalar('0', '0'), `%1 = add(%x, %0) {alpha: 1} : ${T}`, 'return r = %1'],
    ],
    ['x + -0', xyz, [scalar('0', '-0'), `%1 = add(%x, %0) {alpha: 1} : ${T}`, 'return r = %1'], ['return r = %x']],
    ['x - 0', xyz, [scalar('0', '0'), `%1 = sub(%x, %0) {alpha: 1} : ${T}`, 'return r = %1'], ['return r = %x']],
    [
      'i + 0',
      '%i: int64[2] input',
      [scalar('0', '0', 'int64'), '%1 = add(%i, %0) {alpha: 1} : int64[2]', 'return r = %1'],
      ['return r = %i'],
    ],
    [
      'x / 4',
      xyz,
      [scalar('0', '4'), `%1 = div(%x, %0) {roundingMode: null} : ${T}`, 'return r = %1'],
      [scalar('0', '0.25'), `%1 = mul(%x, %0) : ${T}`, 'return r = %1'],
    ],
    [
      'x / 3 stays',
      xyz,
      [scalar('0', '3'), `%1 = div(%x, %0) {roundingMode: null} : ${T}`, 'return r = %1'],
      [scalar('0', '3'), `%1 = div(%x, %0) {roundingMode: null} : ${T}`, 'return r = %1'],
    ],
    ['-(-x)', xyz, [`%0 = neg(%x) : ${T}`, `%1 = neg(%0) : ${T}`, 'return r = %1'], ['return r = %x']],
    [
      'x + -y',
      xyz,
      [`%0 = neg(%y) : ${T}`, `%1 = add(%x, %0) {alpha: 1} : ${T}`, 'return r = %1'],
      [`%0 = sub(%x, %y) {alpha: 1} : ${T}`, 'return r = %0'],
    ],
    [
      '-y + x',
      xyz,
      [`%0 = neg(%y) : ${T}`, `%1 = add(%0, %x) {alpha: 1} : ${T}`, 'return r = %1'],
      [`%0 = sub(%x, %y) {alpha: 1} : ${T}`, 'return r = %0'],
    ],
    [
      'x - -y',
      xyz,
      [`%0 = neg(%y) : ${T}`, `%1 = sub(%x, %0) {alpha: 1} : ${T}`, 'return r = %1'],
      [`%0 = add(%x, %y) {alpha: 1} : ${T}`, 'return r = %0'],
    ],
    [
      'x + -u in wider integers stays',
      '%x: int32[2] input, %u: uint8[2] input',
      ['%0 = neg(%u) : uint8[2]', '%1 = add(%x, %0) {alpha: 1} : int32[2]', 'return r = %1'],
      ['%0 = neg(%u) : uint8[2]', '%1 = add(%x, %0) {alpha: 1} : int32[2]', 'return r = %1'],
    ],
    [
      'relu(relu(x))',
      xyz,
      [`%0 = relu(%x) : ${T}`, `%1 = relu(%0) : ${T}`, 'return r = %1'],
      [`%0 = relu(%x) : ${T}`, 'return r = %0'],
    ],
    [
      'where(c, x, x)',
      `%c: bool[2, 3] input, ${xyz}`,
      [`%0 = where(%c, %x, %x) : ${T}`, 'return r = %0'],
      ['return r = %x'],
    ],
    [
      'where(true, x, b)',
      xyz,
      [
        scalar('0', 'true', 'bool').replace('value: true', 'value: 1'),
        `%1 = where(%0, %b, %x) : ${T}`,
        'return r = %1',
      ],
      [`%0 = expand(%b) {size: [2, 3]} : ${T}`, 'return r = %0'],
    ],
    [
      'a copy of a detached copy',
      xyz,
      [`%0 = clone(%x) : ${T}`, `%1 = detach(%0) : ${T}`, 'return r = %1'],
      ['return r = %x'],
    ],
    ['cat of one', xyz, [`%0 = cat(%x) {dim: 0} : ${T}`, 'return r = %0'], ['return r = %x']],
    [
      'reshape(squeeze(unsqueeze(x)))',
      xyz,
      [
        '%0 = unsqueeze(%x) {dim: 0} : float32[1, 2, 3]',
        `%1 = squeeze(%0) {dims: [0]} : ${T}`,
        '%2 = reshape(%1) {shape: [6]} : float32[6]',
        'return r = %2',
      ],
      ['%0 = reshape(%x) {shape: [6]} : float32[6]', 'return r = %0'],
    ],
    [
      'a reshape and back',
      xyz,
      ['%0 = reshape(%x) {shape: [6]} : float32[6]', `%1 = reshape(%0) {shape: [2, 3]} : ${T}`, 'return r = %1'],
      ['return r = %x'],
    ],
    [
      'a transpose and back',
      xyz,
      [
        '%0 = transpose(%x) {dim0: 0, dim1: 1} : float32[3, 2]',
        `%1 = permute(%0) {dims: [1, 0]} : ${T}`,
        'return r = %1',
      ],
      ['return r = %x'],
    ],
    [
      'permutes in a row',
      '%x: float32[2, 3, 4] input',
      [
        '%0 = permute(%x) {dims: [1, 2, 0]} : float32[3, 4, 2]',
        '%1 = permute(%0) {dims: [0, 2, 1]} : float32[3, 2, 4]',
        'return r = %1',
      ],
      ['%0 = permute(%x) {dims: [1, 0, 2]} : float32[3, 2, 4]', 'return r = %0'],
    ],
    [
      'a permute of a dim of size 1',
      '%x: float32[2, 1, 3] input',
      ['%0 = permute(%x) {dims: [1, 0, 2]} : float32[1, 2, 3]', 'return r = %0'],
      ['%0 = reshape(%x) {shape: [1, 2, 3]} : float32[1, 2, 3]', 'return r = %0'],
    ],
    [
      'expands in a row',
      '%x: float32[1] input',
      [
        '%0 = expand(%x) {size: [2, 1]} : float32[2, 1]',
        '%1 = expand(%0) {size: [2, 3]} : float32[2, 3]',
        'return r = %1',
      ],
      [`%0 = expand(%x) {size: [2, 3]} : ${T}`, 'return r = %0'],
    ],
    [
      'slices in a row',
      '%x: float32[20] input',
      [
        '%0 = slice(%x) {dim: 0, start: 2, length: 8, step: 2} : float32[8]',
        '%1 = slice(%0) {dim: 0, start: 1, length: 3, step: 2} : float32[3]',
        'return r = %1',
      ],
      ['%0 = slice(%x) {dim: 0, start: 4, length: 3, step: 4} : float32[3]', 'return r = %0'],
    ],
    [
      'f(x, expand(b))',
      xyz,
      [`%0 = expand(%b) {size: [2, 3]} : ${T}`, `%1 = mul(%x, %0) : ${T}`, 'return r = %1'],
      [`%0 = mul(%x, %b) : ${T}`, 'return r = %0'],
    ],
    [
      'an expanded 0-d float64 keeps its weight in promotion',
      '%x: float32[2] input, %s: float64[] input',
      ['%0 = expand(%s) {size: [2]} : float64[2]', '%1 = mul(%x, %0) : float64[2]', 'return r = %1'],
      ['%0 = expand(%s) {size: [2]} : float64[2]', '%1 = mul(%x, %0) : float64[2]', 'return r = %1'],
    ],
    [
      'sum over a dim of size 1',
      '%x: float32[2, 1] input',
      ['%0 = sum(%x) {dim: [1], keepdim: false, dtype: null} : float32[2]', 'return r = %0'],
      ['%0 = reshape(%x) {shape: [2]} : float32[2]', 'return r = %0'],
    ],
    [
      'a conversion to what it is',
      xyz,
      [`%0 = castTo(%x) {dtype: "float32"} : ${T}`, 'return r = %0'],
      ['return r = %x'],
    ],
    [
      'a conversion by way of a wider type',
      '%i: uint8[2] input',
      [
        '%0 = castTo(%i) {dtype: "float32"} : float32[2]',
        '%1 = castTo(%0) {dtype: "int64"} : int64[2]',
        'return r = %1',
      ],
      ['%0 = castTo(%i) {dtype: "int64"} : int64[2]', 'return r = %0'],
    ],
    [
      'a conversion by way of a narrower type stays',
      xyz,
      [
        '%0 = castTo(%x) {dtype: "float16"} : float16[2, 3]',
        `%1 = castTo(%0) {dtype: "float32"} : ${T}`,
        'return r = %1',
      ],
      [
        '%0 = castTo(%x) {dtype: "float16"} : float16[2, 3]',
        `%1 = castTo(%0) {dtype: "float32"} : ${T}`,
        'return r = %1',
      ],
    ],
    [
      'a view of a constant',
      '%x: float32[1] input',
      [
        '%0 = full() {size: [2, 3], value: 7, dtype: "int64"} : int64[2, 3]',
        '%1 = permute(%0) {dims: [1, 0]} : int64[3, 2]',
        'return r = %1',
      ],
      ['%0 = full() {size: [3, 2], value: 7, dtype: "int64"} : int64[3, 2]', 'return r = %0'],
    ],
  ];
  test.each(rewrites)('%s', (_, params, before, expected) => {
    expect(afterPass(canonicalize(), graph(params, ...before))).toBe(graph(params, ...expected));
  });

  const folds: readonly [name: string, before: string[], result: string[]][] = [
    [
      'arithmetic',
      [scalar('0', '2'), scalar('1', '3'), '%2 = mul(%0, %1) : float32[]', '%3 = exp(%2) : float32[]', 'return r = %3'],
      [scalar('0', String(Math.fround(Math.exp(6)))), 'return r = %0'],
    ],
    [
      'a large constant, by one of its elements',
      [
        '%0 = full() {size: [1000, 1000], value: 0.5, dtype: "float32"} : float32[1000, 1000]',
        '%1 = neg(%0) : float32[1000, 1000]',
        'return r = %1',
      ],
      ['%0 = full() {size: [1000, 1000], value: -0.5, dtype: "float32"} : float32[1000, 1000]', 'return r = %0'],
    ],
    [
      'a sum',
      [
        '%0 = full() {size: [4, 5], value: 3, dtype: "int64"} : int64[4, 5]',
        '%1 = sum(%0) {dim: [1], keepdim: false, dtype: null} : int64[4]',
        'return r = %1',
      ],
      ['%0 = full() {size: [4], value: 15, dtype: "int64"} : int64[4]', 'return r = %0'],
    ],
    [
      'the values JSON lacks',
      [
        scalar('0', '0'),
        scalar('1', '-0'),
        '%2 = log(%0) : float32[]',
        '%3 = neg(%0) : float32[]',
        '%4 = div(%0, %1) {roundingMode: null} : float32[]',
        'return a = %2',
        'return b = %3',
        'return c = %4',
      ],
      [scalar('0', '-inf'), scalar('1', '-0'), scalar('2', 'nan'), 'return a = %0', 'return b = %1', 'return c = %2'],
    ],
    [
      'integers beyond 2^53',
      [
        '%0 = full() {size: [], value: "9007199254740993", dtype: "int64"} : int64[]',
        '%1 = neg(%0) : int64[]',
        'return r = %1',
      ],
      ['%0 = full() {size: [], value: "-9007199254740993", dtype: "int64"} : int64[]', 'return r = %0'],
    ],
  ];
  test.each(folds)('constants: %s', (_, before, expected) => {
    expect(afterPass(canonicalize(evaluateConstant), graph('', ...before))).toBe(graph('', ...expected));
  });

  test('what is simple already stays the same object, and the notes name the rules', () => {
    const simple = parseGraph(graph(xyz, `%0 = mul(%x, %y) : ${T}`, 'return r = %0'));
    expect(canonicalize().run(simple, { note: () => {} })).toBe(simple);
    const notes: string[] = [];
    canonicalize().run(parseGraph(graph(xyz, `%0 = neg(%x) : ${T}`, `%1 = neg(%0) : ${T}`, 'return r = %1')), {
      note: (what, why) => void notes.push(`${what}: ${why}`),
    });
    expect(notes).toEqual(['-(-x) -> x: 1 time']);
  });

  // the rules hold on special values, to the bit
  test.each(sampleGraphs)('keeps the values of $name', ({ make }) => {
    const traced = make();
    if (traced === null) return;
    const whole = runPasses([decompose(expandNode)], traced, hooks);
    const simple = runPasses([canonicalize(evaluateConstant), cse, deadCode], whole, hooks, { verify: true });
    const values = specialValues(whole);
    expect(runGraph(simple, values).results).toEqual(runGraph(whole, values).results);
  });
});

/** Inputs with signed zeros, infinities and NaN among ordinary numbers; indices stay small. */
function specialValues(g: Graph): Values {
  const odd = [0, -0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5];
  return Object.fromEntries(
    g.params.map((param, k) => {
      const array = fillOf(param.type, k);
      const floating = param.type.dtype === 'float32' || param.type.dtype === 'float64';
      for (let i = 0; i < array.length; i++) {
        if (floating) array[i] = i % 3 === 0 ? odd[(i / 3 + k) % odd.length] : array[i];
        else array[i] = param.type.dtype === 'int64' ? BigInt(i % 2) : i % 2;
      }
      return [paramName(param), array];
    }),
  );
}

describe('the rewrite driver', () => {
  const twice = graph(xyz, `%0 = neg(%x) : ${T}`, `%1 = relu(%0) : ${T}`, `%2 = relu(%1) : ${T}`, 'return r = %2');
  test('a rule that changes the type is refused by name', () => {
    const wrong = rule('relu(x) -> sum(x)', p.op('relu', p.any('x')), ({ x }, _, make) =>
      make('sum', [x], { dim: [0, 1], keepdim: false, dtype: null }),
    );
    expect(() => rewriteGraph(parseGraph(twice), [wrong], infer)).toThrow(
      "internal: rule 'relu(x) -> sum(x)' replaces relu of type float32[2, 3] by a float32[]",
    );
  });
  test('rules that undo each other are found out', () => {
    const there = rule('relu -> neg', p.op('relu', p.any('x')), ({ x }, _, make) => make('neg', [x]));
    const back = rule('neg -> relu', p.op('neg', p.any('x')), ({ x }, _, make) => make('relu', [x]));
    expect(() => rewriteGraph(parseGraph(twice), [there, back], infer)).toThrow(
      /rewriting does not end at '(neg|relu)'; rules applied: .*relu -> neg/,
    );
  });
  test('what a rule makes is simplified too', () => {
    const unrelu = rule('relu(x) -> neg(neg(x))', p.op('relu', p.any('x')), ({ x }, _, make) =>
      make('neg', [make('neg', [x])]),
    );
    const double = rule('neg(neg(x)) -> x', p.op('neg', p.op('neg', p.any('x'))), ({ x }) => x);
    const { graph: result, applied } = rewriteGraph(parseGraph(twice), [unrelu, double], infer);
    expect(printGraph(result)).toBe(graph(xyz, `%0 = neg(%x) : ${T}`, 'return r = %0'));
    expect(applied.get('relu(x) -> neg(neg(x))')).toBeGreaterThan(0);
  });
});

describe('cse', () => {
  test('operands in another order', () => {
    const before = graph(
      xyz,
      `%0 = mul(%x, %y) : ${T}`,
      `%1 = mul(%y, %x) : ${T}`,
      `%2 = sub(%0, %1) {alpha: 1} : ${T}`,
      'return r = %2',
    );
    expect(afterPass(cse, before)).toBe(
      graph(xyz, `%0 = mul(%x, %y) : ${T}`, `%1 = sub(%0, %0) {alpha: 1} : ${T}`, 'return r = %1'),
    );
  });
  test('sub and scaled add do not commute', () => {
    const text = graph(
      xyz,
      `%0 = sub(%x, %y) {alpha: 1} : ${T}`,
      `%1 = sub(%y, %x) {alpha: 1} : ${T}`,
      `%2 = add(%x, %y) {alpha: 2} : ${T}`,
      `%3 = add(%y, %x) {alpha: 2} : ${T}`,
      'return a = %0',
      'return b = %1',
      'return c = %2',
      'return d = %3',
    );
    const given = parseGraph(text);
    expect(cse.run(given, { note: () => {} })).toBe(given);
  });
});

describe('dead-code', () => {
  test('updates that change nothing and untouched state are dropped; inputs stay', () => {
    const before = graph(
      '%x: float32[2] input, %idle: float32[2] input, %w: float32[2] state, %v: float32[2] state, %u: float32[2] state',
      '%0 = neg(%v) : float32[2]',
      'return r = %x',
      'update %w = %w',
      'update %u = %0',
    );
    const expected = graph(
      '%x: float32[2] input, %idle: float32[2] input, %v: float32[2] state, %u: float32[2] state',
      '%0 = neg(%v) : float32[2]',
      'return r = %x',
      'update %u = %0',
    );
    expect(afterPass(deadCode, before)).toBe(expected);
  });
});

/** An op with a node of its own that is lowered as other ops. */
const isComposite = (name: string): boolean =>
  allOps().some(op => op.name === name && op.decompose !== undefined && op.lower === undefined);

describe('decompose', () => {
  test('no composite is left, and the values stay', () => {
    const composites = testedOps.filter(op => isComposite(op.name));
    expect(composites.length).toBeGreaterThan(0);
    for (const op of composites) {
      const traced = graphOfSample(op, op.samples[0])!;
      const flat = runPasses([decompose(expandNode)], traced, hooks, { verify: true });
      expect(printGraph(flat)).not.toContain(`= ${op.name}(`);
      expect(flat.results[0].node.type).toEqual(traced.results[0].node.type);
    }
  });
  test('an expansion of another type is refused', () => {
    const op = testedOps.find(op => isComposite(op.name))!;
    const traced = graphOfSample(op, op.samples[0])!;
    const wrong = decompose((_, __, interner: Interner) =>
      interner.param('odd', 'input', { dtype: 'bool', shape: [7] }),
    );
    expect(() => wrong.run(traced, { note: () => {} })).toThrow(/internal: '\w+' of type .* decomposes to a bool\[7\]/);
  });
});

describe('the pass driver', () => {
  const rename = (name: string, to: string): Pass<Graph> => ({
    name,
    doc: `The graph is called ${to}.`,
    run(g, context) {
      context.note(g.name, `becomes ${to}`);
      return g.name === to ? g : { ...g, name: to };
    },
  });
  const passes = [rename('first', 'a'), rename('second', 'a'), rename('third', 'c')];
  const start = parseGraph('graph g(%x: float32[2] input) {\n  return r = %x\n}');
  const drive = (debug: DebugOptions): { name: string; text: string } => {
    let text = '';
    const { name } = runPasses(passes, start, hooks, { ...debug, write: piece => void (text += piece) });
    return { name, text };
  };

  test('runs all passes in order, silently', () => {
    expect(drive({})).toEqual({ name: 'c', text: '' });
  });
  test('skips by name', () => {
    expect(drive({ skip: ['third'] }).name).toBe('a');
  });
  test('stops after a pass, handing out what it reached', () => {
    expect(() => drive({ stopAfter: 'first' })).toThrow(Stopped);
    try {
      drive({ stopAfter: 'first' });
    } catch (stopped) {
      expect((stopped as Stopped<Graph>).ir.name).toBe('a');
    }
  });
  test('dumps, and says where nothing changed', () => {
    const dumped = (pass: string, name: string): string =>
      `── after ${pass}\ngraph ${name}(%x: float32[2] input) {\n  return r = %x\n}\n\n`;
    expect(drive({ dump: ['first', 'second'] }).text).toBe(dumped('first', 'a') + dumped('second (unchanged)', 'a'));
  });
  test('explains and times', () => {
    expect(drive({ explain: ['third'] }).text).toBe('third: a: becomes c\n');
    expect(drive({ time: true }).text).toMatch(/^first: [\d.]+ ms\nsecond: [\d.]+ ms\nthird: [\d.]+ ms\n$/);
  });
  test('a pass that breaks the graph is named, with the graph', () => {
    const breaking: Pass<Graph> = {
      name: 'breaking',
      doc: 'Forgets the parameters.',
      run: g => ({ ...g, params: [] }),
    };
    const message =
      'internal: after pass breaking: graph g is not legal:\n  parameter x is read but is no parameter of the graph\ngraph g() {';
    expect(() => runPasses([breaking], start, hooks, { verify: true })).toThrow(message);
  });
});
