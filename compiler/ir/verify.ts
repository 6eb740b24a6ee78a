/**
 * What a legal Graph, a legal Kernel and a legal Program are. Run between passes in tests and with `--verify`.
 *
 * Each check answers with sentences instead of throwing, so that one run tells everything that is wrong; `verifyGraph`,
 * `verifyKernel` and `verifyProgram` throw them together. What cannot be decided from the text of a program (whether a
 * guarded load stays in bounds, whether parallel iterations are independent) is left to the author of the pass and to the
 * tests that run it.
 */
import { InternalError } from '../errors.js';
import { controlProblems, isControl, isResult, resultProblems } from './control.js';
import { bytesOf, isDType } from './dtype.js';
import {
  type Attrs,
  formatType,
  type Graph,
  isParam,
  type Node,
  paramName,
  paramRole,
  roots,
  type TensorType,
  topological,
} from './graph.js';
import {
  affineOf,
  type Buffer,
  call,
  type Expr,
  type Iter,
  type Kernel,
  type KernelParam,
  rangeOf,
  type Stmt,
  select,
} from './kernel.js';
import { printExpr } from './kernel-text.js';
import {
  type Address,
  blocksOf,
  isLaunch,
  isLoop,
  type Launch,
  type Program,
  type Slot,
  type Step,
} from './program.js';
import { numel, sameShape } from './shape.js';

// ── graphs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The type an op gives for inputs and attrs: `opDef(op).infer`, handed in because the op table lies above the IR. */
export type Infer = (op: string, inputs: readonly TensorType[], attrs: Attrs) => TensorType;

export function verifyGraph(graph: Graph, infer: Infer): void {
  throwAll(`graph ${graph.name}`, graphProblems(graph, infer));
}

export function graphProblems(graph: Graph, infer: Infer): string[] {
  const nodes = topological(roots(graph));
  const own = new Set(graph.params);
  const ids = new Map<number, Node>();
  const problems = [
    ...repeated(graph.params.map(paramName), 'parameter'),
    ...repeated(
      graph.results.map(result => result.name),
      'result',
    ),
  ];
  for (const param of graph.params) {
    if (!isParam(param)) problems.push(`${describe(param)} is listed as a parameter`);
    else if (paramRole(param) !== 'input' && paramRole(param) !== 'state')
      problems.push(`parameter ${paramName(param)} has the role '${paramRole(param)}'`);
  }
  for (const node of nodes) {
    const twin = ids.get(node.id);
    if (twin !== undefined)
      problems.push(`${describe(node)} and ${describe(twin)} have one id, so they come from different interners`);
    ids.set(node.id, node);
    problems.push(...typeProblems(node.type, describe(node)));
    if (isParam(node)) {
      if (!own.has(node)) problems.push(`${describe(node)} is read but is no parameter of the graph`);
    } else problems.push(...nodeProblems(node, infer), ...bodyProblems(node, infer));
  }
  for (const [param, value] of graph.updates) problems.push(...updateProblems(graph, param, value));
  return problems;
}

const describe = (node: Node): string =>
  isParam(node) ? `parameter ${paramName(node)}` : `node ${node.id} (${node.op})`;

function repeated(names: readonly string[], what: string): string[] {
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))].map(
    name => `two ${what}s are named '${name}'`,
  );
}

function typeProblems({ dtype, shape }: TensorType, what: string): string[] {
  const problems: string[] = [];
  if (!isDType(dtype)) problems.push(`${what} has the dtype '${String(dtype)}', which does not exist`);
  if (!shape.every(dim => Number.isInteger(dim) && dim >= 0))
    problems.push(`${what} has the shape [${shape.join(', ')}]`);
  return problems;
}

function nodeProblems(node: Node, infer: Infer): string[] {
  const late = node.inputs
    .filter(input => input.id >= node.id)
    .map(input => `${describe(node)} reads ${describe(input)}, which was made after it`);
  try {
    const expected = infer(
      node.op,
      node.inputs.map(input => input.type),
      node.attrs,
    );
    if (expected.dtype === node.type.dtype && sameShape(expected.shape, node.type.shape)) return late;
    return [...late, `${describe(node)} has type ${formatType(node.type)}, but its op gives ${formatType(expected)}`];
  } catch (error) {
    return [...late, `${describe(node)} is refused by its op: ${(error as Error).message}`];
  }
}

function bodyProblems(node: Node, infer: Infer): string[] {
  const own = isControl(node) ? controlProblems(node) : isResult(node) ? resultProblems(node) : [];
  const inside = node.bodies.flatMap(body => graphProblems(body, infer).map(problem => `${body.name}: ${problem}`));
  return [...own, ...inside].map(problem => `${describe(node)}: ${problem}`);
}

