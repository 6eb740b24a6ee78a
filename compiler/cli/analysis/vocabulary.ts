/**
 * What the names and types of a program mean to gradc: is this type a tensor, this call `entry(...)`, this class a module.
 *
 * Told by symbol, not by spelling: the exports of the gradc that is running are looked up in the program once, so renamed
 * imports, aliases and subclasses are recognised, and a `Tensor` of some other library is not.
 */

import { isOwnFile, ownTypes } from '../own-modules.js';
import { ts } from '../typescript.js';

/** How much of a type is a tensor: all of it, all but absence and flags, or one possibility among others. */
export type Tensorness = 'tensor' | 'optional' | 'mixed' | 'none';

const absence =
  ts.TypeFlags.Null | ts.TypeFlags.Undefined | ts.TypeFlags.Void | ts.TypeFlags.Never | ts.TypeFlags.BooleanLiteral;

export class Vocabulary {
  readonly #tensor: ts.Symbol;
  /** Classes whose objects outlive a call: what a model's state is made of. */
  readonly #stateful: readonly ts.Symbol[];
  readonly #module: ts.Symbol;
  readonly #entry: ts.Symbol;

  private constructor(
    readonly checker: ts.TypeChecker,
    exported: (...path: string[]) => ts.Symbol,
  ) {
    this.#tensor = exported('Tensor');
    this.#module = exported('nn', 'Module');
    this.#stateful = [this.#module, exported('optim', 'Optimizer')];
    this.#entry = exported('entry');
  }

  /** null for a program that does not import gradc. */
  static of(program: ts.Program): Vocabulary | null {
    const file = program.getSourceFile(ownTypes().gradc[0]);
    const checker = program.getTypeChecker();
    const module = file && checker.getSymbolAtLocation(file);
    if (!module) return null;
    return new Vocabulary(checker, (...path) =>
      path.reduce((scope, name) => {
        const found = checker.getExportsOfModule(scope).find(symbol => symbol.name === name)!;
        return found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      }, module),
    );
  }

  /** The symbol an expression names, behind imports and shorthand properties. */
  symbolOf(node: ts.Node): ts.Symbol | null {
    const shorthand = ts.isShorthandPropertyAssignment(node.parent) && node.parent.name === node;
    const symbol = shorthand
      ? this.checker.getShorthandAssignmentValueSymbol(node.parent)
      : this.checker.getSymbolAtLocation(node);
    if (!symbol) return null;
    return symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
  }

  tensorness(type: ts.Type): Tensorness {
    const members = type.isUnion() ? type.types : [type];
    const tensors = members.filter(member => this.#isTensorClass(member));
    if (tensors.length === 0) return 'none';
    if (tensors.length === members.length) return 'tensor';
    const optional = members.every(member => tensors.includes(member) || (member.flags & absence) !== 0);
    return optional ? 'optional' : 'mixed';
  }
  /** Can it be a tensor? */
  isTensor(node: ts.Node): boolean {
    return this.tensorness(this.checker.getTypeAtLocation(node)) !== 'none';
  }

  /** As declared, which an `if` around it may have narrowed. */
  declaredType(node: ts.Expression): ts.Type {
    const symbol = this.symbolOf(ts.isPropertyAccessExpression(node) ? node.name : node);
    const isVariable = symbol && (symbol.flags & (ts.SymbolFlags.Variable | ts.SymbolFlags.Property)) !== 0;
    return isVariable ? this.checker.getTypeOfSymbol(symbol) : this.checker.getTypeAtLocation(node);
  }

  /**
   * May it be missing though its type does not say so? Elements of arrays and records have the element's type, whether they
   * are there or not; so have variables that were made from them.
   */
  isUnchecked(given: ts.Expression): boolean {
    const node = bare(given);
    if (ts.isElementAccessExpression(node)) return true;
    if (ts.isPropertyAccessExpression(node)) return this.symbolOf(node.name) === null;
    const declaration = ts.isIdentifier(node) ? this.symbolOf(node)?.valueDeclaration : undefined;
    if (declaration === undefined) return false;
    if (ts.isBindingElement(declaration)) return ts.isArrayBindingPattern(declaration.parent);
    return (
      ts.isVariableDeclaration(declaration) && !!declaration.initializer && this.isUnchecked(declaration.initializer)
    );
  }

  isEntryCall(node: ts.Node): node is ts.CallExpression {
    return ts.isCallExpression(node) && this.symbolOf(calledName(node)) === this.#entry;
  }
  isModuleClass(node: ts.Node): node is ts.ClassLikeDeclaration {
    return ts.isClassLike(node) && this.#descends(this.checker.getTypeAtLocation(node), [this.#module]);
  }
  /** Of a module or an optimizer. */
  isStatefulClass(node: ts.Node): boolean {
    return ts.isClassLike(node) && this.#descends(this.checker.getTypeAtLocation(node), this.#stateful);
  }
  /** Is it one of JavaScript's and the platform's own names, as `Math`? */
  isGlobal(node: ts.Node): boolean {
    const declarations = this.symbolOf(node)?.declarations ?? [];
    return declarations.length > 0 && declarations.every(isPlatforms);
  }

  #isTensorClass(type: ts.Type): boolean {
    return this.#descends(type, [this.#tensor]);
  }
  #descends(type: ts.Type, from: readonly ts.Symbol[]): boolean {
    if (type.symbol && from.includes(type.symbol)) return true;
    const within = type.isIntersection() ? type.types : type.isTypeParameter() ? [type.getConstraint()] : [];
    if (within.some(part => part !== undefined && this.#descends(part, from))) return true;
    const { symbol } = type;
    const isClass = symbol !== undefined && (symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) !== 0;
    return isClass && (type.getBaseTypes() ?? []).some(base => this.#descends(base, from));
  }
}

function isPlatforms(declaration: ts.Declaration): boolean {
  const file = declaration.getSourceFile();
  return file.isDeclarationFile && !isOwnFile(file.fileName);
}

/** What names the function of a call: `f` in `f(x)`, `m` in `a.m(x)`. */
export function calledName({ expression }: ts.CallExpression): ts.Node {
  return ts.isPropertyAccessExpression(expression) ? expression.name : expression;
}

/** Without parentheses, `!`, `as` and `satisfies` around it. */
export function bare(node: ts.Expression): ts.Expression {
  const wrapped =
    ts.isParenthesizedExpression(node) ||
    ts.isNonNullExpression(node) ||
    ts.isAsExpression(node) ||
    ts.isSatisfiesExpression(node);
  return wrapped ? bare(node.expression) : node;
}
