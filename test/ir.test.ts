/** Both IRs: text round trips exactly, and the verifiers say what is wrong with an illegal program. */
import { describe, expect, test } from 'vitest';
import { type Graph, Interner, type Node, roots, topological } from '../compiler/ir/graph.js';
import {
  addIndex,
  alloc,
  type Buffer,
  call,
  cast,
  childrenOf,
  constant,
  type Expr,
  expressionsOf,
  floorDivIndex,
  type Iter,
  index,
  iterOf,
  type Kernel,
  load,
  loop,
  makeIter,
  mulIndex,
  reduce,
  type Stmt,
  store,
} from '../compiler/ir/kernel.js';
import { reachesEachOnce } from '../compiler/ir/nests.js';
import type { Slot } from '../compiler/ir/program.js';
import { parseGraph, parseKernel, printGraph, printKernel } from '../compiler/ir/text.js';
import { graphProblems, kernelProblems, programProblems, verifyGraph, verifyKernel } from '../compiler/ir/verify.js';
import { lowerGroup } from '../compiler/lowering/lower.js';
import { opDef } from '../compiler/ops/define.js';
import { infer, sampleGraphs } from './support/graphs.js';

const float = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;

describe('graph text', () => {
  test('reads as a page and parses back', () => {
    const g = new Interner();
    const x = g.param('x', 'input', float(64, 120));
    const w = g.param('net.fc1.weight', 'state', float(120, 84));
    const site = { file: 'model.ts', line: 3, column: 12, module: 'fc1' };
    const y = g.node('batchedMatmul', [x, w], {}, float(64, 84), site);
    const s = g.node('sum', [y], { dim: [0, 1], keepdim: false, dtype: null }, float());
    const graph: Graph = {
      name: 'step',
      params: [x, w],
      results: [{ name: 'loss', node: s }],
      updates: new Map([[w, w]]),
    };
    const text = `graph step(%x: float32[64, 120] input, %net.fc1.weight: float32[120, 84] state) {
  %0 = batchedMatmul(%x, %net.fc1.weight) : float32[64, 84]  # at model.ts:3:12 in fc1
  %1 = sum(%0) {dim: [0, 1], keepdim: false, dtype: null} : float32[]
  return loss = %1
  update %net.fc1.weight = %net.fc1.weight
}
`;
    expect(printGraph(graph, { sites: true })).toBe(text);
    expect(printGraph(parseGraph(text), { sites: true })).toBe(text);
    const back = parseGraph(text);
    expect(back.results[0].node.inputs[0].site).toEqual(site);
  });

  test('numbers and names are exact', () => {
    const g = new Interner();
    const values = [
      -0,
      0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      1e-45,
      1 / 3,
      1e21,
      -7,
      '9007199254740993',
      'a "b"\n',
      null,
      true,
      [[1, -2], []],
    ];
    const odd = g.param('0 odd "name"', 'input', float());
    const node = g.node('any', [odd], { values, 'odd key': 1 }, float());
    const graph: Graph = { name: 'odd graph', params: [odd], results: [{ name: 'a b', node }], updates: new Map() };
    const back = parseGraph(printGraph(graph));
    expect(back.name).toBe('odd graph');
    expect(back.params[0].attrs.name).toBe('0 odd "name"');
    expect(back.results[0].name).toBe('a b');
    expect(back.results[0].node.attrs).toEqual({ values, 'odd key': 1 });
  });

  test('wide headers are spread over lines', () => {
    const g = new Interner();
    const params = Array.from({ length: 6 }, (_, i) => g.param(`net.layer${i}.weight`, 'state', float(10, 10)));
    const graph: Graph = { name: 'wide', params, results: [], updates: new Map([[params[0], params[5]]]) };
    expect(printGraph(graph).split('\n')[1]).toBe('  %net.layer0.weight: float32[10, 10] state,');
    expect(printGraph(parseGraph(printGraph(graph)))).toBe(printGraph(graph));
  });

  test.each([
    ['graph g(%x: float32[2] input) {\n  return y = %z\n}', /line 2, column 15: %z is not defined above/],
    ['graph g(%x: float12[2] input) {}', /column 13: expected a dtype but found 'float12'/],
    ['graph g(%x: float32[2] thing) {}', /a parameter is 'input' or 'state', not 'thing'/],
    ['graph g() {\n  %0 = full() {size: [}', /expected a value/],
    ['graph g() {', /the text ends too early|expected '%'/],
    ['graph g() { } more', /expected the end/],
  ])('%s is refused', (text, message) => {
    expect(() => parseGraph(text)).toThrow(message);
  });
});

