/**
 * Expressions of the loop IR as C: precedence instead of parentheses, and a name for what is used more than once.
 *
 * Expressions are trees that share subtrees, and fusion makes them large. Subtrees are compared by structure; one that
 * occurs again is computed once into a `const`. A condition may guard loads; what occurs again only under one is computed in
 * a block of that condition, and what two conditions share is written under each.
 */
import { invariant } from '../../compiler/errors.js';
import {
  type Buffer,
  childrenOf,
  type Expr,
  type Iter,
  itersOf,
  rangeOf,
  type Stmt,
  walkExpr,
} from '../../compiler/ir/kernel.js';
import type { NameScope } from './names.js';
import { suggestedNames } from './names.js';
import {
  atom,
  bitcastTo,
  type Code,
  castTo,
  fromStorage,
  infix,
  literal,
  operand,
  spell,
  storageType,
  ternaryLevel,
  toStorage,
  valueType,
} from './scalar.js';

/** Longer expressions are cut into named pieces. */
const longestExpression = 96;

/** Numbers expressions so that equal structures get equal numbers. */
class Structures {
  private readonly byText = new Map<string, number>();
  private readonly byExpr = new WeakMap<Expr, number>();
  private readonly objects = new Map<object, number>();
  private readonly common = new Map<number, ReadonlySet<number>>();

  private objectId(object: object): number {
    const id = this.objects.get(object) ?? this.objects.size;
    this.objects.set(object, id);
    return id;
  }

  id(expr: Expr): number {
    const known = this.byExpr.get(expr);
    if (known !== undefined) return known;
    const text = this.describe(expr);
    const id = this.byText.get(text) ?? this.byText.size;
    this.byText.set(text, id);
    this.byExpr.set(expr, id);
    return id;
  }

  /** The parts that are computed whatever the conditions in an expression say. */
  certainIn(expr: Expr): Set<number> {
    const found = new Set<number>();
    const visit = (part: Expr): void => {
      const id = this.id(part);
      if (found.has(id)) return;
      found.add(id);
      for (const child of unguardedChildren(part)) visit(child);
      if (part.kind === 'select') for (const common of this.inBothBranches(part)) found.add(common);
    };
    visit(expr);
    return found;
  }

  private inBothBranches(expr: Expr & { kind: 'select' }): ReadonlySet<number> {
    const id = this.id(expr);
    const known = this.common.get(id);
    if (known !== undefined) return known;
    const no = this.certainIn(expr.no);
    const common = new Set([...this.certainIn(expr.yes)].filter(part => no.has(part)));
    this.common.set(id, common);
    return common;
  }

  private describe(expr: Expr): string {
    switch (expr.kind) {
      case 'const':
        return `const ${expr.dtype} ${Object.is(expr.value, -0) ? '-0' : expr.value}`;
      case 'iter':
        return `iter ${this.objectId(expr.iter)}`;
      case 'load':
        return `load ${this.objectId(expr.buffer)} ${this.id(expr.index)}`;
      case 'call':
        return `${expr.fn} ${expr.args.map(arg => this.id(arg)).join(' ')}`;
      case 'select':
        return `select ${this.id(expr.cond)} ${this.id(expr.yes)} ${this.id(expr.no)}`;
      case 'cast':
      case 'bitcast':
        return `${expr.kind} ${expr.dtype} ${this.id(expr.value)}`;
      default:
        return expr satisfies never;
    }
  }
}

const loads = new WeakMap<Expr, boolean>();
function hasLoad(expr: Expr): boolean {
  const known = loads.get(expr);
  if (known !== undefined) return known;
  const found = expr.kind === 'load' || childrenOf(expr).some(hasLoad);
  loads.set(expr, found);
  return found;
}

/** Cheap enough to write again. */
const isTrivial = (expr: Expr): boolean =>
  expr.kind === 'const' ||
  expr.kind === 'iter' ||
  (expr.kind === 'load' && expr.buffer.scope === 'register') ||
  (expr.kind === 'call' &&
    expr.dtype === 'index' &&
    expr.fn !== 'floorDiv' &&
    expr.fn !== 'mod' &&
    expr.args.every(isTrivial));

