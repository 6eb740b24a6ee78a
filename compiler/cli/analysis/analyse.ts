/**
 * The analysis of a model's source, for what tracing alone cannot see or sees too late: what JavaScript does with a tensor
 * outside its methods, values that would be frozen, changes that would be lost. It uses the types of the check that has run
 * anyway. Nothing depends on it: what it misses, tracing refuses or the comparison catches.
 *
 * `// gradc-allow W312` on the line, or on the line above, silences one code there.
 */
import { relative } from 'node:path';
import { describe } from '../../errors.js';
import type { Diagnostic } from '../diagnostics.js';
import { isOwnFile } from '../own-modules.js';
import { ts } from '../typescript.js';
import { captures } from './captures.js';
import { dataReads } from './data-reads.js';
import type { Finding, Rule } from './finding.js';
import { conditions, operators } from './operators.js';
import { outsideValues } from './outside-values.js';
import { descendants, tracedFunctions } from './reach.js';
import { Vocabulary } from './vocabulary.js';

const rules: readonly Rule[] = [conditions, operators, dataReads, outsideValues, captures];

/** What is wrong in the functions that tracing will run, in the order of the text. */
export function analyse(program: ts.Program): Finding[] {
  const vocabulary = Vocabulary.of(program);
  if (vocabulary === null) return [];
  const files = program
    .getSourceFiles()
    .filter(
      file => !file.isDeclarationFile && !program.isSourceFileFromExternalLibrary(file) && !isOwnFile(file.fileName),
    );
  return tracedFunctions(files, vocabulary)
    .flatMap(traced => {
      const subject = { traced, nodes: [...descendants(traced.node)], vocabulary };
      return rules.flatMap(rule => [...rule(subject)]);
    })
    .filter(finding => !isAllowed(finding))
    .sort(
      (a, b) => files.indexOf(a.node.getSourceFile()) - files.indexOf(b.node.getSourceFile()) || start(a) - start(b),
    );
}

const start = ({ node }: Finding): number => node.getStart();

function isAllowed({ code, node }: Finding): boolean {
  const file = node.getSourceFile();
  const { line } = file.getLineAndCharacterOfPosition(node.getStart());
  const lines = file.text.split('\n').slice(Math.max(0, line - 1), line + 1);
  return lines.some(text => new RegExp(`//.*\\bgradc-allow\\b.*\\b${code}\\b`).test(text));
}

export function diagnosticOf({ code, node, facts }: Finding): Diagnostic {
  const { kind, sentence, hint } = describe(code, facts);
  const file = node.getSourceFile();
  const { line, character } = file.getLineAndCharacterOfPosition(node.getStart());
  return {
    kind,
    code,
    message: sentence,
    site: { file: relative(process.cwd(), file.fileName), line: line + 1, column: character + 1, module: '' },
    hint,
  };
}

/** The type checker's words for an operator on tensors, and for the number that it gives where a tensor is wanted. */
const operatorErrors = [2356, 2362, 2363, 2365, 2367];
const resultErrors = [2322, 2345];

/** Does a finding say better what this error of the type checker says? */
export function replaces({ code, node }: Finding, { code: number, file, start = -1 }: ts.Diagnostic): boolean {
  if (code !== 'E312' || file !== node.getSourceFile()) return false;
  if (operatorErrors.includes(number)) return start >= node.getStart() && start < node.getEnd();
  const whole = wholeExpression(node);
  return resultErrors.includes(number) && [whole.getStart(), whole.parent.getStart()].includes(start);
}

/** The arithmetic that an operator is a part of. */
function wholeExpression(node: ts.Node): ts.Node {
  const { parent } = node;
  const arithmetic =
    ts.isParenthesizedExpression(parent) || ts.isPrefixUnaryExpression(parent) || ts.isBinaryExpression(parent);
  return arithmetic ? wholeExpression(parent) : node;
}