describe('every sample of every op', () => {
  test.each(sampleGraphs)('$name', ({ make }) => {
    const graph = make();
    if (graph === null) return;
    verifyGraph(graph, infer);
    const text = printGraph(graph);
    const back = parseGraph(text);
    verifyGraph(back, infer);
    expect(printGraph(back)).toBe(text);
    expectSameStructure(graph, back);
    for (const node of topological(roots(graph))) if (node.op !== 'param' && opDef(node.op).lower) checkKernelOf(node);
  });
});

function expectSameStructure(a: Graph, b: Graph): void {
  const [left, right] = [a, b].map(graph => topological(roots(graph)));
  expect(
    left.map(({ op, attrs, type, inputs }) => ({ op, attrs, type, inputs: inputs.map(input => left.indexOf(input)) })),
  ).toEqual(
    right.map(({ op, attrs, type, inputs }) => ({
      op,
      attrs,
      type,
      inputs: inputs.map(input => right.indexOf(input)),
    })),
  );
}

function checkKernelOf(node: Node): void {
  const lowered = lowerGroup({ nodes: new Set([node]), outputs: [node] }, node.op)!;
  expectKernelRoundTrip(lowered.kernel);
}

function expectKernelRoundTrip(kernel: Kernel): void {
  verifyKernel(kernel);
  const text = printKernel(kernel);
  const back = parseKernel(text);
  verifyKernel(back);
  expect(printKernel(back)).toBe(text);
  expect(structureOf(back)).toEqual(structureOf(kernel));
}

/** A kernel as lines in which buffers and counters are numbered as they are declared, and each distinct expression once. */
function structureOf(kernel: Kernel): string[] {
  const numbers = new Map<object, number>();
  const exprs = new Map<string, number>();
  const lines: string[] = [];
  const declare = (object: Buffer | Iter): number => {
    numbers.set(object, numbers.size + lines.length * 1000);
    return numbers.get(object)!;
  };
  const numberOf = (expr: Expr, known: Map<Expr, number>): number => {
    const at = known.get(expr);
    if (at !== undefined) return at;
    const parts = childrenOf(expr).map(child => numberOf(child, known));
    const own = Object.entries(expr).flatMap(([key, value]) => {
      if (key === 'iter' || key === 'buffer') return [`${key} ${numbers.get(value)}`];
      return typeof value === 'object' ? [] : [Object.is(value, -0) ? '-0' : `${typeof value} ${value}`];
    });
    const text = `${own.join()}(${parts.join()})`;
    if (!exprs.has(text)) lines.push(`expr ${exprs.size}: ${text}`);
    const number = exprs.get(text) ?? exprs.size;
    exprs.set(text, number);
    known.set(expr, number);
    return number;
  };
  const visit = (stmts: readonly Stmt[]): void => {
    for (const stmt of stmts) {
      const known = new Map<Expr, number>();
      const own = expressionsOf(stmt).map(expr => numberOf(expr, known));
      const facts = [stmt.kind, ...own.map(String)];
      if (stmt.kind === 'loop') facts.push(stmt.map, `iter ${declare(stmt.iter)} of ${stmt.iter.extent}`);
      else if (stmt.kind === 'alloc')
        facts.push(`${declare(stmt.buffer)} ${stmt.buffer.dtype} ${stmt.buffer.size} ${stmt.buffer.scope}`);
      else if (stmt.kind !== 'if' && stmt.kind !== 'barrier') facts.push(`buffer ${numbers.get(stmt.buffer)}`);
      if (stmt.kind === 'reduce') facts.push(stmt.fn, String(stmt.atomic));
      lines.push(facts.join(' '));
      if (stmt.kind === 'loop' || stmt.kind === 'alloc') visit(stmt.body);
      if (stmt.kind === 'if') {
        visit(stmt.then);
        lines.push('else');
        visit(stmt.otherwise);
      }
      lines.push('end');
    }
  };
  for (const { buffer, access } of kernel.params)
    lines.push(`${declare(buffer)} ${buffer.dtype} ${buffer.size} ${access}`);
  visit(kernel.body);
  return [kernel.name, kernel.doc, ...lines];
}

