/**
 * Which functions of a model's source run while it is traced: the functions given to `entry`, every module's `forward`, and
 * the local functions and methods that those call or pass on. A function written inside one of them belongs to it.
 */
import { ts } from '../typescript.js';
import { bare, calledName, type Vocabulary } from './vocabulary.js';

/** A function that tracing runs, and how messages call it. */
export interface TracedFunction {
  readonly node: ts.FunctionLikeDeclaration;
  readonly name: string;
}

export function tracedFunctions(files: readonly ts.SourceFile[], vocabulary: Vocabulary): TracedFunction[] {
  const found = new Map<ts.FunctionLikeDeclaration, string>();
  const add = (node: ts.FunctionLikeDeclaration | null, name: string): void => {
    if (node === null || found.has(node) || !files.includes(node.getSourceFile())) return;
    found.set(node, name);
    for (const called of calledFunctions(node, vocabulary)) add(called, functionName(called));
  };
  for (const file of files) for (const root of roots(file, vocabulary)) add(root.node, root.name);
  return [...found]
    .filter(([node]) => !enclosing(node, outer => found.has(outer as ts.FunctionLikeDeclaration)))
    .map(([node, name]) => ({ node, name }));
}

function* roots(file: ts.SourceFile, vocabulary: Vocabulary): Iterable<TracedFunction> {
  for (const node of descendants(file)) {
    if (vocabulary.isEntryCall(node) && node.arguments.length > 1) {
      const body = functionOf(node.arguments[1], vocabulary);
      if (body !== null) yield { node: body, name: entryName(node) };
    }
    if (vocabulary.isModuleClass(node)) {
      const forward = node.members.find(member => member.name?.getText() === 'forward');
      const body = forward && functionIn(forward);
      if (body) yield { node: body, name: functionName(body) };
    }
  }
}

function* calledFunctions(node: ts.Node, vocabulary: Vocabulary): Iterable<ts.FunctionLikeDeclaration> {
  for (const call of descendants(node)) {
    if (!ts.isCallExpression(call)) continue;
    for (const expression of [call.expression, ...call.arguments]) {
      const called = functionOf(expression, vocabulary);
      if (called !== null) yield called;
    }
  }
}

/** The function an expression is or names; null where it cannot be told. */
function functionOf(given: ts.Expression, vocabulary: Vocabulary): ts.FunctionLikeDeclaration | null {
  const expression = bare(given);
  if (ts.isFunctionLike(expression)) return functionIn(expression);
  if (!ts.isIdentifier(expression) && !ts.isPropertyAccessExpression(expression)) return null;
  const name = ts.isPropertyAccessExpression(expression) ? expression.name : expression;
  return (vocabulary.symbolOf(name)?.declarations ?? []).map(functionIn).find(found => found !== null) ?? null;
}

/** The function with a body that a declaration makes. */
function functionIn(declaration: ts.Node): ts.FunctionLikeDeclaration | null {
  if (ts.isFunctionLike(declaration))
    return (declaration as ts.FunctionLikeDeclaration).body ? (declaration as ts.FunctionLikeDeclaration) : null;
  const holds =
    ts.isVariableDeclaration(declaration) ||
    ts.isPropertyDeclaration(declaration) ||
    ts.isPropertyAssignment(declaration);
  const value = holds && declaration.initializer ? bare(declaration.initializer) : null;
  return value !== null && (ts.isArrowFunction(value) || ts.isFunctionExpression(value)) ? value : null;
}

const entryName = ({ parent }: ts.CallExpression): string =>
  ts.isPropertyAssignment(parent) ? `entry '${parent.name.getText()}'` : 'an entry';

function functionName(node: ts.FunctionLikeDeclaration): string {
  const named = node.name ?? (node.parent as ts.NamedDeclaration).name;
  const owner = enclosing(node, ts.isClassLike);
  const name = named ? `${named.getText()}()` : 'a function';
  return ts.isClassElement(node) && owner?.name ? `${owner.name.text}.${name}` : name;
}

/** All nodes below one, in the order of the text. */
export function* descendants(node: ts.Node): Iterable<ts.Node> {
  const children: ts.Node[] = [];
  ts.forEachChild(node, child => void children.push(child));
  for (const child of children) {
    yield child;
    yield* descendants(child);
  }
}

export function enclosing<T extends ts.Node>(node: ts.Node, is: (outer: ts.Node) => outer is T): T | null;
export function enclosing(node: ts.Node, is: (outer: ts.Node) => boolean): ts.Node | null;
export function enclosing(node: ts.Node, is: (outer: ts.Node) => boolean): ts.Node | null {
  for (let outer = node.parent; outer; outer = outer.parent) if (is(outer)) return outer;
  return null;
}

export const isCallOf = (node: ts.Node, names: ReadonlySet<string>): node is ts.CallExpression =>
  ts.isCallExpression(node) && names.has(calledName(node).getText());
