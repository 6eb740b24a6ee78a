/**
 * Algebra: every node in its simplest form, and constants computed now.
 *
 *   %0 = mul(%x, full 1); %1 = neg(%0); %2 = neg(%1)            ->   %x
 *   %0 = reshape(%x, [6]); %1 = unsqueeze(%0, 0)                 ->   %0 = reshape(%x, [1, 6])
 *
 * A rule must not change a bit of any result, NaN, infinities and signed zeros included. So `x + 0` goes only where x is an
 * integer (-0 + 0 is +0), `x * 0` likewise (NaN * 0 is NaN), and nothing is reassociated. Two liberties are PyTorch's own: the
 * sum of one element is that element, whatever the sign of a zero, and memory is nobody's business in a pure graph, so copies
 * and `detach` are no ops at all.
 */
import { bytesOf, type DType, isFloat, isInt, limitsOf } from '../ir/dtype.js';
import { type Graph, Interner, isParam, type Node } from '../ir/graph.js';
import { type Make, p, type Rule, rewriteGraph, rule } from '../ir/rewrite.js';
import { numel, type Shape, sameShape } from '../ir/shape.js';
import { opDef } from '../ops/define.js';
import type { Pass } from '../pass.js';

/**
 * Runs a node whose inputs are constants: its elements in row-major order as numbers (int64: bigints), or null where it
 * cannot.
 */
export type Evaluate = (node: Node) => ArrayLike<number | bigint> | null;

/** The pass. With `evaluate`, ops on constants are computed; without, only rearranged and converted. */
export const canonicalize = (evaluate: Evaluate | null = null): Pass<Graph> => {
  const rules = evaluate === null ? allRules : [...allRules, foldConstants(evaluate)];
  return {
    name: 'canonicalize',
    doc: 'Every node in its simplest form; constants are computed now.',
    run(graph, context) {
      const rewritten = rewriteGraph(graph, rules, (op, inputs, attrs) => opDef(op).infer(inputs, attrs));
      for (const [name, times] of rewritten.applied) context.note(name, `${times} ${times === 1 ? 'time' : 'times'}`);
      return rewritten.graph;
    },
  };
};

// ── helpers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const x = p.any('x');
const y = p.any('y');

const hasType = (node: Node, { type }: Node): boolean =>
  node.type.dtype === type.dtype && sameShape(node.type.shape, type.shape);
const isFloatNode = (node: Node): boolean => isFloat(node.type.dtype);
const unscaled = (node: Node): boolean => (node.attrs.alpha ?? 1) === 1;
const identity = (list: readonly number[]): boolean => list.every((value, i) => value === i);

/** `node` converted and broadcast to the type of another: what an identity of a promoting, broadcasting op leaves. */
function asTypeOf(node: Node, { type }: Node, make: Make): Node {
  const converted = node.type.dtype === type.dtype ? node : make('castTo', [node], { dtype: type.dtype });
  return sameShape(converted.type.shape, type.shape) ? converted : make('expand', [converted], { size: type.shape });
}

const full = (make: Make, size: Shape, value: number | string, dtype: DType): Node =>
  make('full', [], { size, value, dtype });

/** The value of a `full` as its elements hold it; null where a number cannot say it. */
function valueOf(node: Node): number | null {
  const { value } = node.attrs;
  return typeof value === 'number' ? convert(value, node.type.dtype) : null;
}

/** A number as an element of a dtype holds it; null where conversion is not plain. */
function convert(value: number, dtype: DType): number | null {
  if (dtype === 'bool') return Number(value !== 0);
  if (dtype === 'float32') return Math.fround(value);
  if (isFloat(dtype)) return dtype === 'float64' || (Number.isInteger(value) && Math.abs(value) <= 256) ? value : null;
  const { min, max } = limitsOf(dtype);
  const whole = Math.trunc(value) + 0;
  return Number.isSafeInteger(whole) && whole >= min && whole <= max ? whole : null;
}