const param = (name: string, size: number, dtype: Kernel['params'][0]['buffer']['dtype'] = 'float32') =>
  ({ name, dtype, size, scope: 'param' }) as const;

describe('kernel text', () => {
  const linear = `kernel linear_relu(x: float32[8192] read, w: float32[4096] read, b: float32[32] read, out: float32[2048] write):
  # batchedMatmul → add → relu (fc1)
  for i0 in parallel(64):
    for i1 in parallel(32):
      acc: float32[1] register
      acc[0] = 0
      for r0 in serial(128):
        acc[0] += x[i0*128 + r0] * w[r0*32 + i1]
      out[i0*32 + i1] = max(acc[0] + b[i1], 0)
`;
  test('a kernel reads like Python and parses back', () => {
    const kernel = parseKernel(linear);
    verifyKernel(kernel);
    expect(printKernel(kernel)).toBe(linear);
    expect(kernel.doc).toBe('batchedMatmul → add → relu (fc1)');
  });

  test('every statement and expression', () => {
    const text = `kernel everything(x: float32[64] read, n: int64[64] read, out: float32[64] readwrite, h: float16[64] write):
  s: float32[64] shared
  for t in thread.x(64):
    s[t] = x[t]
  barrier
  t_1: float64[2] local:
    t_1[0] = (n[0] == 9007199254740993 ? -0 : inf)
  for b in block.x(4):
    for t in thread.x(16, limit=60 - b*16):
      v: float32[1] register
      v[0] = -x[b*16 + t] / (x[0] - 1.5 * x[1]) - (x[2] - x[3])
      allreduce max v[0] over 16
      if (t == 0) & ~((v[0] > 1e-7) | (v[0] < -3)):
        atomic out[b] max= pow(v[0], 2)
      else:
        out[b*16 + t] += (t*3 // 2 % 5 < 4 ? x[(b - 1)*16 + 16 + t] : nan)
      h[b*16 + t] = f16(f32(bool(n[t])) + f32(n[t] << 2) * bits_f32(i32(t) ^ 5))
  out[1] *= neg(2)
  out[2] min= max(1, -2)
`;
    const kernel = parseKernel(text);
    expect(printKernel(kernel)).toBe(text);
    verifyKernel(kernel);
  });

  test('constants that nothing types bear their type', () => {
    const out = param('out', 4);
    const compare = call('lt', constant('float64', 1), constant('float64', Number.NaN));
    const cast = (value: Expr): Expr => ({ kind: 'cast', dtype: 'float32', value });
    const kernel: Kernel = {
      name: 'k',
      doc: '',
      params: [{ buffer: out, access: 'write' }],
      body: [store(out, index(0), cast(compare)), store(out, index(1), cast(call('neg', constant('int64', -5))))],
    };
    expect(printKernel(kernel)).toContain('out[0] = f32(1_f64 < nan)\n  out[1] = f32(neg(-5_i64))');
    expectKernelRoundTrip(kernel);
  });

  test('float32 constants are short and exact', () => {
    const out = param('out', 1);
    for (const value of [0.1, 1 / 3, 1e-45, 3.4e38, 16777217, -0]) {
      const kernel: Kernel = {
        name: 'k',
        doc: '',
        params: [{ buffer: out, access: 'write' }],
        body: [store(out, index(0), constant('float32', value))],
      };
      const [stmt] = parseKernel(printKernel(kernel)).body;
      expect(stmt.kind === 'store' && stmt.value.kind === 'const' && stmt.value.value).toBe(Math.fround(value));
      expect(printKernel(kernel).length).toBeLessThan(70);
    }
  });

  test('what a statement uses twice is written once', () => {
    const out = param('out', 8);
    const i = makeIter('i', 8);
    let value: Expr = load(param('x', 8), iterOf(i));
    for (let level = 0; level < 40; level++) value = call('mul', call('exp', value), value);
    const kernel: Kernel = {
      name: 'k',
      doc: '',
      params: [
        { buffer: param('x', 8), access: 'read' },
        { buffer: out, access: 'write' },
      ],
      body: [loop(i, 'parallel', [store(out, iterOf(i), value)])],
    };
    const text = printKernel(kernel);
    expect(text.length).toBeLessThan(4000);
    expect(printKernel(parseKernel(text.replace('x: float32[8] read', 'x: float32[8] read')))).toBe(text);
  });

  test('counters and buffers in conflict get names of their own', () => {
    const [a, b] = [makeIter('i', 2), makeIter('i', 2)];
    const [out, acc] = [param('if', 4), { name: 'if', dtype: 'float32', size: 1, scope: 'register' } as const];
    const body = [
      loop(a, 'parallel', [
        loop(b, 'serial', [
          alloc(acc, [
            store(acc, index(0), constant('float32', 1)),
            store(out, call('add', call('mul', iterOf(a), index(2)), iterOf(b)), load(acc, index(0))),
          ]),
        ]),
      ]),
    ];
    const kernel: Kernel = { name: 'k', doc: '', params: [{ buffer: out, access: 'write' }], body };
    expect(printKernel(kernel)).toContain(
      'for i_1 in serial(2):\n      if__1: float32[1] register\n      if__1[0] = 1\n      if_[i*2 + i_1] = if__1[0]',
    );
    expectKernelRoundTrip(kernel);
  });

  test.each([
    ['kernel k(x: float32[2] read):\n  y[0] = 1', /line 2, column 3: no buffer named 'y' here/],
    [
      'kernel k(x: float32[2] write):\n  for i in sideways(2):\n    x[i] = 1',
      /line 2, column 12: expected a loop mapping/,
    ],
    ['kernel k(x: float32[2] write):\n  x[0] = exq(1)', /no function named 'exq'/],
    ['kernel k(x: float32[2] write):\n  x[0] = f32(1 < 2)', /not clear; write it as in 1_f32/],
    ['kernel k(x: float32[2] write):\n  x[0] = 1_i32', /expected a value of type float32 but this one is int32/],
    [
      'kernel k(x: float32[2] write):\n  x[0] = 1\n    x[1] = 1',
      /line 3, column 5: this line is indented more than its block/,
    ],
    ['kernel k(x: float32[2] write)', /expected 'kernel' but found the end/],
  ])('%s is refused', (text, message) => {
    expect(() => parseKernel(text)).toThrow(message);
  });
});

