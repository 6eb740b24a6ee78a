/**
 * Tensors where JavaScript wants plain values: E311 for conditions, E312 for operators.
 *
 * An optional tensor in a condition asks whether it is there, and `===` whether it is the same object: both are fine.
 */
import { ts } from '../typescript.js';
import type { Rule } from './finding.js';
import { bare, type Vocabulary } from './vocabulary.js';

const { SyntaxKind } = ts;

export const conditions: Rule = function* ({ nodes, vocabulary }) {
  for (const node of nodes) {
    const condition = conditionOf(node, vocabulary);
    if (condition !== null && alwaysTrue(condition, vocabulary))
      yield { code: 'E311', node: condition, facts: { code: excerpt(condition) } };
  }
};

function alwaysTrue(condition: ts.Expression, vocabulary: Vocabulary): boolean {
  const tensorness = vocabulary.tensorness(vocabulary.checker.getTypeAtLocation(condition));
  if (tensorness === 'none' || tensorness === 'optional' || vocabulary.isUnchecked(condition)) return false;
  return vocabulary.tensorness(vocabulary.declaredType(condition)) !== 'optional';
}

/** What a node asks for its truth, and no part of it asks before. */
function conditionOf(node: ts.Node, vocabulary: Vocabulary): ts.Expression | null {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) return lastAsked(node.expression);
  if (ts.isConditionalExpression(node) || (ts.isForStatement(node) && node.condition))
    return lastAsked(node.condition!);
  if (ts.isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken) return lastAsked(node.operand);
  if (ts.isBinaryExpression(node) && isLogical(node)) return lastAsked(node.left);
  if (ts.isCallExpression(node) && node.arguments.length === 1 && node.expression.getText() === 'Boolean')
    return vocabulary.isGlobal(node.expression) ? lastAsked(node.arguments[0]) : null;
  return null;
}

/** The right side of `a && b`; the left one is asked by the operator itself, as is what follows a `!`. */
function lastAsked(given: ts.Expression): ts.Expression | null {
  const expression = bare(given);
  if (ts.isBinaryExpression(expression) && isLogical(expression)) return lastAsked(expression.right);
  const negated = ts.isPrefixUnaryExpression(expression) && expression.operator === SyntaxKind.ExclamationToken;
  return negated ? null : expression;
}

const logical: readonly ts.SyntaxKind[] = [
  SyntaxKind.AmpersandAmpersandToken,
  SyntaxKind.BarBarToken,
  SyntaxKind.AmpersandAmpersandEqualsToken,
  SyntaxKind.BarBarEqualsToken,
];
const isLogical = ({ operatorToken }: ts.BinaryExpression): boolean => logical.includes(operatorToken.kind);

/** The method that does what an operator says, and the one to call with the sides exchanged. */
const methods: Readonly<Record<string, readonly [method: string, exchanged?: string]>> = {
  '+': ['add', 'add'],
  '-': ['sub', 'rsub'],
  '*': ['mul', 'mul'],
  '/': ['div'],
  '%': ['remainder'],
  '**': ['pow'],
  '<': ['lt', 'gt'],
  '<=': ['le', 'ge'],
  '>': ['gt', 'lt'],
  '>=': ['ge', 'le'],
  '==': ['eq', 'eq'],
  '!=': ['ne', 'ne'],
  '===': ['eq', 'eq'],
  '!==': ['ne', 'ne'],
  '&': ['bitwiseAnd', 'bitwiseAnd'],
  '|': ['bitwiseOr', 'bitwiseOr'],
  '^': ['bitwiseXor', 'bitwiseXor'],
  '<<': ['bitwiseLeftShift'],
  '>>': ['bitwiseRightShift'],
};
const unary: Readonly<Record<string, string | null>> = {
  '-': 'neg()',
  '~': 'bitwiseNot()',
  '++': 'add_(1)',
  '--': 'sub_(1)',
  '+': null,
};

export const operators: Rule = function* ({ nodes, vocabulary }) {
  for (const node of nodes) {
    const found = ts.isBinaryExpression(node) ? binary(node, vocabulary) : unaryOperator(node, vocabulary);
    if (found !== null)
      yield { code: 'E312', node, facts: { operator: found.operator, code: excerpt(node), hint: found.hint } };
  }
};

interface Misused {
  readonly operator: string;
  readonly hint: string;
}

function binary(node: ts.BinaryExpression, vocabulary: Vocabulary): Misused | null {
  const { left, right } = node;
  const operator = node.operatorToken.getText();
  const changes = operator.endsWith('=') && Object.hasOwn(methods, operator.slice(0, -1));
  const known = Object.hasOwn(methods, operator);
  const compound = changes && !known;
  if (!known && !compound) return null;
  const isTensor = [left, right].map(side => vocabulary.isTensor(side));
  if (!isTensor.includes(true) || (isEquality(operator) && comparesObjects(node, vocabulary))) return null;
  if (isText(left, vocabulary) || isText(right, vocabulary))
    return { operator, hint: 'to show a tensor, write it into a template: `loss ' + '$' + '{loss}`' };
  const [method, exchanged] = methods[compound ? operator.slice(0, -1) : operator];
  if (compound)
    return {
      operator,
      hint: `call the method: ${excerpt(left)} = ${call(left, method, right)}, or ${method}_ in place`,
    };
  if (isTensor[0]) return { operator, hint: `call the method: ${call(left, method, right)}` };
  return {
    operator,
    hint: exchanged ? `call the method: ${call(right, exchanged, left)}` : `call the method ${method} of a tensor`,
  };
}

const isEquality = (operator: string): boolean => /^[!=]==?$/.test(operator);

/** `x === null`, and `a === b` of two tensors, are questions about objects; `a == b` of two tensors is a mistake. */
function comparesObjects({ left, right, operatorToken }: ts.BinaryExpression, vocabulary: Vocabulary): boolean {
  const sides = [left, right].map(side => vocabulary.checker.getTypeAtLocation(side));
  const nothing = ts.TypeFlags.Null | ts.TypeFlags.Undefined | ts.TypeFlags.Any | ts.TypeFlags.Unknown;
  if (sides.some(type => (type.flags & nothing) !== 0)) return true;
  return operatorToken.getText().length === 3 && sides.every(type => vocabulary.tensorness(type) !== 'none');
}

const isText = (node: ts.Expression, { checker }: Vocabulary): boolean =>
  (checker.getTypeAtLocation(node).flags & ts.TypeFlags.StringLike) !== 0;

function unaryOperator(node: ts.Node, vocabulary: Vocabulary): Misused | null {
  if (!ts.isPrefixUnaryExpression(node) && !ts.isPostfixUnaryExpression(node)) return null;
  const operator = ts.tokenToString(node.operator)!;
  if (!Object.hasOwn(unary, operator) || !vocabulary.isTensor(node.operand)) return null;
  const method = unary[operator];
  return {
    operator,
    hint: method === null ? 'leave it out' : `call the method: ${receiver(node.operand)}.${method}`,
  };
}

const call = (on: ts.Expression, method: string, argument: ts.Expression): string =>
  `${receiver(on)}.${method}(${excerpt(argument)})`;

/** Parenthesised where a method call would bind to a part of it only. */
const receiver = (node: ts.Expression): string =>
  ts.isBinaryExpression(node) || ts.isPrefixUnaryExpression(node) ? `(${excerpt(node)})` : excerpt(node);

/** A node's text on one line, shortened. */
export function excerpt(node: ts.Node): string {
  const text = node.getText().replace(/\s+/g, ' ');
  return text.length > 50 ? `${text.slice(0, 47)}...` : text;
}
