/**
 * Changes of what lies outside a traced function: variables around it, fields of its module, arrays and objects it captured.
 * Tracing runs the change once and compiled calls never do, so E316 where a value is carried from call to call (a counter, a
 * recurrent state), W312 where something is only set. Tensors changed in place are state, and fine; so is what is put back
 * before the function ends.
 */
import { ts } from '../typescript.js';
import type { Rule, Subject } from './finding.js';
import { excerpt } from './operators.js';
import { enclosing } from './reach.js';
import { bare, type Vocabulary } from './vocabulary.js';

const { SyntaxKind } = ts;

/** Methods of arrays, maps and sets that change them. */
const changing = new Set('push pop shift unshift splice sort reverse fill copyWithin set add delete clear'.split(' '));

interface Change {
  /** Where it is reported. */
  readonly node: ts.Node;
  readonly target: ts.Expression;
  /** What it becomes, where that is written plainly: `target = value`. */
  readonly value: ts.Expression | null;
  /** Does the operation itself use the value from before? */
  readonly usesOld: boolean;
}

export const captures: Rule = function* (subject) {
  const { nodes, traced, vocabulary } = subject;
  const changes = nodes
    .flatMap(node => [...changesBy(node, subject)])
    .filter(({ target }) => capturedRoot(target, subject) !== null && !belongsToTensor(target, vocabulary));
  const restored = new Set(
    changes.filter(change => restores(change, vocabulary)).map(({ target }) => target.getText()),
  );
  for (const change of changes) {
    if (restored.has(change.target.getText())) continue;
    const code = change.usesOld || readsOld(change, subject) ? 'E316' : 'W312';
    yield { code, node: change.node, facts: { where: traced.name, target: excerpt(change.target) } };
  }
};

/** Is it set to a constant that was made from it: `const before = a; …; a = before`? */
function restores({ target, value }: Change, vocabulary: Vocabulary): boolean {
  if (value === null || !ts.isIdentifier(value)) return false;
  const declaration = vocabulary.symbolOf(value)?.valueDeclaration;
  const saved = declaration && ts.isVariableDeclaration(declaration) ? aliasOf(declaration) : null;
  return saved?.getText() === target.getText();
}

/** Is it a field of a tensor, as `grad`, or of what a tensor holds? */
function belongsToTensor(target: ts.Expression, vocabulary: Vocabulary): boolean {
  for (let at = bare(target); isAccess(at); at = bare(at.expression))
    if (vocabulary.isTensor(at.expression)) return true;
  return false;
}

function* changesBy(node: ts.Node, { vocabulary }: Subject): Iterable<Change> {
  if (ts.isBinaryExpression(node) && isAssignment(node.operatorToken.kind)) {
    const plain = node.operatorToken.kind === SyntaxKind.EqualsToken;
    const lazy = /^(\?\?|\|\||&&)=$/.test(node.operatorToken.getText());
    for (const target of targets(node.left))
      yield { node, target, value: plain ? node.right : null, usesOld: !plain && !lazy };
  } else if (isIncrement(node)) {
    yield { node, target: node.operand, value: null, usesOld: true };
  } else if (ts.isDeleteExpression(node)) {
    yield { node, target: node.expression, value: null, usesOld: false };
  } else if (
    ts.isCallExpression(node) &&
    ts.isPropertyAccessExpression(node.expression) &&
    changing.has(node.expression.name.text) &&
    vocabulary.isGlobal(node.expression.name)
  ) {
    yield { node, target: node.expression.expression, value: null, usesOld: false };
  }
}

const isAssignment = (kind: ts.SyntaxKind): boolean =>
  kind >= SyntaxKind.FirstAssignment && kind <= SyntaxKind.LastAssignment;

const isIncrement = (node: ts.Node): node is ts.PrefixUnaryExpression | ts.PostfixUnaryExpression =>
  (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) &&
  (node.operator === SyntaxKind.PlusPlusToken || node.operator === SyntaxKind.MinusMinusToken);