test('an index reaches each place once where counters outdo those below them and nothing else moves it', () => {
  const [i, j, other] = [makeIter('i', 3), makeIter('j', 5), makeIter('k', 9)];
  const register: Buffer = { name: 'r', dtype: 'int32', size: 1, scope: 'register' };
  const place = (ofI: number, ...more: Expr[]): Expr =>
    more.reduce<Expr>((sum, term) => addIndex(sum, term), addIndex(mulIndex(iterOf(i), ofI), iterOf(j)));
  expect([5, 7, -5].map(ofI => reachesEachOnce(place(ofI), [i, j]))).toEqual([true, true, true]);
  expect([4, 0].map(ofI => reachesEachOnce(place(ofI), [i, j]))).toEqual([false, false]);
  expect(reachesEachOnce(place(5), [i, j, other])).toBe(false);
  expect(reachesEachOnce(place(5, floorDivIndex(iterOf(other), 2)), [i, j])).toBe(true);
  expect(reachesEachOnce(place(5, floorDivIndex(iterOf(j), 2)), [i, j])).toBe(false);
  expect(reachesEachOnce(place(5, cast('index', load(register, index(0)))), [i, j])).toBe(false);
});

describe('the graph verifier', () => {
  const g = new Interner();
  const x = g.param('x', 'input', float(2, 3));
  const w = g.param('w', 'state', float(2, 3));
  const make = (node: Node, updates: [Node, Node][] = [], params = [x, w]): Graph => ({
    name: 'g',
    params,
    results: [{ name: 'y', node }],
    updates: new Map(updates),
  });
  const problems = (graph: Graph): string => graphProblems(graph, infer).join('; ');

  test('accepts what is legal', () => {
    expect(problems(make(g.node('neg', [x], {}, float(2, 3)), [[w, x]]))).toBe('');
  });
  test('a type that the op does not give', () => {
    expect(problems(make(g.node('neg', [x], {}, float(2, 4))))).toMatch(
      /node \d+ \(neg\) has type float32\[2, 4\], but its op gives float32\[2, 3\]/,
    );
  });
  test('inputs that the op refuses', () => {
    expect(
      problems(
        make(
          g.node('mul', [x, g.node('full', [], { size: [5], value: 1, dtype: 'float32' }, float(5))], {}, float(2, 3)),
        ),
      ),
    ).toMatch(/refused by its op: .*size of tensor a/s);
  });
  test('a parameter that is not declared, or declared twice', () => {
    expect(problems(make(x, [], [w]))).toBe('parameter x is read but is no parameter of the graph');
    expect(problems(make(x, [], [x, new Interner().param('x', 'input', float(1))]))).toMatch(
      /two parameters are named 'x'/,
    );
  });
  test('updates of inputs, of strangers and of other types', () => {
    expect(problems(make(x, [[x, w]]))).toBe('parameter x is updated but is an input');
    expect(problems(make(x, [[w, g.node('sum', [x], { dim: [0], keepdim: false, dtype: null }, float(3))]]))).toBe(
      'parameter w of type float32[2, 3] is updated with a float32[3]',
    );
    expect(problems(make(x, [[g.param('v', 'state', float(2, 3)), x]]))).toMatch(
      /parameter v is updated but is no parameter/,
    );
  });
  test('nodes of two interners', () => {
    const other = new Interner();
    const stranger = other.node('neg', [other.node('neg', [x], {}, float(2, 3))], {}, float(2, 3));
    expect(problems(make(g.node('mul', [x, stranger], {}, float(2, 3))))).toMatch(/different interners|made after it/);
  });
  test('the thrown message names the graph', () => {
    expect(() => verifyGraph(make(x, [], [w]), infer)).toThrow(
      'internal: graph g is not legal:\n  parameter x is read',
    );
  });
});