const isOne = p.filled((_, node) => valueOf(node) === 1);
const isZero = p.filled((_, node) => valueOf(node) === 0);
const isMinusZero = p.filled((_, node) => Object.is(valueOf(node), -0));
const isPlusZero = p.filled((_, node) => Object.is(valueOf(node), 0));

// ── what is no op at all in a pure graph ───────────────────────────────────────────────────────────────────────────────

const copies: readonly Rule[] = [
  rule('clone(x) -> x', p.op(['clone', 'detach', 'positive'], x), match => match.x),
  rule('cat([x]) -> x', p.op('cat', x), match => match.x),
];

// ── views ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Views that keep the elements in row-major order: another shape, nothing else. */
const reshapes = ['view', 'squeeze', 'unsqueeze'];

const reshape = (make: Make, node: Node, shape: Shape): Node => make('reshape', [node], { shape });
const dimsOf = (node: Node): readonly number[] => node.attrs.dims as readonly number[];

/** Do the dims that move have size 1 only, so that the elements stay in order? */
const keepsOrder = (dims: readonly number[], shape: Shape): boolean => {
  const moved = dims.filter(d => shape[d] !== 1);
  return moved.every((d, i) => i === 0 || moved[i - 1] < d);
};

function transposed(rank: number, attrs: Node['attrs']): number[] {
  const dims = Array.from({ length: rank }, (_, d) => d);
  if (rank > 0) [dims[attrs.dim0 as number], dims[attrs.dim1 as number]] = [attrs.dim1 as number, attrs.dim0 as number];
  return dims;
}

const views: readonly Rule[] = [
  rule('view, squeeze, unsqueeze -> reshape', p.op(reshapes, x), (match, node, make) =>
    reshape(make, match.x, node.type.shape),
  ),
  rule('reshape to its own shape -> x', p.op('reshape', x), (match, node) => (hasType(match.x, node) ? match.x : null)),
  rule('reshape(reshape(x)) -> reshape(x)', p.op('reshape', p.op('reshape', x)), (match, node, make) =>
    reshape(make, match.x, node.type.shape),
  ),
  rule('transpose -> permute', p.op('transpose', x), (match, { attrs }, make) =>
    make('permute', [match.x], { dims: transposed(match.x.type.shape.length, attrs) }),
  ),
  rule('t -> permute', p.op('t', x), (match, _, make) =>
    make('permute', [match.x], { dims: match.x.type.shape.map((_d, d) => d).reverse() }),
  ),
  rule('permute in order -> x', p.op('permute', x), (match, node) => (identity(dimsOf(node)) ? match.x : null)),
  rule('permute(permute(x)) -> permute(x)', p.op('permute', p.as('inner', p.op('permute', x))), (match, node, make) =>
    make('permute', [match.x], { dims: dimsOf(node).map(d => dimsOf(match.inner)[d]) }),
  ),
  rule('permute of dims of size 1 -> reshape', p.op('permute', x), (match, node, make) =>
    keepsOrder(dimsOf(node), match.x.type.shape) ? reshape(make, match.x, node.type.shape) : null,
  ),
  rule('expand to its own shape -> x', p.op('expand', x), (match, node) => (hasType(match.x, node) ? match.x : null)),
  rule('expand(expand(x)) -> expand(x)', p.op('expand', p.op('expand', x)), (match, node, make) =>
    make('expand', [match.x], { size: node.type.shape }),
  ),
  rule('expand by dims of size 1 -> reshape', p.op('expand', x), (match, node, make) =>
    numel(node.type.shape) === numel(match.x.type.shape) ? reshape(make, match.x, node.type.shape) : null,
  ),
  rule('slice of everything -> x', p.op('slice', x), (match, node) =>
    hasType(match.x, node) && node.attrs.step === 1 ? match.x : null,
  ),
  rule('slice(slice(x)) -> slice(x)', p.op('slice', p.as('inner', p.op('slice', x))), (match, { attrs }, make) => {
    const { dim, start, step } = match.inner.attrs as Record<string, number>;
    if (dim !== attrs.dim) return null;
    return make('slice', [match.x], {
      dim,
      start: start + step * (attrs.start as number),
      length: attrs.length,
      step: step * (attrs.step as number),
    });
  }),
  rule('pad by nothing -> x', p.op('constantPad', x), (match, { attrs }) =>
    (attrs.pads as number[]).every(pad => pad === 0) ? match.x : null,
  ),
];

