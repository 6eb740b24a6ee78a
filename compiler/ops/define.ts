/**
 * How an op is defined, and what happens when one is called.
 *
 * An OpDef says everything about an op in one place: signature, infer (shape and dtype; its errors are the ones users
 * see, eager and compiled alike), fusion class, vjp, lowering or decomposition, samples for the generated tests. The
 * helpers `pointwise`, `reduction` and `view` fill in what follows from the class; `define` takes the general form;
 * `composite` is a function of other ops that leaves no node of its own.
 */
import { fail, invariant } from '../errors.js';
import { type Arith, arith } from '../ir/arith.js';
import {
  type Category,
  categoryOf,
  computeType,
  type DType,
  getDefaultDtype,
  isFloat,
  isInt,
  numberType,
  type PromotionOperand,
  resultType,
} from '../ir/dtype.js';
import type { Attrs, AttrValue, TensorType } from '../ir/graph.js';
import { cast, constant, type Expr, index, iterOf, type Stmt } from '../ir/kernel.js';
import type { ReduceFn } from '../ir/scalar.js';
import { broadcastShapes, type Dim, normalizeDims, type Shape } from '../ir/shape.js';
import type { Complex } from './complex/number.js';
import { complexRuleFor } from './complex/rules.js';
import type { ErrorSample, Sample } from './samples.js';
import { type Bound, bindArguments, type Param, parseSignature, type Scalar, WeakFloat } from './signature.js';
import { record, renameStep, setViewReplay, stepName, type VjpContext } from './tape.js';
import { executor, isComplexTensor, refuseComplex, Tensor, type ViewStep } from './tensor.js';

/**
 * How the fuser treats an op. `opaque`: a kernel of its own; `composite`: decomposed before fusion; `control`: runs kernels.
 */
export type FusionClass = 'pointwise' | 'view' | 'reduction' | 'contraction' | 'opaque' | 'composite' | 'control';

/** An input as lowering reads it: the element at a multi-index, in the type it is computed in. */
export interface Operand {
  readonly type: TensorType;
  at(position: readonly Expr[]): Expr;
}

/** out[i] = element(i): pointwise ops and views. */
export interface MapLowering {
  readonly kind: 'map';
  element(at: readonly Expr[], inputs: readonly Operand[], attrs: Attrs, type: TensorType): Expr;
}
/** out[i] = fn over r of element(i, r): reductions, contractions, windows. */
export interface ReduceLowering {
  readonly kind: 'reduce';
  readonly fn: ReduceFn;
  /** Extents of the reduced loops. */
  extents(inputs: readonly TensorType[], attrs: Attrs, type: TensorType): readonly Dim[];
  element(
    at: readonly Expr[],
    reduced: readonly Expr[],
    inputs: readonly Operand[],
    attrs: Attrs,
    type: TensorType,
  ): Expr;
}
/** Any statements: scatters, scans, sorts. Inputs are read through operands, the output written through `out`. */
export interface ProgramLowering {
  readonly kind: 'program';
  build(context: { inputs: readonly Operand[]; attrs: Attrs; type: TensorType; out: OutputWriter }): readonly Stmt[];
}
export interface OutputWriter {
  store(position: readonly Expr[], value: Expr): Stmt;
  reduce(position: readonly Expr[], fn: ReduceFn, value: Expr): Stmt;
  load(position: readonly Expr[]): Expr;
  /** Set every element. */
  fill(value: number): Stmt;
}
export type Lowering = MapLowering | ReduceLowering | ProgramLowering;

/** The name of the tape's step; a function where it depends on the call. */
export type GradName = string | ((inputs: readonly TensorType[], attrs: Attrs) => string);

/** What a call hands to the executor. */
export interface Prepared {
  readonly inputs: readonly Tensor[];
  readonly attrs: Attrs;
}