describe('the kernel verifier', () => {
  const problems = (body: string, params = 'x: float32[8] read, out: float32[8] write'): string =>
    kernelProblems(parseKernel(`kernel k(${params}):\n${body}`)).join('; ');

  test.each([
    ['  x[0] = 1', 'x is written but passed for reading only'],
    ['  out[0] = out[1]', 'out is read before anything is stored there, but passed for writing only'],
    ['  out[8] = 1', 'out[8] reaches from 8 to 8, but out has 8 elements'],
    ['  for i in parallel(3):\n    out[i*4] = x[i]', 'out[i*4] reaches from 0 to 8, but out has 8 elements'],
    ['  for i in parallel(8):\n    out[i - 1] = x[i]', 'out[i - 1] reaches from -1 to 6, but out has 8 elements'],
    ['  out[0] = f32(bits_f32(3_f64))', 'the bits of a float64 are no float32'],
    ['  out[0] = f32(exp(3_i32))', 'exp is not defined on int32'],
    ['  acc: float32[0] register\n  acc[0] = 1', 'acc[0] reaches from 0 to 0, but acc has 0 elements'],
  ])('%s', (body, message) => {
    expect(problems(body)).toBe(message);
  });

  test.each([
    '  for i in parallel(8):\n    if i > 0:\n      out[i - 1] = x[i]',
    '  for i in parallel(9, limit=8):\n    out[i] = x[i]',
    '  for i in parallel(8):\n    out[i] = (i > 0 ? x[i - 1] : 0)',
    '  for i in parallel(8):\n    out[i // 2 + i % 2 + i // 2] = x[i]',
    '  out[0] = 0\n  out[0] += x[0]',
  ])('accepts %s', body => {
    expect(problems(body)).toBe('');
  });

  test('buffers and counters outside their scope, wrong types', () => {
    const [x, out, i] = [param('x', 8), param('out', 8), makeIter('i', 8)];
    const make = (...body: Kernel['body']): string =>
      kernelProblems({ name: 'k', doc: '', params: [{ buffer: out, access: 'write' }], body }).join('; ');
    expect(make(store(out, index(0), load(x, index(0))))).toBe('x is used where it does not live');
    expect(make(store(out, iterOf(i), constant('float32', 1)))).toBe('i is used outside its loop');
    expect(make(loop(i, 'serial', [loop(i, 'serial', [])]))).toBe('i counts two loops, one inside the other');
    expect(make({ kind: 'store', buffer: out, index: constant('int32', 0), value: constant('int32', 0) })).toBe(
      'the value stored to out has type int32 instead of float32; the index of out has type int32 instead of index',
    );
    expect(make(store(out, index(0), { kind: 'const', dtype: 'float32', value: 0.1 }))).toBe(
      'the constant 0.1 is no float32',
    );
    expect(
      make(alloc({ ...x, scope: 'local' }, [alloc(out, [])]), reduce(out, index(0), 'add', constant('float32', 1))),
    ).toMatch(/out is declared again while it lives; out is declared inside/);
  });
});

