/** Where in a configuration file a value is written. The file is parsed again for it, which only an error costs. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Site } from '../errors.js';
import type { ConfigPath } from './config-check.js';
import { ts } from './typescript.js';

/** The place of a value, or of the nearest around it that is written out. */
export function placeOfSetting(file: string, path: ConfigPath): Site {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true);
  const node = walk(exportedValue(source) ?? source, path);
  const { line, character } = source.getLineAndCharacterOfPosition(node.getStart());
  return { file: relative(process.cwd(), file), line: line + 1, column: character + 1, module: '' };
}

/** The expression after `export default`, without the `defineConfig` around it. */
function exportedValue(source: ts.SourceFile): ts.Node | undefined {
  const exported = source.statements.find(ts.isExportAssignment)?.expression;
  return exported && plain(ts.isCallExpression(exported) ? (exported.arguments[0] ?? exported) : exported);
}

function walk(node: ts.Node, [key, ...rest]: ConfigPath): ts.Node {
  if (key === undefined) return node;
  if (typeof key === 'number') {
    const element = ts.isArrayLiteralExpression(node) ? node.elements[key] : undefined;
    return element === undefined ? node : walk(plain(element), rest);
  }
  const member = ts.isObjectLiteralExpression(node)
    ? node.properties.find(({ name }) => name !== undefined && 'text' in name && name.text === key)
    : undefined;
  if (member === undefined) return node;
  return rest.length > 0 && ts.isPropertyAssignment(member) ? walk(plain(member.initializer), rest) : member;
}

/** Without what only the type checker sees. */
function plain(node: ts.Node): ts.Node {
  return ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isParenthesizedExpression(node)
    ? plain(node.expression)
    : node;
}