export interface OpDef {
  readonly name: string;
  readonly doc: string;
  readonly params: readonly Param[];
  readonly fusion: FusionClass;
  /** Reads every operand at the output position (broadcast) and nowhere else. */
  readonly elementwise?: boolean;
  /** From bound arguments to inputs and attrs. */
  readonly prepare: (bound: Bound) => Prepared;
  readonly infer: (inputs: readonly TensorType[], attrs: Attrs) => TensorType;
  /** Gradients of the inputs, in order; null where there is none. */
  readonly vjp?: (context: VjpContext) => readonly (Tensor | null)[];
  /** false: the output never carries a gradient (comparisons, argmax, detach). */
  readonly differentiable?: boolean;
  readonly noVjpHint?: string;
  /** PyTorch's `grad_fn` name where it is not `<Name>Backward0`. */
  readonly gradName?: GradName;
  /** The same where the arguments tell, which the attrs no longer do; null where they do not. */
  readonly callName?: (bound: Bound) => string | null;
  readonly lower?: Lowering;
  /** For a composite: the same thing in other ops. */
  readonly decompose?: (inputs: readonly Tensor[], attrs: Attrs) => Tensor;
  /** For a view: strides in the memory of the input, or null where only a copy will do. */
  readonly strides?: (
    input: TensorType,
    strides: readonly number[],
    attrs: Attrs,
    type: TensorType,
  ) => { offset: number; strides: number[] } | null;
  /** For a view that shows every element once: the output position that shows input position `at`. */
  readonly inverse?: (at: readonly Expr[], input: TensorType, attrs: Attrs, type: TensorType) => readonly Expr[];
  readonly samples: readonly Sample[];
  readonly errors?: readonly ErrorSample[];
}

/** The bound of every op's call type; the op's annotation says what it really takes. */
// biome-ignore lint/suspicious/noExplicitAny: parameters are contravariant, so no narrower type bounds all functions
export type AnyFunction = (...args: any[]) => any;

/** An op as users call it. `F` is the type of the call. */
export type Op<F extends AnyFunction> = F & {
  readonly def: OpDef;
  readonly params: readonly Param[];
  /** The type of the method; exists for types only. */
  readonly method: F extends (input: infer I, ...rest: infer R) => infer O
    ? Tensor extends I
      ? (...rest: R) => O
      : never
    : never;
};

const registry = new Map<string, OpDef>();
/** Ops that nobody calls by name: loops, branches and their values (`control.ts`). */
const controlOps = new Map<string, OpDef>();
/** The definition of an op by name. */
export function opDef(name: string): OpDef {
  const def = registry.get(name) ?? controlOps.get(name);
  invariant(def, () => `no op named '${name}' in the table`);
  return def;
}
export const allOps = (): readonly OpDef[] => [...registry.values()];

/** An op that runs other graphs or takes a value from one that does; made by tracing, not by a call. */
export function defineControl(given: Pick<OpDef, 'name' | 'doc' | 'infer'> & Partial<OpDef>): void {
  const refuse = (): never => fail('E110', { op: given.name, problem: 'is no op of its own' });
  controlOps.set(given.name, { params: [], fusion: 'control', prepare: refuse, samples: [], ...given });
}

// ── calling ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Run an op on tensors: infer, execute, record. */
export function apply(def: OpDef, inputs: readonly Tensor[], attrs: Attrs): Tensor {
  const complex = inputs.find(isComplexTensor);
  if (complex !== undefined) refuseComplex(def.name, complex.dtype);
  const type = def.infer(
    inputs.map(input => input.type),
    attrs,
  );
  const output = executor().run(def, inputs, attrs, type);
  record(def, inputs, attrs, output);
  return output;
}
setViewReplay((step: ViewStep, tensor: Tensor) => apply(step.def, [tensor], step.attrs));

function callable<F extends AnyFunction>(def: OpDef): Op<F> {
  invariant(!registry.has(def.name), () => `op '${def.name}' is defined twice`);
  registry.set(def.name, def);
  const call = (...args: unknown[]): Tensor => {
    const bound = bindArguments(def.name, def.params, args);
    const complex = complexRuleFor(def.name, bound);
    if (complex !== null) return named(def, bound, complex(bound) as Tensor);
    const { inputs, attrs } = def.prepare(bound);
    const output = apply(def, inputs, attrs);
    const name = def.callName?.(bound);
    if (name) renameStep(output, name);
    return output;
  };
  return Object.assign(call, { def, params: def.params }) as unknown as Op<F>;
}

/** The last step of what an op means of complex numbers bears the op's name; a view of their parts is that view already. */
function named(def: OpDef, bound: Bound, output: Tensor): Tensor {
  if (def.fusion === 'view' || Object.values(bound).includes(output)) return output;
  const { inputs, attrs } = def.fusion === 'reduction' ? def.prepare(bound) : { inputs: [], attrs: {} };
  if (typeof def.gradName !== 'function' || inputs.length > 0)
    renameStep(
      output,
      stepName(
        def,
        inputs.map(input => input.type),
        attrs,
      ),
    );
  return output;
}

