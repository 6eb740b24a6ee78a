/**
 * Values of tensors read while tracing, where there are none: E315 where the reading decides what runs, W313 for a captured
 * tensor, whose value at that moment is compiled in, E313 elsewhere.
 */
import { ts } from '../typescript.js';
import { capturedRoot } from './captures.js';
import type { Rule, Subject } from './finding.js';
import { excerpt } from './operators.js';
import { descendants, enclosing, isCallOf } from './reach.js';
import { bare, type Vocabulary } from './vocabulary.js';

/** Methods (and functions, for some) that give plain values out of tensors. */
const readers = new Set(['item', 'tolist', 'toTypedArray', 'equal', 'allclose']);

export const dataReads: Rule = function* (subject) {
  const { nodes, traced, vocabulary } = subject;
  const reads = nodes.filter(
    (node): node is ts.CallExpression => isRead(node, vocabulary) && !isCaptured(node, subject),
  );
  const deciding = new Set<ts.Node>();
  for (const { node, condition, loops } of decisions(nodes)) {
    const read = readBehind(condition, reads, vocabulary);
    if (read === null) continue;
    deciding.add(read);
    yield { code: 'E315', node, facts: { where: traced.name, code: excerpt(condition), read: excerpt(read), loops } };
  }
  for (const read of reads)
    if (!deciding.has(read)) yield { code: 'E313', node: read, facts: { where: traced.name, read: excerpt(read) } };
  for (const node of nodes)
    if (isRead(node, vocabulary) && isCaptured(node, subject))
      yield { code: 'W313', node, facts: { where: traced.name, read: excerpt(node) } };
};

function isRead(node: ts.Node, vocabulary: Vocabulary): node is ts.CallExpression {
  if (!isCallOf(node, readers)) return false;
  const { expression, arguments: given } = node;
  if (ts.isPropertyAccessExpression(expression) && vocabulary.isTensor(expression.expression)) return true;
  return given.length > 1 && given.slice(0, 2).every(argument => vocabulary.isTensor(argument));
}

/** Is it a tensor of the model's state, or another from outside, named without any computation in between? */
function isCaptured({ expression }: ts.CallExpression, subject: Subject): boolean {
  return ts.isPropertyAccessExpression(expression) && capturedRoot(expression.expression, subject) !== null;
}

interface Decision {
  readonly node: ts.Node;
  readonly condition: ts.Expression;
  readonly loops: boolean;
}

/** The places where a function chooses what to run. */
function* decisions(nodes: readonly ts.Node[]): Iterable<Decision> {
  for (const node of nodes) {
    if (ts.isIfStatement(node) || ts.isSwitchStatement(node))
      yield { node: node.expression, condition: node.expression, loops: false };
    else if (ts.isConditionalExpression(node)) yield { node: node.condition, condition: node.condition, loops: false };
    else if (ts.isWhileStatement(node) || ts.isDoStatement(node))
      yield { node: node.expression, condition: node.expression, loops: true };
    else if (ts.isForStatement(node) && node.condition)
      yield { node: node.condition, condition: node.condition, loops: true };
  }
}

/** The reading that an expression's value comes from, directly or by local variables. */
function readBehind(
  expression: ts.Expression,
  reads: readonly ts.CallExpression[],
  vocabulary: Vocabulary,
  seen: Set<ts.Node> = new Set(),
): ts.CallExpression | null {
  for (const node of [expression, ...descendants(expression)]) {
    if (seen.has(node)) continue;
    seen.add(node);
    const read = reads.find(candidate => candidate === node);
    if (read) return read;
    const origin = ts.isIdentifier(node) ? originOf(node, vocabulary) : null;
    const behind = origin && readBehind(origin, reads, vocabulary, seen);
    if (behind) return behind;
  }
  return null;
}

/** What a local variable started as; a tensor is no plain value, so nothing is read by naming it. */
function originOf(name: ts.Identifier, vocabulary: Vocabulary): ts.Expression | null {
  const declaration = vocabulary.symbolOf(name)?.valueDeclaration;
  const variable =
    declaration && (ts.isBindingElement(declaration) ? enclosing(declaration, ts.isVariableDeclaration) : declaration);
  if (!variable || !ts.isVariableDeclaration(variable) || !variable.initializer || vocabulary.isTensor(name))
    return null;
  return bare(variable.initializer);
}