function updateProblems(graph: Graph, param: Node, value: Node): string[] {
  if (!graph.params.includes(param)) return [`${describe(param)} is updated but is no parameter of the graph`];
  if (paramRole(param) !== 'state') return [`${describe(param)} is updated but is an ${paramRole(param)}`];
  if (param.type.dtype === value.type.dtype && sameShape(param.type.shape, value.type.shape)) return [];
  return [`${describe(param)} of type ${formatType(param.type)} is updated with a ${formatType(value.type)}`];
}

// ── kernels ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function verifyKernel(kernel: Kernel): void {
  throwAll(`kernel ${kernel.name}`, kernelProblems(kernel));
}

export function kernelProblems(kernel: Kernel): string[] {
  return new KernelCheck().run(kernel);
}

function throwAll(what: string, problems: readonly string[]): void {
  if (problems.length > 0)
    throw new InternalError(`${what} is not legal:\n${problems.map(problem => `  ${problem}`).join('\n')}`);
}

/** What holds at a statement or expression. */
interface Scope {
  readonly buffers: ReadonlySet<Buffer>;
  readonly iters: ReadonlySet<Iter>;
  /** Inside an `if`, a chosen side, or a loop with a limit: an index may look out of bounds and never be so. */
  readonly guarded: boolean;
}

class KernelCheck {
  readonly #problems: string[] = [];
  readonly #access = new Map<Buffer, KernelParam['access']>();
  readonly #stored = new Set<Buffer>();
  readonly #checked = new WeakMap<Scope, Set<Expr>>();
  readonly #guardedScopes = new WeakMap<Scope, Scope>();

  run({ params, body }: Kernel): string[] {
    for (const { buffer, access } of params) {
      if (this.#access.has(buffer)) this.#problem(`${buffer.name} is passed twice`);
      if (buffer.scope !== 'param') this.#problem(`parameter ${buffer.name} has the scope '${buffer.scope}'`);
      this.#checkSize(buffer);
      this.#access.set(buffer, access);
    }
    this.#block(body, { buffers: new Set(this.#access.keys()), iters: new Set(), guarded: false });
    return [...new Set(this.#problems)];
  }

  #problem(text: string): void {
    this.#problems.push(text);
  }

  #checkSize({ name, size }: Buffer): void {
    if (!Number.isInteger(size) || size < 0) this.#problem(`${name} has ${size} elements`);
  }

  #block(stmts: readonly Stmt[], scope: Scope): void {
    for (const stmt of stmts) this.#stmt(stmt, scope);
  }