/** Tensors become inputs, the rest attrs. */
function prepareByDefault(params: readonly Param[]): (bound: Bound) => Prepared {
  return bound => {
    const inputs: Tensor[] = [];
    const attrs: Record<string, AttrValue> = {};
    for (const { name } of params) {
      const value = bound[name];
      if (value instanceof Tensor) inputs.push(value);
      else if (Array.isArray(value) && value.length > 0 && value[0] instanceof Tensor) inputs.push(...value);
      else attrs[name] = value instanceof WeakFloat ? value.value : value;
    }
    return { inputs, attrs };
  };
}

type Given<D> = Omit<OpDef, 'params' | 'prepare'> & {
  readonly signature: string;
  readonly prepare?: (bound: Bound) => Prepared;
} & D;

/** The general form. */
export function define<F extends AnyFunction>(given: Given<unknown>): Op<F> {
  const params = parseSignature(given.signature);
  return callable<F>({ ...given, params, prepare: given.prepare ?? prepareByDefault(params) });
}

/** A function of other ops, without a node of its own; its derivative is theirs. */
export function composite<F extends AnyFunction>(given: {
  readonly name: string;
  readonly doc: string;
  readonly signature: string;
  readonly compute: (bound: Bound) => ReturnType<F>;
  /** PyTorch's `grad_fn` name, where PyTorch has a step of its own: the last step of the parts bears it, of each output. */
  readonly gradName?: string | ((bound: Bound) => string | null);
  readonly samples: readonly Sample[];
  readonly errors?: readonly ErrorSample[];
}): Op<F> {
  const params = parseSignature(given.signature);
  const call = (...args: unknown[]): ReturnType<F> => {
    const bound = bindArguments(given.name, params, args);
    const complex = complexRuleFor(given.name, bound);
    const output = complex === null ? given.compute(bound) : (complex(bound) as ReturnType<F>);
    const gradName = typeof given.gradName === 'function' ? given.gradName(bound) : given.gradName;
    if (gradName) for (const member of [output].flat()) renameStep(member, gradName);
    return output;
  };
  const composed: Composite = { ...given, params, call };
  composites.set(given.name, composed);
  return Object.assign(call, { def: composed, params }) as unknown as Op<F>;
}
export interface Composite {
  readonly name: string;
  readonly doc: string;
  readonly params: readonly Param[];
  readonly call: (...args: unknown[]) => unknown;
  readonly samples: readonly Sample[];
  readonly errors?: readonly ErrorSample[];
}
const composites = new Map<string, Composite>();
export const allComposites = (): readonly Composite[] => [...composites.values()];

// ── pointwise ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The dtype rule of a pointwise op, on the promoted dtype of its operands.
 * keep: result as promoted. float: integers become the default float. compare: computed as promoted, result bool.
 * logical: operands read as bool, result bool. number: bool is computed as integer and converted back.
 */
export type PointwiseTypes = 'keep' | 'float' | 'compare' | 'logical' | 'number';

export interface PointwiseSpec {
  readonly name: string;
  readonly doc: string;
  readonly types: PointwiseTypes | ((attrs: Attrs) => PointwiseTypes);
  /** Default: `input: tensor`, or `input: operand, other: operand` for two. Operands come first, attrs after. */
  readonly signature?: string;
  /** The element in terms of operands (converted to the common type) and attrs. */
  // biome-ignore lint/suspicious/noExplicitAny: operands are expressions and the last argument is the attrs, typed by each op
  readonly body: (s: Arith, ...args: any[]) => Expr;
  /** Number of tensor operands. Default: from the signature. */
  readonly vjp?: OpDef['vjp'];
  readonly differentiable?: boolean;
  readonly noVjpHint?: string;
  readonly gradName?: GradName;
  /** Throws for operand types the op does not take. */
  readonly check?: (promoted: DType, inputs: readonly TensorType[], attrs: Attrs) => void;
  /**
   * Throws for operand values the op does not take; called on eager operands, also where they are constants of a trace.
   */
  readonly checkValues?: (promoted: DType, inputs: readonly Tensor[], attrs: Attrs) => void;
  /** Operands left out of promotion and conversion, by position (the condition of `where`). */
  readonly untyped?: readonly number[];
  readonly samples: readonly Sample[];
  readonly errors?: readonly ErrorSample[];
}

