/** Values that differ from call to call but would be the same in every compiled one: E314 for chance, W311 for the clock. */
import { ts } from '../typescript.js';
import type { Rule } from './finding.js';
import type { Vocabulary } from './vocabulary.js';

const chance = /^(Math\.random|crypto\.(getRandomValues|randomUUID))$/;
const clocks = /^(Date\.now|performance\.now|process\.(hrtime|hrtime\.bigint|uptime)|Date)$/;

export const outsideValues: Rule = function* ({ nodes, traced, vocabulary }) {
  for (const node of nodes) {
    const name = calledGlobal(node, vocabulary);
    if (name === null) continue;
    const facts = { where: traced.name, call: ts.isNewExpression(node) ? `new ${name}()` : `${name}()` };
    if (chance.test(name)) yield { code: 'E314', node, facts };
    if (clocks.test(name)) yield { code: 'W311', node, facts };
  }
};

/** `Math.random` for a call of that; `Date` for `new Date()`, which tells the time only without arguments. */
function calledGlobal(node: ts.Node, vocabulary: Vocabulary): string | null {
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return null;
  if (ts.isNewExpression(node) && node.arguments && node.arguments.length > 0) return null;
  let root: ts.Expression = node.expression;
  while (ts.isPropertyAccessExpression(root)) root = root.expression;
  if (!ts.isIdentifier(root) || !vocabulary.isGlobal(root)) return null;
  return node.expression.getText().replace(/^globalThis\./, '');
}
