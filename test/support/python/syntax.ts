/**
 * Python text to a syntax tree: a typed form of what @lezer/python parses.
 *
 * Lezer's tree is made for editors, so three things are put right on the way: `2.` is not a number to it (the text is
 * normalised first), `not` takes too much to its right (and/or/not are regrouped), and a chain of comparisons is a tree of
 * binary ones (flattened). What has no form here is `Unsupported`, by name.
 */
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@lezer/python';
import { PythonError, Unsupported } from './errors.js';
import { decodeString } from './text.js';
import { ellipsis, PyFloat, type Value } from './values.js';

export type UnaryOp = '-' | '+' | '~' | 'not';
export type BinaryOp = '+' | '-' | '*' | '/' | '//' | '%' | '**' | '@' | '<<' | '>>' | '&' | '|' | '^';
export type CompareOp = '<' | '<=' | '>' | '>=' | '==' | '!=' | 'in' | 'not in' | 'is' | 'is not';

export type Expr =
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'sequence'; readonly form: 'tuple' | 'list' | 'set'; readonly items: readonly Expr[] }
  | { readonly kind: 'dict'; readonly entries: readonly { readonly key: Expr | null; readonly value: Expr }[] }
  | { readonly kind: 'unary'; readonly op: UnaryOp; readonly operand: Expr }
  | { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'logical'; readonly op: 'and' | 'or'; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'compare'; readonly first: Expr; readonly rest: readonly { op: CompareOp; right: Expr }[] }
  | { readonly kind: 'conditional'; readonly test: Expr; readonly yes: Expr; readonly no: Expr }
  | { readonly kind: 'lambda'; readonly params: readonly Param[]; readonly body: Expr }
  | {
      readonly kind: 'comprehension';
      readonly form: 'list' | 'set' | 'dict' | 'generator';
      readonly key: Expr | null;
      readonly element: Expr;
      readonly clauses: readonly Clause[];
    }
  | { readonly kind: 'call'; readonly callee: Expr; readonly args: readonly Argument[] }
  | { readonly kind: 'attribute'; readonly object: Expr; readonly name: string }
  | { readonly kind: 'subscript'; readonly object: Expr; readonly index: Expr }
  | { readonly kind: 'slice'; readonly start: Expr | null; readonly stop: Expr | null; readonly step: Expr | null }
  | { readonly kind: 'starred'; readonly value: Expr }
  | { readonly kind: 'walrus'; readonly name: string; readonly value: Expr }
  | { readonly kind: 'format'; readonly parts: readonly (string | FormatPart)[] };

export type Clause =
  | { readonly kind: 'for'; readonly target: Expr; readonly iterable: Expr }
  | { readonly kind: 'if'; readonly test: Expr };
export interface Argument {
  /** `*` and `**` spread; a name makes it a keyword argument. */
  readonly spread: '' | '*' | '**';
  readonly name: string | null;
  readonly value: Expr;
}
export interface Param {
  readonly name: string;
  readonly spread: '' | '*' | '**';
  readonly fallback: Expr | null;
  readonly keywordOnly: boolean;
}
export interface FormatPart {
  readonly value: Expr;
  readonly conversion: string;
  readonly spec: readonly (string | FormatPart)[];
  /** The text before `=` in `{x=}`. */
  readonly label: string;
}