// ── arithmetic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The reciprocal of a power of two, where dividing by it and multiplying with it round alike. */
function exactReciprocal(node: Node): number | null {
  const value = valueOf(node);
  if (value === null || !isFloat(node.type.dtype)) return null;
  const exponent = Math.log2(Math.abs(value));
  return Number.isInteger(exponent) && Math.abs(exponent) <= 14 && 2 ** exponent === Math.abs(value) ? 1 / value : null;
}

const arithmetic: readonly Rule[] = [
  rule('x * 1 -> x', p.either('mul', x, isOne), (match, node, make) => asTypeOf(match.x, node, make)),
  rule(
    'x / 1 -> x',
    p.where(p.op('div', x, isOne), node => node.attrs.roundingMode === null),
    (match, node, make) => asTypeOf(match.x, node, make),
  ),
  rule(
    'x / 2^n -> x * 2^-n',
    p.where(
      p.op(
        'div',
        x,
        p.filled((_, node) => exactReciprocal(node) !== null, 'y'),
      ),
      node => node.attrs.roundingMode === null,
    ),
    (match, _, make) =>
      make('mul', [match.x, full(make, match.y.type.shape, exactReciprocal(match.y)!, match.y.type.dtype)]),
  ),
  rule(
    'x + 0 -> x of integers',
    p.where(p.either('add', x, isZero), node => !isFloatNode(node)),
    (match, node, make) => asTypeOf(match.x, node, make),
  ),
  rule('x + -0 -> x', p.where(p.either('add', x, isMinusZero), unscaled), (match, node, make) =>
    asTypeOf(match.x, node, make),
  ),
  rule('x - 0 -> x', p.where(p.op('sub', x, isPlusZero), unscaled), (match, node, make) =>
    asTypeOf(match.x, node, make),
  ),
  rule(
    'x * 0 -> 0 of integers',
    p.where(p.either('mul', x, isZero), node => isInt(node.type.dtype)),
    (_, node, make) => full(make, node.type.shape, 0, node.type.dtype),
  ),
  rule(
    'x ** 1 -> x',
    p.where(p.op('powScalar', x), node => Number(node.attrs.exponent) === 1),
    (match, node, make) => asTypeOf(match.x, node, make),
  ),
  rule('-(-x) -> x', p.op('neg', p.op('neg', x)), match => match.x),
  rule('-x * -y -> x * y', p.op('mul', p.op('neg', x), p.op('neg', y)), (match, node, make) =>
    keepsSign(match.x, node) && keepsSign(match.y, node) ? make('mul', [match.x, match.y]) : null,
  ),
  rule('x + -y -> x - y', p.where(p.either('add', x, p.op('neg', y)), unscaled), (match, node, make) =>
    canSubtract(match.x, match.y) && keepsSign(match.y, node) ? make('sub', [match.x, match.y], { alpha: 1 }) : null,
  ),
  rule('x - -y -> x + y', p.where(p.op('sub', x, p.op('neg', y)), unscaled), (match, node, make) =>
    keepsSign(match.y, node) ? make('add', [match.x, match.y], { alpha: 1 }) : null,
  ),
  rule(
    'max(x, x) -> x',
    p.op(['maximum', 'minimum', 'fmax', 'fmin', 'logicalAnd', 'logicalOr', 'bitwiseAnd', 'bitwiseOr'], x, x),
    (match, node) => (hasType(match.x, node) ? match.x : null),
  ),
  rule(
    'f(f(x)) -> f(x)',
    p.op(['relu', 'abs', 'floor', 'ceil', 'trunc', 'sign'], p.as('inner', p.any('f'))),
    ({ inner }, node) => (inner.op === node.op && sameAttrs(inner, node) ? inner : null),
  ),
  rule('abs(-x) -> abs(x)', p.op('abs', p.op('neg', x)), (match, _, make) =>
    match.x.type.dtype === 'uint8' ? null : make('abs', [match.x]),
  ),
  rule('not(not(x)) -> x', p.op('logicalNot', p.op('logicalNot', x)), match =>
    match.x.type.dtype === 'bool' ? match.x : null,
  ),
  rule('where(c, x, x) -> x', p.op('where', p.any('c'), x, x), (match, node, make) => asTypeOf(match.x, node, make)),
  rule(
    'where(true, x, y) -> x',
    p.op(
      'where',
      p.filled((_, node) => valueOf(node) !== null && valueOf(node) !== 0),
      x,
      y,
    ),
    (match, node, make) => asTypeOf(match.x, node, make),
  ),
  rule('where(false, x, y) -> y', p.op('where', isZero, x, y), (match, node, make) => asTypeOf(match.y, node, make)),
];

