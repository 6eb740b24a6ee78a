/** The user's line behind a node, for what is shown when the pointer rests on it. */
import { readFileSync } from 'node:fs';
import type { Site } from '../../errors.js';
import { formatType, type Node } from '../../ir/graph.js';

const files = new Map<string, readonly string[]>();

function linesOf(file: string): readonly string[] {
  let lines = files.get(file);
  if (lines === undefined) {
    try {
      lines = readFileSync(file, 'utf8').split('\n');
    } catch {
      lines = [];
    }
    files.set(file, lines);
  }
  return lines;
}

/** `model.ts:13` and the line itself. */
export function sourceText(site: Site | null): string {
  if (site === null || site.line === 0) return '';
  const text = linesOf(site.file)[site.line - 1]?.trim();
  return `${site.file}:${site.line}${text === undefined ? '' : `\n${text}`}`;
}

/** Type, attributes, module and source line of a node. */
export function nodeText(node: Node): string {
  const attrs = Object.entries(node.attrs).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return [
    `${node.op}: ${formatType(node.type)}`,
    ...(attrs.length > 0 ? [attrs.join(', ')] : []),
    ...(node.site?.module ? [`in ${node.site.module}`] : []),
    sourceText(node.site),
  ]
    .filter(line => line !== '')
    .join('\n');
}