/** The names known at one point of the code: buffers, loop counters, and expressions already computed. */
export class Environment {
  private constructor(
    private readonly structures: Structures,
    private readonly buffers: Map<Buffer, string>,
    private readonly iters: Map<Iter, string>,
    private readonly computed: Map<number, string>,
    private readonly suggested: Map<number, string>,
    readonly names: NameScope,
  ) {}

  static empty(names: NameScope): Environment {
    return new Environment(new Structures(), new Map(), new Map(), new Map(), new Map(), names);
  }

  nested(): Environment {
    const { structures, buffers, iters, computed, suggested, names } = this;
    return new Environment(
      structures,
      new Map(buffers),
      new Map(iters),
      new Map(computed),
      new Map(suggested),
      names.nested(),
    );
  }

  nameBuffer(buffer: Buffer): string {
    const name = this.names.claim(buffer.name);
    this.buffers.set(buffer, name);
    return name;
  }

  nameIter(iter: Iter): string {
    return this.nameIterAs(iter, this.names.claim(iter.name));
  }

  /** A counter that has the value of a variable already there. */
  nameIterAs(iter: Iter, name: string): string {
    this.iters.set(iter, name);
    for (const suggestion of suggestedNames(iter))
      this.suggested.set(this.structures.id(suggestion.expr), suggestion.name);
    return name;
  }

  nameOf(buffer: Buffer): string {
    const name = this.buffers.get(buffer);
    invariant(name !== undefined, () => `buffer ${buffer.name} is used outside its scope`);
    return name;
  }

  /** The declaration of a buffer that lives in this block; one register is a plain variable. */
  declare(buffer: Buffer): string {
    const name = this.nameBuffer(buffer);
    if (buffer.scope === 'register') {
      const type = valueType[buffer.dtype];
      return buffer.size === 1 ? `${type} ${name};` : `__align__(16) ${type} ${name}[${buffer.size}];`;
    }
    const shared = buffer.scope === 'shared' ? '__shared__ __align__(16) ' : '';
    return `${shared}${storageType[buffer.dtype]} ${name}[${buffer.size}];`;
  }

  /** An element as the target of an assignment. */
  element(buffer: Buffer, at: string): string {
    const name = this.nameOf(buffer);
    return buffer.scope === 'register' && buffer.size === 1 ? name : `${name}[${at}]`;
  }

  /** The value of an element. */
  read(buffer: Buffer, at: string): Code {
    const element = this.element(buffer, at);
    return buffer.scope === 'register' ? atom(element) : fromStorage(buffer.dtype, element);
  }

  /** What is assigned to an element so that it holds a value. */
  stored(buffer: Buffer, value: Code): string {
    return buffer.scope === 'register' ? value.text : toStorage(buffer.dtype, value);
  }

  /**
   * C for an expression; what it needs computed beforehand is written as lines through `write`. Values are computed anew for
   * each expression, since statements between may change what they read.
   */
  expression(expr: Expr, write: (line: string) => void): Code {
    const { structures, buffers, iters, computed, suggested, names } = this;
    const own = new Environment(structures, buffers, iters, new Map(computed), suggested, names);
    return new Writer(own, own.repeatedIn(expr), write).code(expr, true);
  }

  /**
   * Names index arithmetic that the statements below use more than once and that can be computed here, such as the row and
   * the column of a flat index.
   */
  computeIndices(stmts: readonly Stmt[], write: (line: string) => void): void {
    const found: Expr[] = [];
    const collect = (expr: Expr): void => {
      walkExpr(expr, e => {
        if (e.dtype === 'index' && e.kind === 'call' && !hasLoad(e) && this.isAvailable(e)) found.push(e);
      });
    };
    for (const expr of topExpressions(stmts)) collect(expr);
    const counts = new Map<number, number>();
    const order: Expr[] = [];
    const visit = (expr: Expr): void => {
      const id = this.structures.id(expr);
      counts.set(id, (counts.get(id) ?? 0) + 1);
      if (counts.get(id) !== 1) return;
      for (const child of childrenOf(expr)) if (child.kind === 'call') visit(child);
      order.push(expr);
    };
    const inner = new Set(found.flatMap(childrenOf));
    for (const expr of found) if (!inner.has(expr)) visit(expr);
    for (const expr of order) {
      const id = this.structures.id(expr);
      const wanted = this.suggested.get(id);
      const again = counts.get(id)! > 1 && !isTrivial(expr);
      if (!this.computed.has(id) && (again || wanted !== undefined))
        this.bind(expr, wanted ?? 'place', new Writer(this, new Set(), write), write);
    }
  }