/** Is `-x` in the type of x the same as in the type of the whole? Narrow integers wrap where wider ones do not. */
const keepsSign = (negated: Node, node: Node): boolean =>
  isFloatNode(negated) || negated.type.dtype === node.type.dtype;
const canSubtract = (a: Node, b: Node): boolean => a.type.dtype !== 'bool' && b.type.dtype !== 'bool';
const sameAttrs = (a: Node, b: Node): boolean =>
  Object.keys({ ...a.attrs, ...b.attrs }).every(key => Object.is(a.attrs[key], b.attrs[key]));

// ── reductions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const reductions: readonly Rule[] = [
  rule('sum over dims of size 1 -> reshape', p.op(['sum', 'prod', 'amax', 'amin'], x), (match, node, make) => {
    const dims = node.attrs.dim;
    const trivial = Array.isArray(dims) && dims.every(d => match.x.type.shape[d] === 1);
    if (!trivial) return null;
    const converted =
      match.x.type.dtype === node.type.dtype ? match.x : make('castTo', [match.x], { dtype: node.type.dtype });
    return reshape(make, converted, node.type.shape);
  }),
];

// ── conversions ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Does every value of one dtype have an equal in the other? */
function widens(from: DType, to: DType): boolean {
  if (from === to || from === 'bool') return true;
  if (to === 'bool') return false;
  if (isFloat(from)) return isFloat(to) && (to === 'float64' || (to === 'float32' && bytesOf(from) === 2));
  if (isFloat(to)) return bytesOf(from) < 2 || (bytesOf(to) >= 4 && bytesOf(from) < bytesOf(to));
  return from === 'uint8' ? bytesOf(to) > 1 : to !== 'uint8' && bytesOf(to) >= bytesOf(from);
}

const conversions: readonly Rule[] = [
  rule('castTo its own dtype -> x', p.op('castTo', x), (match, node) => (hasType(match.x, node) ? match.x : null)),
  rule('castTo(castTo(x)) -> castTo(x)', p.op('castTo', p.as('inner', p.op('castTo', x))), (match, node, make) =>
    widens(match.x.type.dtype, match.inner.type.dtype) ? make('castTo', [match.x], { dtype: node.type.dtype }) : null,
  ),
];