const tierOf = (type: TensorType): PromotionOperand => ({
  dtype: type.dtype,
  tier: type.shape.length > 0 ? 'dims' : 'zerodim',
});

export const scalarValue = (value: Scalar): number | bigint =>
  value instanceof WeakFloat ? value.value : typeof value === 'boolean' ? Number(value) : value;
export const scalarType = (value: Scalar): DType =>
  value instanceof WeakFloat ? getDefaultDtype() : numberType(value);

/** The dtype in which an op on tensors and plain numbers computes. */
export function promoteOperands(operands: readonly (Tensor | Scalar)[]): DType {
  return resultType(
    operands.map(operand =>
      operand instanceof Tensor ? tierOf(operand.type) : { dtype: scalarType(operand), tier: 'number' },
    ),
  );
}

/** A plain number as a 0-d tensor that does not disturb the promotion of the operands beside it; a boolean stays one. */
const numberOperand = (value: Scalar, promoted: DType): Tensor =>
  scalarTensor(scalarValue(value), typeof value === 'boolean' ? 'bool' : promoted);
const attrOfNumber = (value: number | bigint): number | string =>
  typeof value === 'bigint' ? (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)) : value;
/** A 0-d constant. */
export const scalarTensor = (value: number | bigint, dtype: DType): Tensor =>
  apply(full.def, [], { size: [], value: attrOfNumber(value), dtype });

function pointwiseTypes(rule: PointwiseTypes, promoted: DType): { compute: DType; result: DType } {
  if (rule === 'logical') return { compute: 'bool', result: 'bool' };
  if (rule === 'compare') return { compute: computeType(promoted), result: 'bool' };
  if (rule === 'float') {
    const result = isFloat(promoted) ? promoted : getDefaultDtype();
    return { compute: computeType(result), result };
  }
  if (rule === 'number' && promoted === 'bool') return { compute: 'int32', result: 'bool' };
  return { compute: computeType(promoted), result: promoted };
}

/**
 * Elementwise, broadcasting, promoting. The gradient of a broadcast or converted operand is summed and converted back.
 */
export function pointwise<F extends AnyFunction>(spec: PointwiseSpec): Op<F> {
  const params = parseSignature(
    spec.signature ?? (spec.body.length >= 3 ? 'input: operand, other: operand' : 'input: tensor'),
  );
  const operandParams = params.filter(param => param.kind === 'tensor' || param.kind === 'operand');
  const typed = operandParams.map((_, i) => i).filter(i => !spec.untyped?.includes(i));
  const promotedOf = (inputs: readonly TensorType[]): DType => resultType(typed.map(i => tierOf(inputs[i])));
  const typesOf = (attrs: Attrs, inputs: readonly TensorType[]) =>
    pointwiseTypes(typeof spec.types === 'function' ? spec.types(attrs) : spec.types, promotedOf(inputs));
  const { vjp } = spec;
  const def: OpDef = {
    ...spec,
    params,
    fusion: 'pointwise',
    elementwise: true,
    prepare(bound) {
      const operands = operandParams.map(param => bound[param.name] as Tensor | Scalar);
      const promoted = operands.some(operand => !(operand instanceof Tensor))
        ? promoteOperands(typed.map(i => operands[i]))
        : null;
      const attrs: Record<string, AttrValue> = {};
      for (const param of params) if (!operandParams.includes(param)) attrs[param.name] = plainAttr(bound[param.name]);
      const inputs = operands.map(operand => (operand instanceof Tensor ? operand : numberOperand(operand, promoted!)));
      spec.checkValues?.(promotedOf(inputs.map(input => input.type)), inputs, attrs);
      return { inputs, attrs };
    },
    infer(inputs, attrs) {
      const shape = inputs.map(input => input.shape).reduce((a, b) => broadcastShapes(spec.name, a, b));
      spec.check?.(promotedOf(inputs), inputs, attrs);
      return { dtype: typesOf(attrs, inputs).result, shape };
    },
    lower: {
      kind: 'map',
      element(at, inputs, attrs, type) {
        const { compute } = typesOf(
          attrs,
          inputs.map(input => input.type),
        );
        const args = inputs.map((input, i) => {
          const value = input.at(broadcastIndex(at, input.type.shape));
          return spec.untyped?.includes(i) ? value : cast(compute, value);
        });
        return cast(computeType(type.dtype), spec.body(arith, ...args, attrs));
      },
    },
    vjp:
      vjp &&
      (context =>
        vjp(context).map((grad, i) => (grad === null || !context.needs(i) ? null : toType(grad, context.types[i])))),
  };
  return callable<F>(def);
}