  #stmt(stmt: Stmt, scope: Scope): void {
    switch (stmt.kind) {
      case 'loop':
        this.#loop(stmt, scope);
        return;
      case 'alloc':
        if (scope.buffers.has(stmt.buffer)) this.#problem(`${stmt.buffer.name} is declared again while it lives`);
        if (stmt.buffer.scope === 'param')
          this.#problem(`${stmt.buffer.name} is declared inside the kernel but has the scope 'param'`);
        this.#checkSize(stmt.buffer);
        this.#block(stmt.body, { ...scope, buffers: new Set([...scope.buffers, stmt.buffer]) });
        return;
      case 'store':
        this.#expr(stmt.value, scope);
        this.#expectType(stmt.value, stmt.buffer.dtype, `the value stored to ${stmt.buffer.name}`);
        this.#write(stmt.buffer, stmt.index, scope);
        this.#stored.add(stmt.buffer);
        return;
      case 'reduce':
        this.#expr(stmt.value, scope);
        this.#expectType(stmt.value, stmt.buffer.dtype, `the value combined into ${stmt.buffer.name}`);
        this.#readable(stmt.buffer);
        this.#write(stmt.buffer, stmt.index, scope);
        return;
      case 'if':
        this.#expr(stmt.cond, scope);
        this.#expectType(stmt.cond, 'bool', 'the condition of an if');
        this.#block(stmt.then, { ...scope, guarded: true });
        this.#block(stmt.otherwise, { ...scope, guarded: true });
        return;
      case 'barrier':
        return;
      case 'allreduce':
        if (!Number.isInteger(stmt.width) || stmt.width < 1) this.#problem(`an allreduce over ${stmt.width} threads`);
        this.#readable(stmt.buffer);
        this.#write(stmt.buffer, stmt.index, scope);
        return;
      default:
        stmt satisfies never;
    }
  }

  #loop({ iter, limit, body }: Extract<Stmt, { kind: 'loop' }>, scope: Scope): void {
    if (scope.iters.has(iter)) this.#problem(`${iter.name} counts two loops, one inside the other`);
    if (!Number.isInteger(iter.extent) || iter.extent < 0)
      this.#problem(`the loop over ${iter.name} has the extent ${iter.extent}`);
    if (limit !== null) {
      this.#expr(limit, scope);
      this.#expectType(limit, 'index', `the limit of ${iter.name}`);
    }
    this.#block(body, {
      ...scope,
      iters: new Set([...scope.iters, iter]),
      guarded: scope.guarded || limit !== null || iter.extent === 0,
    });
  }

  #write(buffer: Buffer, at: Expr, scope: Scope): void {
    if (this.#access.get(buffer) === 'read') this.#problem(`${buffer.name} is written but passed for reading only`);
    this.#place(buffer, at, scope);
  }

  /** A parameter passed for writing has no contents until the kernel stores some. */
  #readable(buffer: Buffer): void {
    if (this.#access.get(buffer) === 'write' && !this.#stored.has(buffer))
      this.#problem(`${buffer.name} is read before anything is stored there, but passed for writing only`);
  }

  #place(buffer: Buffer, at: Expr, scope: Scope): void {
    if (!scope.buffers.has(buffer)) this.#problem(`${buffer.name} is used where it does not live`);
    this.#expr(at, scope);
    if (this.#expectType(at, 'index', `the index of ${buffer.name}`) && !scope.guarded) this.#bounds(buffer, at);
  }

  /** Only what is certain: an index that never fits, or a sum of distinct counters, which takes its extreme values. */
  #bounds(buffer: Buffer, at: Expr): void {
    const range = rangeOf(at);
    if (range === null) return;
    const reached = affineOf(at).terms.every(term => term.expr.kind === 'iter');
    const outside = range.max < 0 || range.min >= buffer.size;
    if (outside || (reached && (range.min < 0 || range.max >= buffer.size))) {
      this.#problem(
        `${buffer.name}[${printExpr(at)}] reaches from ${range.min} to ${range.max}, but ${buffer.name} has ${buffer.size} elements`,
      );
    }
  }

  #expectType(expr: Expr, type: Expr['dtype'], what: string): boolean {
    if (expr.dtype !== type) this.#problem(`${what} has type ${expr.dtype} instead of ${type}`);
    return expr.dtype === type;
  }

  /** Shared parts are checked once in each scope. */
  #expr(expr: Expr, scope: Scope): void {
    const checked = this.#checked.get(scope) ?? new Set<Expr>();
    this.#checked.set(scope, checked);
    if (checked.has(expr)) return;
    checked.add(expr);
    this.#exprItself(expr, scope);
  }

  /** The same scope under a condition, which may keep accesses in bounds. */
  #guarded(scope: Scope): Scope {
    if (scope.guarded) return scope;
    const guarded = this.#guardedScopes.get(scope) ?? { ...scope, guarded: true };
    this.#guardedScopes.set(scope, guarded);
    return guarded;
  }

  #exprItself(expr: Expr, scope: Scope): void {
    switch (expr.kind) {
      case 'const':
        this.#constant(expr);
        return;
      case 'iter':
        if (!scope.iters.has(expr.iter)) this.#problem(`${expr.iter.name} is used outside its loop`);
        return;
      case 'load':
        this.#place(expr.buffer, expr.index, scope);
        this.#readable(expr.buffer);
        return;
      case 'call':
        for (const arg of expr.args) this.#expr(arg, scope);
        this.#typed(expr, () => call(expr.fn, ...expr.args).dtype);
        return;
      case 'select':
        this.#expr(expr.cond, scope);
        this.#expr(expr.yes, this.#guarded(scope));
        this.#expr(expr.no, this.#guarded(scope));
        this.#typed(expr, () => select(expr.cond, expr.yes, expr.no).dtype);
        return;
      case 'cast':
        this.#expr(expr.value, scope);
        return;
      case 'bitcast':
        this.#expr(expr.value, scope);
        if (expr.value.dtype === 'index' || bytesOf(expr.value.dtype) !== bytesOf(expr.dtype))
          this.#problem(`the bits of a ${expr.value.dtype} are no ${expr.dtype}`);
        return;
      default:
        expr satisfies never;
    }
  }

  /** The constructors know the type rules: build the expression anew and compare. */
  #typed(expr: Expr, rebuild: () => Expr['dtype']): void {
    try {
      const type = rebuild();
      if (type !== expr.dtype) this.#problem(`${printExpr(expr)} is marked ${expr.dtype} but is ${type}`);
    } catch (error) {
      this.#problem((error as Error).message.replace(/^internal: /, ''));
    }
  }

  #constant({ dtype, value }: Extract<Expr, { kind: 'const' }>): void {
    const exact =
      dtype === 'int64'
        ? typeof value === 'bigint'
        : typeof value === 'number' &&
          (dtype !== 'float32' || Object.is(Math.fround(value), value)) &&
          (dtype !== 'bool' || value === 0 || value === 1);
    if (!exact) this.#problem(`the constant ${value} is no ${dtype}`);
  }
}