  private isAvailable(expr: Expr): boolean {
    for (const iter of itersOf(expr)) if (!this.iters.has(iter)) return false;
    return true;
  }

  /** What is computed in any case and used more than once, if only under conditions. */
  repeatedIn(expr: Expr): Set<number> {
    const certain = this.structures.certainIn(expr);
    return new Set([...this.usedAgain(expr)].filter(id => certain.has(id)));
  }

  /** What is used more than once, but for what has a name or will have one. */
  usedAgain(expr: Expr, named: ReadonlySet<number> = new Set()): Set<number> {
    const seen = new Set<number>();
    const again = new Set<number>();
    const visit = (part: Expr): void => {
      const id = this.structures.id(part);
      if (this.computed.has(id) || named.has(id) || isTrivial(part)) return;
      if (seen.has(id)) return void again.add(id);
      seen.add(id);
      for (const child of childrenOf(part)) visit(child);
    };
    visit(expr);
    return again;
  }

  bind(expr: Expr, wanted: string, writer: Writer, write: (line: string) => void): string {
    const code = writer.plain(expr, true);
    const name = this.names.claim(wanted);
    write(`const ${valueType[expr.dtype]} ${name} = ${code.text};`);
    this.computed.set(this.structures.id(expr), name);
    return name;
  }

  nameOfExpr(expr: Expr): string | undefined {
    return this.computed.get(this.structures.id(expr));
  }
  idOf(expr: Expr): number {
    return this.structures.id(expr);
  }
  nameOfIter(iter: Iter): string {
    const name = this.iters.get(iter);
    invariant(name !== undefined, () => `loop counter ${iter.name} is used outside its loop`);
    return name;
  }
}

/** Operands that are evaluated whenever the expression is: a branch of a select only where nothing in it is guarded. */
const unguardedChildren = (expr: Expr): readonly Expr[] =>
  expr.kind === 'select' ? [expr.cond, ...[expr.yes, expr.no].filter(branch => !hasLoad(branch))] : childrenOf(expr);

/** Every expression that stands directly in a statement, at any depth. */
export function topExpressions(stmts: readonly Stmt[]): Expr[] {
  return stmts.flatMap(stmt => {
    switch (stmt.kind) {
      case 'loop':
        return [...(stmt.limit ? [stmt.limit] : []), ...topExpressions(stmt.body)];
      case 'store':
      case 'reduce':
        return [stmt.index, stmt.value];
      case 'if':
        return [stmt.cond, ...topExpressions(stmt.then), ...topExpressions(stmt.otherwise)];
      case 'alloc':
        return topExpressions(stmt.body);
      case 'barrier':
        return [];
      case 'allreduce':
        return [stmt.index];
      default:
        return stmt satisfies never;
    }
  });
}

/** Writes one expression: `shared` parts, computed in any case, are bound to names on first sight; long ones are cut. */
class Writer {
  constructor(
    private readonly env: Environment,
    private readonly shared: ReadonlySet<number>,
    private readonly write: (line: string) => void,
  ) {}

  /** `free`: evaluated unconditionally, so that it may be computed beforehand. */
  code(expr: Expr, free: boolean): Code {
    const name = this.env.nameOfExpr(expr);
    if (name !== undefined) return atom(name);
    if (this.shared.has(this.env.idOf(expr))) return atom(this.bind(expr));
    const code = this.plain(expr, free);
    const cut = free && expr.kind === 'call' && expr.dtype !== 'index' && code.text.length > longestExpression;
    return cut ? atom(this.bind(expr)) : code;
  }

