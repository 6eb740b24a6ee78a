/**
 * May a program be judged by the language alone? The platform's declarations are most of what a type checker reads, and a
 * model seldom names anything of them. They can only add names and members. So where files are found right without them,
 * they are right with them too, unless they do one of the few things that an addition can make wrong; then nothing is
 * concluded.
 */
import { descendants } from './analysis/reach.js';
import { isOwnFile, ownTypes } from './own-modules.js';
import { ts } from './typescript.js';

/** Of a program that has no errors. */
export function isSelfContained(program: ts.Program): boolean {
  const checker = program.getTypeChecker();
  const isLanguages = (file: ts.SourceFile): boolean => program.isSourceFileDefaultLibrary(file);
  const derivesFromLanguage = (node: ts.Node): boolean =>
    ts.isHeritageClause(node) &&
    node.types.some(({ expression }) =>
      checker.getTypeAtLocation(expression).symbol?.declarations?.some(found => isLanguages(found.getSourceFile())),
    );
  if (platformModules.some(path => program.getSourceFile(path))) return false;
  return program
    .getSourceFiles()
    .filter(file => !isLanguages(file) && !isOwnFile(file.fileName))
    .every(
      file =>
        isPlainModule(file) &&
        !program.isSourceFileFromExternalLibrary(file) &&
        ![...descendants(file)].some(derivesFromLanguage),
    );
}

/** What gradc declares of anything but tensors speaks of streams, workers and modules. */
const platformModules = Object.entries(ownTypes()).flatMap(([name, files]) =>
  ['gradc', 'gradc/functional'].includes(name) ? [] : files,
);

/** A module of code that declares nothing outside of itself, and neither names declarations nor silences errors by comments. */
const isPlainModule = (file: ts.SourceFile): boolean =>
  ts.isExternalModule(file) &&
  !file.isDeclarationFile &&
  !/globalThis|@ts-|\/\/\/\s*</.test(file.text) &&
  !file.statements.some(declaresOutside);

const declaresOutside = (node: ts.Statement): boolean =>
  ts.isModuleDeclaration(node) &&
  (ts.isStringLiteral(node.name) || (node.flags & ts.NodeFlags.GlobalAugmentation) !== 0);