const plainAttr = (value: unknown): AttrValue =>
  value instanceof WeakFloat ? value.value : typeof value === 'bigint' ? attrOfNumber(value) : (value as AttrValue);

/** Where an operand of `shape` is read for output position `at`: broadcast dims at 0. */
export const broadcastIndex = (at: readonly Expr[], shape: Shape): Expr[] =>
  shape.map((dim, d) => (dim === 1 ? index(0) : at[at.length - shape.length + d]));

/** A gradient brought to the type of the operand it belongs to. */
function toType(grad: Tensor, type: TensorType): Tensor {
  const summed = grad.sumToSize(type.shape);
  return summed.dtype === type.dtype ? summed : summed.to(type.dtype);
}

// ── reductions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ReductionSpec {
  readonly name: string;
  readonly doc: string;
  /**
   * Default: `input: tensor, dim: dims = null, keepdim: bool = false`; attrs `dim` (normalised) and `keepdim` must
   * exist.
   */
  readonly signature?: string;
  readonly fn: ReduceFn;
  /** Result dtype for an input dtype (and the `dtype` attr); throws for types not taken. */
  readonly dtype: (input: DType, attrs: Attrs) => DType;
  /** What is combined, in terms of the input element (in the compute type of the result). Default: the element. */
  readonly element?: (s: Arith, x: Expr, attrs: Attrs) => Expr;
  /** An error for reducing zero elements, where there is no neutral element. */
  readonly emptyError?: string;
  readonly vjp?: OpDef['vjp'];
  readonly differentiable?: boolean;
  readonly noVjpHint?: string;
  readonly gradName?: GradName;
  readonly samples: readonly Sample[];
  readonly errors?: readonly ErrorSample[];
}

/** The shape after reducing `dims`. */
export const reducedShape = (shape: Shape, dims: readonly number[], keepdim: boolean): Dim[] =>
  keepdim ? shape.map((dim, d) => (dims.includes(d) ? 1 : dim)) : shape.filter((_, d) => !dims.includes(d));

/** Combines elements over dims; `dim` may be one, several, or null for all. */
export function reduction<F extends AnyFunction>(spec: ReductionSpec): Op<F> {
  const params = parseSignature(spec.signature ?? 'input: tensor, dim: dims = null, keepdim: bool = false');
  const def: OpDef = {
    ...spec,
    params,
    fusion: 'reduction',
    prepare(bound) {
      const { inputs, attrs } = prepareByDefault(params)(bound);
      return { inputs, attrs: { ...attrs, dim: normalizeDims(spec.name, bound.dim, inputs[0].ndim) } };
    },
    infer([input], attrs) {
      const dims = attrs.dim as readonly number[];
      if (spec.emptyError && dims.some(d => input.shape[d] === 0))
        fail('E109', { op: spec.name, problem: spec.emptyError });
      return {
        dtype: spec.dtype(input.dtype, attrs),
        shape: reducedShape(input.shape, dims, attrs.keepdim as boolean),
      };
    },
    lower: {
      kind: 'reduce',
      fn: spec.fn,
      extents: ([input], attrs) => (attrs.dim as readonly number[]).map(d => input.shape[d]),
      element(at, reduced, [input], attrs, type) {
        const dims = attrs.dim as readonly number[];
        let next = 0;
        const kept = attrs.keepdim ? at.filter((_, d) => !dims.includes(d)) : at;
        const position = input.type.shape.map((_, d) => (dims.includes(d) ? reduced[dims.indexOf(d)] : kept[next++]));
        const value = cast(computeType(type.dtype), input.at(position));
        return spec.element ? spec.element(arith, value, attrs) : value;
      },
    },
  };
  return callable<F>(def);
}