describe('the program verifier', () => {
  const kernel = parseKernel(
    'kernel k(x: float32[8] read, y: float32[8] read, out: float32[8] write):\n  for i in parallel(8):\n    out[i] = x[i] + y[i]',
  );
  const slot = (name: string, offset: number, size = 8): Slot => ({ name, type: float(size), offset });
  const program = (given: { state?: Slot[]; inputs?: Slot[]; outputs?: Slot[]; args?: number[] }): string =>
    programProblems({
      name: 'p',
      state: given.state ?? [slot('w', 0)],
      stateBytes: 64,
      totalBytes: 256,
      entries: [
        {
          name: 'e',
          inputs: given.inputs ?? [slot('x', 64)],
          outputs: given.outputs ?? [slot('y', 128)],
          steps: [{ kernel, args: given.args ?? [0, 64, 128] }],
        },
      ],
    }).join('; ');

  test('accepts what is legal, the same tensor read twice included', () => {
    expect(program({})).toBe('');
    expect(program({ args: [0, 0, 192] })).toBe('');
  });
  test.each([
    [{ args: [0, 128, 128] }, 'entry e: k, out at [128, 160) overlaps entry e: k, y at [128, 160)'],
    [{ args: [0, 64] }, 'entry e: k takes 3 arguments, not 2'],
    [{ args: [0, 68, 128] }, 'entry e: k, y starts at 68, which is no multiple of 64'],
    [{ args: [0, 64, 256] }, 'entry e: k, out lies at [256, 288), outside of [0, 256)'],
    [{ state: [slot('w', 0), slot('v', 64)], inputs: [] }, 'state v lies at [64, 96), outside of [0, 64)'],
    [{ inputs: [slot('x', 0)] }, 'entry e: input x at [0, 32) overlaps state w at [0, 32)'],
    [
      { outputs: [slot('y', 64)] },
      'entry e: input x at [64, 96) overlaps entry e: output y at [64, 96); entry e: output y at [64, 96) overlaps entry e: input x at [64, 96)',
    ],
  ])('%j', (given, message) => {
    expect(program(given)).toBe(message);
  });
});