// ── programs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function verifyProgram(program: Program): void {
  throwAll(`program ${program.name}`, programProblems(program));
}

/** A piece of memory and what lies there. */
interface Span {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

export function programProblems({ state, stateBytes, totalBytes, entries }: Program): string[] {
  const spanOf = (what: string, { name, type, offset }: Slot): Span => ({
    what: `${what} ${name}`,
    start: offset,
    end: offset + numel(type.shape) * bytesOf(type.dtype),
  });
  const stateSpans = state.map(slot => spanOf('state', slot));
  const problems = stateSpans.flatMap(span => [...placeProblems(span, stateBytes), ...clashes(span, stateSpans)]);
  for (const { name, inputs, outputs, steps } of entries) {
    const own = [
      ...inputs.map(slot => spanOf(`entry ${name}: input`, slot)),
      ...outputs.map(slot => spanOf(`entry ${name}: output`, slot)),
    ];
    for (const span of own)
      problems.push(...placeProblems(span, totalBytes), ...clashes(span, [...own, ...stateSpans]));
    problems.push(...stepProblems(steps, `entry ${name}`, totalBytes, []));
  }
  return problems;
}

/** `trips` has the iterations of the loops around, the outermost first; null where they are not known. */
function stepProblems(
  steps: readonly Step[],
  what: string,
  totalBytes: number,
  trips: readonly (number | null)[],
): string[] {
  return steps.flatMap(step => {
    if (isLaunch(step)) return launchProblems(step, `${what}: ${step.kernel.name}`, totalBytes, trips);
    const inside = isLoop(step) ? [...trips, typeof step.trips === 'number' ? step.trips : null] : trips;
    const bits = isLoop(step) ? (typeof step.trips === 'number' ? [] : [step.trips.holds]) : [step.predicate];
    return [
      ...bits.flatMap(bit => addressProblems(bit, 1, `${what}: a condition`, totalBytes, inside, true)),
      ...blocksOf(step).flatMap(block => stepProblems(block, what, totalBytes, inside)),
    ];
  });
}

/** The first and the last place that something of some bytes has. */
function extremes({ base, strides }: Address, bytes: number, trips: readonly (number | null)[], what: string): Span[] {
  const at = (most: (stride: number, count: number) => number): Span => {
    const start = strides.reduce((sum, stride, l) => sum + most(stride, Math.max(0, (trips[l] ?? 1) - 1)), base);
    return { what, start, end: start + bytes };
  };
  return [at((stride, last) => Math.min(0, stride * last)), at((stride, last) => Math.max(0, stride * last))];
}

function addressProblems(
  address: Address,
  bytes: number,
  what: string,
  totalBytes: number,
  trips: readonly (number | null)[],
  loose: boolean,
): string[] {
  if (address.strides.length !== trips.length)
    return [`${what} moves with ${address.strides.length} loops inside ${trips.length}`];
  return extremes(address, bytes, trips, what).flatMap(span =>
    loose ? boundProblems(span, totalBytes) : placeProblems(span, totalBytes),
  );
}

/** Two parameters of one launch may share memory only where both are only read. */
function launchProblems(
  { kernel, args, strides }: Launch,
  what: string,
  totalBytes: number,
  trips: readonly (number | null)[],
): string[] {
  if (args.length !== kernel.params.length)
    return [`${what} takes ${kernel.params.length} arguments, not ${args.length}`];
  const places = kernel.params.map(({ buffer }, i) => ({
    what: `${what}, ${buffer.name}`,
    bytes: buffer.size * bytesOf(buffer.dtype),
    address: { base: args[i], strides: strides?.[i] ?? trips.map(() => 0) },
  }));
  const spans = places.map(place => ({
    what: place.what,
    start: place.address.base,
    end: place.address.base + place.bytes,
  }));
  return places.flatMap((place, i) => [
    ...new Set(
      addressProblems(place.address, place.bytes, place.what, totalBytes, trips, kernel.params[i].loose ?? false),
    ),
    ...(kernel.params[i].access === 'read' ? [] : clashes(spans[i], spans)),
  ]);
}

function placeProblems({ what, start, end }: Span, limit: number): string[] {
  const problems: string[] = [];
  if (start % 64 !== 0) problems.push(`${what} starts at ${start}, which is no multiple of 64`);
  return [...problems, ...boundProblems({ what, start, end }, limit)];
}

const boundProblems = ({ what, start, end }: Span, limit: number): string[] =>
  start < 0 || end > limit ? [`${what} lies at [${start}, ${end}), outside of [0, ${limit})`] : [];

const clashes = (span: Span, others: readonly Span[]): string[] =>
  others
    .filter(other => other !== span && other.start < span.end && span.start < other.end)
    .map(
      other => `${span.what} at [${span.start}, ${span.end}) overlaps ${other.what} at [${other.start}, ${other.end})`,
    );