// ── views ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ViewSpec {
  readonly name: string;
  readonly doc: string;
  readonly signature: string;
  /** Arguments to attrs, normalised against the input. Default: as given. */
  readonly attrs?: (bound: Bound, input: Tensor) => Attrs;
  readonly infer: (input: TensorType, attrs: Attrs) => TensorType;
  /** The input position that output position `at` shows. */
  readonly map: (at: readonly Expr[], input: TensorType, attrs: Attrs, type: TensorType) => readonly Expr[];
  /** Only where it cannot be derived from an affine `map`. */
  readonly strides?: OpDef['strides'];
  /** Where every element is shown once: lets a kernel write through the view. */
  readonly inverse?: OpDef['inverse'];
  readonly vjp?: OpDef['vjp'];
  readonly differentiable?: boolean;
  readonly gradName?: GradName;
  readonly callName?: OpDef['callName'];
  readonly samples: readonly Sample[];
  readonly errors?: readonly ErrorSample[];
}

/** A rearrangement of the elements of one tensor; eagerly it shares memory wherever strides can express it. */
export function view<F extends AnyFunction>(spec: ViewSpec): Op<F> {
  const params = parseSignature(spec.signature);
  const byDefault = prepareByDefault(params);
  return callable<F>({
    ...spec,
    params,
    fusion: 'view',
    prepare(bound) {
      const input = bound[params[0].name] as Tensor;
      return { inputs: [input], attrs: spec.attrs ? spec.attrs(bound, input) : byDefault(bound).attrs };
    },
    infer: ([input], attrs) => spec.infer(input, attrs),
    lower: { kind: 'map', element: (at, [input], attrs, type) => input.at(spec.map(at, input.type, attrs, type)) },
    strides: spec.strides ?? ((input, strides, attrs, type) => stridesFromMap(spec.map, input, strides, attrs, type)),
  });
}

function stridesFromMap(
  map: ViewSpec['map'],
  input: TensorType,
  strides: readonly number[],
  attrs: Attrs,
  type: TensorType,
): { offset: number; strides: number[] } {
  const positionOf = (at: readonly number[]): number => {
    const position = map(at.map(index), input, attrs, type);
    return position.reduce((sum, expr, d) => {
      invariant(expr.kind === 'const', 'the map of a view must be affine, or the view must give its strides');
      return sum + Number(expr.value) * strides[d];
    }, 0);
  };
  const origin = type.shape.map(() => 0);
  const offset = positionOf(origin);
  return {
    offset,
    strides: type.shape.map((_, d) => positionOf(origin.map((zero, e) => (e === d ? 1 : zero))) - offset),
  };
}

/** A whole number in a dtype of 32 bits or fewer, which wraps around. */
function wrapped(value: number, dtype: DType): number {
  const bits = Number(/\d+/.exec(dtype));
  const whole = BigInt(Math.trunc(value));
  return Number(dtype.startsWith('u') ? BigInt.asUintN(bits, whole) : BigInt.asIntN(bits, whole));
}

// ── the one op the helpers themselves need ─────────────────────────────────────────────────────────────────────────────

/** A tensor of one value. */
export const full: Op<
  (size: readonly number[] | number, value: Scalar | Complex, options?: { dtype?: DType }) => Tensor
> = define({
  name: 'full',
  doc: 'A tensor of the given size filled with one value; dtype from the value unless given.',
  signature: 'size: size, value: number, *, dtype: dtype = null',
  fusion: 'pointwise',
  differentiable: false,
  prepare: ({ size, value, dtype }) => ({
    inputs: [],
    attrs: {
      size: typeof size === 'number' ? [size] : size,
      value: attrOfNumber(scalarValue(value)),
      dtype: dtype ?? scalarType(value),
    },
  }),
  infer: (_, attrs) => ({ dtype: attrs.dtype as DType, shape: attrs.size as Shape }),
  lower: {
    kind: 'map',
    element: (_at, _inputs, attrs, type) => {
      const value = attrs.value as number | string;
      if (type.dtype === 'int64')
        return constant('int64', BigInt(typeof value === 'number' ? Math.trunc(value) : value));
      return constant(computeType(type.dtype), isInt(type.dtype) ? wrapped(Number(value), type.dtype) : Number(value));
    },
  },
  samples: [
    { args: [[2, 3], 1.5], gradient: false },
    { args: [[4], 7], gradient: false },
  ],
});

export { type Category, categoryOf, iterOf };