export type Stmt =
  | { readonly kind: 'expression'; readonly value: Expr }
  | { readonly kind: 'assign'; readonly targets: readonly Expr[]; readonly value: Expr }
  | { readonly kind: 'augment'; readonly target: Expr; readonly op: BinaryOp; readonly value: Expr }
  | { readonly kind: 'if'; readonly branches: readonly { test: Expr; body: Body }[]; readonly otherwise: Body }
  | {
      readonly kind: 'for';
      readonly target: Expr;
      readonly iterable: Expr;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | { readonly kind: 'while'; readonly test: Expr; readonly body: Body; readonly otherwise: Body }
  | {
      readonly kind: 'def';
      readonly name: string;
      readonly params: readonly Param[];
      readonly body: Body;
      readonly decorators: readonly Expr[];
    }
  | {
      readonly kind: 'class';
      readonly name: string;
      readonly bases: readonly Expr[];
      readonly body: Body;
      readonly decorators: readonly Expr[];
    }
  | { readonly kind: 'with'; readonly items: readonly { context: Expr; target: Expr | null }[]; readonly body: Body }
  | {
      readonly kind: 'try';
      readonly body: Body;
      readonly handlers: readonly Handler[];
      readonly otherwise: Body;
      readonly final: Body;
    }
  | { readonly kind: 'return'; readonly value: Expr | null }
  | { readonly kind: 'raise'; readonly value: Expr | null }
  | { readonly kind: 'assert'; readonly test: Expr; readonly message: Expr | null }
  | { readonly kind: 'delete'; readonly targets: readonly Expr[] }
  | {
      readonly kind: 'import';
      readonly module: readonly string[];
      readonly alias: string | null;
      readonly names: readonly { name: string; alias: string }[];
    }
  | { readonly kind: 'scope'; readonly names: readonly string[]; readonly where: 'global' | 'nonlocal' }
  | { readonly kind: 'break' | 'continue' | 'pass' };
export type Body = readonly Stmt[];
export interface Handler {
  readonly type: Expr | null;
  readonly name: string | null;
  readonly body: Body;
}

/** Parse a whole text. */
export function parseProgram(source: string): Body {
  const text = normaliseNumbers(source);
  return new Reader(text).program(parser.parse(text).topNode);
}

/** Parse a text that is one expression. */
export function parseExpression(source: string): Expr {
  const [statement, ...more] = parseProgram(source.trim());
  if (statement?.kind !== 'expression' || more.length > 0)
    throw new PythonError('SyntaxError', `not one expression: ${source}`);
  return statement.value;
}

/** `2.` and `1.e5` become `2.0` and `1.0e5`; strings and comments are left alone. */
function normaliseNumbers(source: string): string {
  const piece =
    /'''[\s\S]*?'''|"""[\s\S]*?"""|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|#[^\n]*|(?<![\w.])\d[\d_]*\.(?![\d_])/g;
  return source.replace(piece, found => (/^\d/.test(found) ? `${found}0` : found));
}

const compareOps: ReadonlySet<string> = new Set(['<', '<=', '>', '>=', '==', '!=']);
const punctuation: ReadonlySet<string> = new Set([
  ',',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ':',
  ';',
  '.',
  'AssignOp',
  'Comment',
]);

/** A step of regrouping and/or/not: an operand, or one of the three words. */
type LogicToken = Expr | 'and' | 'or' | 'not';

class Reader {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }

  program(top: SyntaxNode): Body {
    return this.#children(top).flatMap(node => this.#statement(node));
  }

  #source(node: SyntaxNode): string {
    return this.#text.slice(node.from, node.to);
  }

  #children(node: SyntaxNode): SyntaxNode[] {
    const children: SyntaxNode[] = [];
    for (let child = node.firstChild; child !== null; child = child.nextSibling) {
      if (child.type.isError) throw new PythonError('SyntaxError', `invalid syntax near '${this.#source(node)}'`);
      if (child.name !== 'Comment') children.push(child);
    }
    return children;
  }

  // ── statements ────────────────────────────────────────────────────────────────────────────────────────────────────

  #statement(node: SyntaxNode): Stmt[] {
    const children = this.#children(node);
    switch (node.name) {
      case 'StatementGroup':
        return children.filter(child => child.name !== ';').flatMap(child => this.#statement(child));
      case 'ExpressionStatement':
        return [{ kind: 'expression', value: this.#tupleOf(children) }];
      case 'AssignStatement':
        return this.#assign(children);
      case 'UpdateStatement': {
        const at = children.findIndex(child => child.name === 'UpdateOp');
        const op = this.#source(children[at]).slice(0, -1) as BinaryOp;
        return [
          {
            kind: 'augment',
            target: this.#tupleOf(children.slice(0, at)),
            op,
            value: this.#tupleOf(children.slice(at + 1)),
          },
        ];
      }
      case 'IfStatement':
        return [this.#if(children)];
      case 'ForStatement': {
        const inAt = children.findIndex(child => child.name === 'in');
        const bodyAt = children.findIndex(child => child.name === 'Body');
        return [
          {
            kind: 'for',
            target: this.#tupleOf(children.slice(1, inAt)),
            iterable: this.#tupleOf(children.slice(inAt + 1, bodyAt)),
            body: this.#body(children[bodyAt]),
            otherwise: this.#bodyAfter(children, 'else'),
          },
        ];
      }
      case 'WhileStatement':
        return [
          {
            kind: 'while',
            test: this.#expr(children[1]),
            body: this.#body(children[2]),
            otherwise: this.#bodyAfter(children, 'else'),
          },
        ];
      case 'FunctionDefinition':
      case 'ClassDefinition':
        return [this.#definition(node, [])];
      case 'DecoratedStatement':
        return [
          this.#definition(
            children[children.length - 1],
            children.slice(0, -1).map(child => this.#decorator(child)),
          ),
        ];
      case 'WithStatement':
        return [this.#with(children)];
      case 'TryStatement':
        return [this.#try(children)];
      case 'ReturnStatement':
        return [{ kind: 'return', value: children.length > 1 ? this.#tupleOf(children.slice(1)) : null }];
      case 'RaiseStatement':
        return [{ kind: 'raise', value: children.length > 1 ? this.#expr(children[1]) : null }];
      case 'AssertStatement':
        return [
          {
            kind: 'assert',
            test: this.#expr(children[1]),
            message: children.length > 3 ? this.#expr(children[3]) : null,
          },
        ];
      case 'DeleteStatement':
        return [{ kind: 'delete', targets: this.#operands(children.slice(1)) }];
      case 'ImportStatement':
        return this.#import(children);
      case 'ScopeStatement': {
        const names = children
          .slice(1)
          .filter(child => child.name === 'VariableName')
          .map(child => this.#source(child));
        return [{ kind: 'scope', where: children[0].name as 'global' | 'nonlocal', names }];
      }
      case 'PassStatement':
        return [{ kind: 'pass' }];
      case 'BreakStatement':
        return [{ kind: 'break' }];
      case 'ContinueStatement':
        return [{ kind: 'continue' }];
      default:
        throw new Unsupported(`Python syntax ${node.name}`);
    }
  }

  #body(node: SyntaxNode): Body {
    return this.#children(node)
      .filter(child => child.name !== ':')
      .flatMap(child => this.#statement(child));
  }

  #bodyAfter(children: readonly SyntaxNode[], word: string): Body {
    const at = children.findIndex(child => child.name === word);
    return at < 0 ? [] : this.#body(children[at + 1]);
  }

  #assign(children: readonly SyntaxNode[]): Stmt[] {
    const groups: SyntaxNode[][] = [[]];
    for (const child of children) {
      if (child.name === 'AssignOp') groups.push([]);
      else if (child.name !== 'TypeDef') groups[groups.length - 1].push(child);
    }
    if (groups.length === 1) return [];
    const parts = groups.map(group => this.#tupleOf(group));
    return [{ kind: 'assign', targets: parts.slice(0, -1), value: parts[parts.length - 1] }];
  }

  #if(children: readonly SyntaxNode[]): Stmt {
    const branches: { test: Expr; body: Body }[] = [];
    children.forEach((child, at) => {
      if (child.name === 'if' || child.name === 'elif')
        branches.push({ test: this.#expr(children[at + 1]), body: this.#body(children[at + 2]) });
    });
    return { kind: 'if', branches, otherwise: this.#bodyAfter(children, 'else') };
  }

  #definition(node: SyntaxNode, decorators: readonly Expr[]): Stmt {
    const children = this.#children(node);
    const body = this.#body(children[children.length - 1]);
    const name = this.#source(children.find(child => child.name === 'VariableName')!);
    if (node.name === 'ClassDefinition') {
      const list = children.find(child => child.name === 'ArgList');
      const bases = list === undefined ? [] : this.#args(list).map(argument => argument.value);
      return { kind: 'class', name, bases, body, decorators };
    }
    if (node.name !== 'FunctionDefinition' || children[0].name === 'async')
      throw new Unsupported(`Python syntax ${this.#source(node).split('\n')[0]}`);
    return {
      kind: 'def',
      name,
      params: this.#params(children.find(child => child.name === 'ParamList')!),
      body,
      decorators,
    };
  }

  #decorator(node: SyntaxNode): Expr {
    const children = this.#children(node).slice(1);
    const names = children.filter(child => child.name === 'VariableName').map(child => this.#source(child));
    const callee = names
      .slice(1)
      .reduce<Expr>((object, name) => ({ kind: 'attribute', object, name }), { kind: 'name', name: names[0] });
    const list = children.find(child => child.name === 'ArgList');
    return list === undefined ? callee : { kind: 'call', callee, args: this.#args(list) };
  }

  #with(children: readonly SyntaxNode[]): Stmt {
    const items: { context: Expr; target: Expr | null }[] = [];
    for (let at = 1; children[at].name !== 'Body'; at++) {
      if (children[at].name === ',') continue;
      const named = children[at + 1].name === 'as';
      items.push({ context: this.#expr(children[at]), target: named ? this.#expr(children[at + 2]) : null });
      if (named) at += 2;
    }
    return { kind: 'with', items, body: this.#body(children[children.length - 1]) };
  }

  #try(children: readonly SyntaxNode[]): Stmt {
    const handlers: Handler[] = [];
    children.forEach((child, at) => {
      if (child.name !== 'except') return;
      const end = children.findIndex((later, index) => index > at && later.name === 'Body');
      const clause = children.slice(at + 1, end);
      handlers.push({
        type: clause.length > 0 ? this.#expr(clause[0]) : null,
        name: clause.length > 2 ? this.#source(clause[2]) : null,
        body: this.#body(children[end]),
      });
    });
    return {
      kind: 'try',
      body: this.#body(children[1]),
      handlers,
      otherwise: this.#bodyAfter(children, 'else'),
      final: this.#bodyAfter(children, 'finally'),
    };
  }

  #import(children: readonly SyntaxNode[]): Stmt[] {
    const importAt = children.findIndex(child => child.name === 'import');
    const items = this.#split(children.slice(importAt + 1)).map(group => {
      const words = group.map(child => this.#source(child));
      const asAt = words.indexOf('as');
      const path = (asAt < 0 ? words : words.slice(0, asAt)).filter(word => word !== '.');
      return { path, alias: asAt < 0 ? null : words[asAt + 1] };
    });
    if (importAt > 0) {
      const module = children
        .slice(1, importAt)
        .map(child => this.#source(child))
        .filter(word => word !== '.');
      return [
        {
          kind: 'import',
          module,
          alias: null,
          names: items.map(({ path, alias }) => ({ name: path[0], alias: alias ?? path[0] })),
        },
      ];
    }
    return items.map(({ path, alias }) => ({ kind: 'import', module: path, alias, names: [] }));
  }

  // ── expressions ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** `a, b` without brackets is a tuple; one expression alone is itself. */
  #tupleOf(nodes: readonly SyntaxNode[]): Expr {
    const items = this.#operands(nodes);
    const isTuple = nodes.some(node => node.name === ',');
    if (!isTuple && items.length === 1) return items[0];
    return { kind: 'sequence', form: 'tuple', items };
  }

  #split(nodes: readonly SyntaxNode[]): SyntaxNode[][] {
    const groups: SyntaxNode[][] = [[]];
    for (const node of nodes) {
      if (node.name === ',') groups.push([]);
      else groups[groups.length - 1].push(node);
    }
    return groups.filter(group => group.length > 0);
  }

  /** The comma-separated expressions among some nodes, brackets dropped, stars kept. */
  #operands(nodes: readonly SyntaxNode[]): Expr[] {
    const inner = nodes.filter(node => node.name === ',' || node.name === '*' || !punctuation.has(node.name));
    return this.#split(inner).map(group =>
      group[0].name === '*' ? { kind: 'starred', value: this.#expr(group[1]) } : this.#expr(group[0]),
    );
  }

  #expr(node: SyntaxNode): Expr {
    const children = this.#children(node);
    switch (node.name) {
      case 'VariableName':
        return { kind: 'name', name: this.#source(node) };
      case 'Number':
        return { kind: 'constant', value: this.#number(this.#source(node)) };
      case 'String':
        return { kind: 'constant', value: decodeString(this.#source(node)) };
      case 'FormatString':
        return { kind: 'format', parts: this.#formatParts(node) };
      case 'ContinuedString':
        return this.#continued(children);
      case 'None':
        return { kind: 'constant', value: null };
      case 'Boolean':
        return { kind: 'constant', value: this.#source(node) === 'True' };
      case 'Ellipsis':
        return { kind: 'constant', value: ellipsis };
      case 'ParenthesizedExpression':
        return this.#expr(children[1]);
      case 'TupleExpression':
        return { kind: 'sequence', form: 'tuple', items: this.#operands(children) };
      case 'ArrayExpression':
        return { kind: 'sequence', form: 'list', items: this.#operands(children) };
      case 'SetExpression':
        return { kind: 'sequence', form: 'set', items: this.#operands(children) };
      case 'DictionaryExpression':
        return this.#dict(children);
      case 'ArrayComprehensionExpression':
        return this.#comprehension('list', children.slice(1, -1));
      case 'SetComprehensionExpression':
        return this.#comprehension('set', children.slice(1, -1));
      case 'DictionaryComprehensionExpression':
        return this.#comprehension('dict', children.slice(1, -1));
      case 'ComprehensionExpression':
        return this.#comprehension('generator', children.slice(1, -1));
      case 'UnaryExpression':
        return children[0].name === 'not'
          ? this.#logic(node)
          : { kind: 'unary', op: this.#source(children[0]) as UnaryOp, operand: this.#expr(children[1]) };
      case 'BinaryExpression':
        return this.#binary(node, children);
      case 'ConditionalExpression':
        return {
          kind: 'conditional',
          yes: this.#expr(children[0]),
          test: this.#expr(children[2]),
          no: this.#expr(children[4]),
        };
      case 'LambdaExpression':
        return { kind: 'lambda', params: this.#params(children[1]), body: this.#expr(children[children.length - 1]) };
      case 'NamedExpression':
        return { kind: 'walrus', name: this.#source(children[0]), value: this.#expr(children[2]) };
      case 'CallExpression':
        return { kind: 'call', callee: this.#expr(children[0]), args: this.#args(children[1]) };
      case 'MemberExpression':
        return this.#member(children);
      default:
        throw new Unsupported(`Python syntax ${node.name}: ${this.#source(node)}`);
    }
  }

  #number(text: string): Value {
    const digits = text.replaceAll('_', '');
    if (/j$/i.test(digits)) throw new Unsupported(`complex number ${text}`);
    if (/^0[xob]/i.test(digits) || /^\d+$/.test(digits)) {
      const exact = BigInt(digits);
      return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
    }
    return new PyFloat(Number(digits));
  }

  #continued(children: readonly SyntaxNode[]): Expr {
    const parts = children.flatMap(child =>
      child.name === 'FormatString' ? this.#formatParts(child) : [decodeString(this.#source(child))],
    );
    if (parts.every(part => typeof part === 'string')) return { kind: 'constant', value: parts.join('') };
    return { kind: 'format', parts };
  }

  #dict(children: readonly SyntaxNode[]): Expr {
    const entries = this.#split(children.slice(1, -1)).map(group =>
      group[0].name === '**'
        ? { key: null, value: this.#expr(group[1]) }
        : { key: this.#expr(group[0]), value: this.#expr(group[2]) },
    );
    return { kind: 'dict', entries };
  }

  #comprehension(form: 'list' | 'set' | 'dict' | 'generator', nodes: readonly SyntaxNode[]): Expr {
    const firstFor = nodes.findIndex(node => node.name === 'for');
    if (nodes.some(node => node.name === 'async')) throw new Unsupported('Python syntax async comprehension');
    const head = nodes.slice(0, firstFor);
    const clauses: Clause[] = [];
    for (let at = firstFor; at < nodes.length; ) {
      const next = nodes.findIndex((node, index) => index > at && (node.name === 'for' || node.name === 'if'));
      const end = next < 0 ? nodes.length : next;
      const clause = nodes.slice(at + 1, end);
      if (nodes[at].name === 'if') clauses.push({ kind: 'if', test: this.#expr(clause[0]) });
      else {
        const inAt = clause.findIndex(node => node.name === 'in');
        clauses.push({
          kind: 'for',
          target: this.#tupleOf(clause.slice(0, inAt)),
          iterable: this.#expr(clause[inAt + 1]),
        });
      }
      at = end;
    }
    return {
      kind: 'comprehension',
      form,
      key: form === 'dict' ? this.#expr(head[0]) : null,
      element: this.#expr(head[head.length - 1]),
      clauses,
    };
  }

  #binary(node: SyntaxNode, children: readonly SyntaxNode[]): Expr {
    const op = this.#operator(children);
    if (op === 'and' || op === 'or') return this.#logic(node);
    const right = this.#expr(children[children.length - 1]);
    if (!this.#isCompare(op)) return { kind: 'binary', op: op as BinaryOp, left: this.#expr(children[0]), right };
    const left = this.#expr(children[0]);
    const step = { op: op as CompareOp, right };
    return left.kind === 'compare' && children[0].name === 'BinaryExpression'
      ? { kind: 'compare', first: left.first, rest: [...left.rest, step] }
      : { kind: 'compare', first: left, rest: [step] };
  }

  #operator(children: readonly SyntaxNode[]): string {
    return children
      .slice(1, -1)
      .map(child => this.#source(child))
      .join(' ');
  }

  #isCompare(op: string): boolean {
    return compareOps.has(op) || op === 'in' || op === 'not in' || op === 'is' || op === 'is not';
  }

  /** Regroup and/or/not by Python's precedence: `not` binds tightest, then `and`, then `or`. */
  #logic(node: SyntaxNode): Expr {
    const tokens = this.#logicTokens(node);
    let at = 0;
    const not = (): Expr => {
      if (tokens[at] === 'not') {
        at++;
        return { kind: 'unary', op: 'not', operand: not() };
      }
      return tokens[at++] as Expr;
    };
    const chain = (op: 'and' | 'or', operand: () => Expr): Expr => {
      let left = operand();
      while (tokens[at] === op) {
        at++;
        left = { kind: 'logical', op, left, right: operand() };
      }
      return left;
    };
    return chain('or', () => chain('and', not));
  }

  #logicTokens(node: SyntaxNode): LogicToken[] {
    const children = this.#children(node);
    if (node.name === 'UnaryExpression' && children[0].name === 'not')
      return ['not', ...this.#logicTokens(children[1])];
    if (node.name === 'BinaryExpression') {
      const op = this.#operator(children);
      if (op === 'and' || op === 'or')
        return [...this.#logicTokens(children[0]), op, ...this.#logicTokens(children[2])];
    }
    return [this.#expr(node)];
  }

  #member(children: readonly SyntaxNode[]): Expr {
    const object = this.#expr(children[0]);
    if (children[1].name === '.') return { kind: 'attribute', object, name: this.#source(children[2]) };
    const inner = children.slice(2, -1);
    const items = this.#split(inner).map(group => this.#indexItem(group));
    const isTuple = inner.some(child => child.name === ',');
    return { kind: 'subscript', object, index: isTuple ? { kind: 'sequence', form: 'tuple', items } : items[0] };
  }

  #indexItem(group: readonly SyntaxNode[]): Expr {
    if (!group.some(node => node.name === ':')) return this.#operands(group)[0];
    const bounds: (Expr | null)[] = [null, null, null];
    let part = 0;
    for (const node of group) {
      if (node.name === ':') part++;
      else bounds[part] = this.#expr(node);
    }
    return { kind: 'slice', start: bounds[0], stop: bounds[1], step: bounds[2] };
  }

  #args(list: SyntaxNode): Argument[] {
    const inner = this.#children(list).slice(1, -1);
    if (inner.some(child => child.name === 'for'))
      return [{ spread: '', name: null, value: this.#comprehension('generator', inner) }];
    return this.#split(inner).map(group => {
      if (group[0].name === '*' || group[0].name === '**')
        return { spread: group[0].name, name: null, value: this.#expr(group[1]) };
      if (group[1]?.name === 'AssignOp')
        return { spread: '', name: this.#source(group[0]), value: this.#expr(group[2]) };
      return { spread: '', name: null, value: this.#expr(group[0]) };
    });
  }

  #params(list: SyntaxNode): Param[] {
    const inner = this.#children(list).filter(
      child => child.name !== '(' && child.name !== ')' && child.name !== 'TypeDef',
    );
    const params: Param[] = [];
    let keywordOnly = false;
    for (const group of this.#split(inner)) {
      const spread = group[0].name === '*' || group[0].name === '**' ? group[0].name : '';
      const nameNode = spread === '' ? group[0] : group[1];
      if (nameNode?.name === 'VariableName') {
        const fallback = group.length > 2 && spread === '' ? this.#expr(group[2]) : null;
        params.push({ name: this.#source(nameNode), spread, fallback, keywordOnly: keywordOnly && spread === '' });
      } else if (spread !== '*' && this.#source(group[0]) !== '/')
        throw new Unsupported(`Python parameter ${this.#source(list)}`);
      if (spread === '*') keywordOnly = true;
    }
    return params;
  }

  #formatParts(node: SyntaxNode): (string | FormatPart)[] {
    const text = this.#source(node);
    const prefix = /^[a-zA-Z]*/.exec(text)![0];
    const quote = text.startsWith('"""', prefix.length) || text.startsWith("'''", prefix.length) ? 3 : 1;
    const literal = (from: number, to: number): string =>
      decodeString(
        `${prefix.replace(/f/i, '')}${text.slice(prefix.length, prefix.length + quote)}${this.#text.slice(from, to)}${text.slice(-quote)}`,
      )
        .replaceAll('{{', '{')
        .replaceAll('}}', '}');
    return this.#replacements(node, node.from + prefix.length + quote, node.to - quote, literal);
  }

  #replacements(
    node: SyntaxNode,
    from: number,
    to: number,
    literal: (from: number, to: number) => string,
  ): (string | FormatPart)[] {
    const parts: (string | FormatPart)[] = [];
    let at = from;
    for (const child of this.#children(node)) {
      if (child.name !== 'FormatReplacement') continue;
      if (child.from > at) parts.push(literal(at, child.from));
      parts.push(this.#replacement(child, literal));
      at = child.to;
    }
    if (to > at) parts.push(literal(at, to));
    return parts;
  }

  #replacement(node: SyntaxNode, literal: (from: number, to: number) => string): FormatPart {
    const children = this.#children(node);
    const conversion = children.find(child => child.name === 'FormatConversion');
    const spec = children.find(child => child.name === 'FormatSpec');
    const selfDoc = children.find(child => child.name === 'FormatSelfDoc');
    const values = children.filter(
      child => child.name === ',' || !(punctuation.has(child.name) || child.name.startsWith('Format')),
    );
    return {
      value: this.#tupleOf(values),
      conversion: conversion === undefined ? '' : this.#source(conversion).slice(1),
      spec: spec === undefined ? [] : this.#replacements(spec, spec.from + 1, spec.to, literal),
      label: selfDoc === undefined ? '' : this.#text.slice(node.from + 1, selfDoc.to),
    };
  }
}