  private bind(expr: Expr): string {
    return this.env.bind(expr, pieceName(expr), this, this.write);
  }

  /** The expression itself, whatever names exist for it. */
  plain(expr: Expr, free: boolean): Code {
    switch (expr.kind) {
      case 'const':
        return literal(expr.dtype, expr.value);
      case 'iter':
        return atom(this.env.nameOfIter(expr.iter));
      case 'load':
        return this.env.read(expr.buffer, this.code(expr.index, free).text);
      case 'call':
        return this.call(expr, free);
      case 'select':
        return free && [expr.yes, expr.no].some(branch => this.hasOwnRepeats(branch))
          ? this.branches(expr)
          : this.ternary(expr, free);
      case 'cast':
        return castTo(expr.dtype, expr.value.dtype, this.code(expr.value, free));
      case 'bitcast':
        return bitcastTo(expr.dtype, expr.value.dtype, this.code(expr.value, free));
      default:
        return expr satisfies never;
    }
  }

  /** Whether a guarded branch uses something more than once that is computed only there. */
  private hasOwnRepeats(branch: Expr): boolean {
    return hasLoad(branch) && this.env.usedAgain(branch, this.shared).size > 0;
  }

  private ternary(expr: Expr & { kind: 'select' }, free: boolean): Code {
    const branch = (side: Expr): Code => this.code(side, free && !hasLoad(side));
    const guards =
      free && expr.cond.kind === 'call' && expr.cond.fn === 'and' && this.env.nameOfExpr(expr.cond) === undefined;
    const cond = guards ? atom(this.env.bind(expr.cond, 'inside', this, this.write)) : this.code(expr.cond, free);
    const [yes, no] = [branch(expr.yes), branch(expr.no)];
    return {
      text: `${operand(cond, ternaryLevel + 1)} ? ${operand(yes, ternaryLevel + 1)} : ${operand(no, ternaryLevel)}`,
      binds: ternaryLevel,
    };
  }

  /** A select as statements, so that what a guarded branch uses twice can be computed inside it. */
  private branches(expr: Expr & { kind: 'select' }): Code {
    const name = this.env.names.claim('value');
    const assign = (side: Expr): void => {
      const inner = (line: string): void => this.write(`  ${line}`);
      const code = this.env.nested().expression(side, inner);
      inner(`${name} = ${code.text};`);
    };
    const cond = this.code(expr.cond, true);
    for (const side of [expr.yes, expr.no]) this.bindShared(side);
    this.write(`${valueType[expr.dtype]} ${name};`);
    this.write(`if (${cond.text}) {`);
    assign(expr.yes);
    this.write('} else {');
    assign(expr.no);
    this.write('}');
    return atom(name);
  }

  private bindShared(side: Expr): void {
    walkExpr(side, part => {
      if (this.shared.has(this.env.idOf(part))) this.code(part, true);
    });
  }

  private call(expr: Expr & { kind: 'call' }, free: boolean): Code {
    const args = expr.args.map(arg => this.code(arg, free));
    const type = expr.args[0].dtype;
    if (
      type === 'index' &&
      (expr.fn === 'floorDiv' || expr.fn === 'mod') &&
      isNonNegative(expr.args[0]) &&
      isPositive(expr.args[1])
    )
      return infix(expr.fn === 'mod' ? '%' : '/', args[0], args[1]);
    return spell(expr.fn, type, args);
  }
}

const isNonNegative = (expr: Expr): boolean => (rangeOf(expr)?.min ?? -1) >= 0;
const isPositive = (expr: Expr): boolean => (rangeOf(expr)?.min ?? 0) > 0;

/** What a piece of an expression is called where nobody has suggested better. */
function pieceName(expr: Expr): string {
  if (expr.kind === 'load') return `${expr.buffer.name.replace(/.*\./, '')}_value`;
  if (expr.dtype === 'index') return 'place';
  return expr.dtype === 'bool' ? 'test' : 'value';
}