// ── constants ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const constants: readonly Rule[] = [
  {
    name: 'view of full -> full',
    roots: null,
    apply(node, make) {
      const [input] = node.inputs;
      if (input?.op !== 'full' || opDef(node.op).fusion !== 'view') return null;
      return full(make, node.type.shape, input.attrs.value as number | string, node.type.dtype);
    },
  },
  rule(
    'castTo(full) -> full',
    p.op(
      'castTo',
      p.as(
        'x',
        p.filled(() => true),
      ),
    ),
    (match, node, make) => {
      const value = valueOf(match.x);
      const converted = value === null ? null : convert(value, node.type.dtype);
      return converted === null ? null : full(make, node.type.shape, converted, node.type.dtype);
    },
  ),
  {
    name: 'f(expand(x), y) -> f(x, y)',
    roots: null,
    apply(node, make) {
      if (isParam(node) || node.inputs.length < 2 || opDef(node.op).elementwise !== true) return null;
      const inputs = node.inputs.map((input, i) => unexpanded(node, input, i, make));
      if (inputs.every((input, i) => input === node.inputs[i])) return null;
      return make(node.op, inputs, node.attrs);
    },
  },
];

/**
 * An operand of an elementwise op without its `expand`, where broadcasting does the same. Dims stay dims: 0-d operands count
 * less in promotion, so a tensor becomes one only where all operands have one dtype.
 */
function unexpanded(node: Node, input: Node, position: number, make: Make): Node {
  const source =
    input.op === 'expand'
      ? input.inputs[0]
      : input.op === 'full' && input.type.shape.length > 0
        ? scalarOf(input, make)
        : input;
  if (source === input) return input;
  if (source.type.shape.length === 0 && node.inputs.some(other => other.type.dtype !== input.type.dtype)) return input;
  const others = node.inputs.filter((_, i) => i !== position);
  return others.some(
    other => other.op !== 'expand' && other.op !== 'full' && sameShape(other.type.shape, node.type.shape),
  )
    ? source
    : input;
}

const scalarOf = (node: Node, make: Make): Node => full(make, [], node.attrs.value as number | string, node.type.dtype);

/** Results of more elements than this are left to the compiled program. */
const largestFolded = 4096;

/** Ops on filled tensors give, where the result is one value throughout, a filled tensor. */
const foldConstants = (evaluate: Evaluate): Rule => ({
  name: 'f(full) -> full',
  roots: null,
  apply(node, make) {
    if (isParam(node) || node.inputs.length === 0 || !node.inputs.every(input => input.op === 'full')) return null;
    if (opDef(node.op).lower === undefined || numel(node.type.shape) === 0) return null;
    const elements = evaluateSmall(node, evaluate);
    if (elements === null || !all(elements, element => Object.is(element, elements[0]))) return null;
    const value = elements[0];
    return full(make, node.type.shape, typeof value === 'bigint' ? exactInteger(value) : value, node.type.dtype);
  },
});

/** Run a closed node. Elementwise ops give one value throughout, so one element of each operand is enough. */
function evaluateSmall(node: Node, evaluate: Evaluate): ArrayLike<number | bigint> | null {
  const shrink = opDef(node.op).elementwise === true;
  const sizeOf = (input: Node): Shape => (shrink ? input.type.shape.map(() => 1) : input.type.shape);
  if (!shrink && [node, ...node.inputs].some(n => numel(n.type.shape) > largestFolded)) return null;
  const scratch = new Interner();
  const inputs = node.inputs.map(input =>
    scratch.node(
      'full',
      [],
      { ...input.attrs, size: sizeOf(input) },
      { dtype: input.type.dtype, shape: sizeOf(input) },
    ),
  );
  const type = opDef(node.op).infer(
    inputs.map(input => input.type),
    node.attrs,
  );
  return evaluate(scratch.node(node.op, inputs, node.attrs, type));
}

const all = <T>(items: ArrayLike<T>, test: (item: T) => boolean): boolean => Array.prototype.every.call(items, test);
const exactInteger = (value: bigint): number | string =>
  Number.isSafeInteger(Number(value)) ? Number(value) : String(value);

const allRules: readonly Rule[] = [...copies, ...views, ...arithmetic, ...reductions, ...conversions, ...constants];