/** The places an assignment writes to: several for `[a, b] = …` and `({ a, b } = …)`. */
function* targets(given: ts.Expression): Iterable<ts.Expression> {
  const left = bare(given);
  if (ts.isArrayLiteralExpression(left)) {
    for (const element of left.elements) yield* targets(ts.isSpreadElement(element) ? element.expression : element);
  } else if (ts.isObjectLiteralExpression(left)) {
    for (const property of left.properties) {
      if (ts.isPropertyAssignment(property)) yield* targets(property.initializer);
      else if (ts.isShorthandPropertyAssignment(property)) yield property.name;
    }
  } else if (!ts.isOmittedExpression(left)) yield left;
}

type Access = ts.PropertyAccessExpression | ts.ElementAccessExpression;
const isAccess = (node: ts.Node): node is Access =>
  ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node);

/**
 * The variable outside the traced function, or the `this` of a module or optimizer, that an expression leads to by fields and
 * elements only; local names for such things are followed. null where it leads elsewhere, or through a call.
 */
export function capturedRoot(given: ts.Expression, subject: Subject): ts.Node | null {
  let root = bare(given);
  while (isAccess(root)) root = bare(root.expression);
  if (root.kind === SyntaxKind.ThisKeyword) return ownsState(root, subject) ? root : null;
  if (!ts.isIdentifier(root)) return null;
  const declaration = subject.vocabulary.symbolOf(root)?.valueDeclaration;
  if (!declaration) return null;
  if (!isWithin(declaration, subject.traced.node)) return isVariable(declaration) ? root : null;
  const origin = ts.isVariableDeclaration(declaration) ? aliasOf(declaration) : null;
  return origin && capturedRoot(origin, subject);
}

/** `this` of a traced method, in a class whose objects live from call to call. */
function ownsState(node: ts.Node, { vocabulary }: Subject): boolean {
  const owner = enclosing(node, ts.isClassLike);
  return owner !== null && vocabulary.isStatefulClass(owner);
}

/** What `const name = …` or `for (const name of …)` is a name for. */
function aliasOf(declaration: ts.VariableDeclaration): ts.Expression | null {
  if ((ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Const) === 0) return null;
  if (declaration.initializer) return declaration.initializer;
  const loop = declaration.parent.parent;
  return ts.isForOfStatement(loop) ? loop.expression : null;
}

const isVariable = (declaration: ts.Declaration): boolean =>
  ts.isVariableDeclaration(declaration) || ts.isParameter(declaration) || ts.isBindingElement(declaration);

const isWithin = (node: ts.Node, outer: ts.Node): boolean =>
  node.getSourceFile() === outer.getSourceFile() && node.pos >= outer.pos && node.end <= outer.end;

/** Is the value from the call before seen: in the new value, or earlier in the function other than to ask if it is set? */
function readsOld({ node, target, value }: Change, { nodes, vocabulary }: Subject): boolean {
  const named = (expression: ts.Node): ts.Symbol | null =>
    vocabulary.symbolOf(ts.isPropertyAccessExpression(expression) ? expression.name : expression);
  const symbol = value !== null ? named(target) : null;
  if (symbol === null) return false;
  return nodes.some(
    read =>
      (ts.isIdentifier(read) || ts.isPropertyAccessExpression(read)) &&
      read !== target &&
      named(read) === symbol &&
      !isWithin(read, target) &&
      !isWritten(read) &&
      (isWithin(read, value!) || (read.pos < node.pos && !guards(read, node))),
  );
}

const isWritten = (read: ts.Node): boolean => {
  const at = ts.isPropertyAccessExpression(read.parent) && read.parent.name === read ? read.parent : read;
  return (
    ts.isBinaryExpression(at.parent) && at.parent.left === at && at.parent.operatorToken.kind === SyntaxKind.EqualsToken
  );
};

/** Does `read` stand in the condition of an `if` around `node`? */
const guards = (read: ts.Node, node: ts.Node): boolean =>
  enclosing(node, outer => ts.isIfStatement(outer) && isWithin(read, outer.expression)) !== null;
