/**
 * The two ways a Python text can end early: with an exception of its own, or because this evaluator (or gradc behind it)
 * lacks something. The second is never confused with the first: a reference case that meets it is reported by name.
 */

/** Something outside what is implemented: names the syntax, the function or the attribute. */
export class Unsupported extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'Unsupported';
  }
}

/** An exception that Python itself would raise; `className` is what an `except` clause is matched against. */
export class PythonError extends Error {
  readonly className: string;
  constructor(className: string, message: string) {
    super(message);
    this.name = className;
    this.className = className;
  }
}

const ancestors: Readonly<Record<string, string>> = {
  ArithmeticError: 'Exception',
  AssertionError: 'Exception',
  AttributeError: 'Exception',
  FileNotFoundError: 'OSError',
  ImportError: 'Exception',
  IndexError: 'LookupError',
  KeyError: 'LookupError',
  LookupError: 'Exception',
  NameError: 'Exception',
  NotImplementedError: 'RuntimeError',
  OSError: 'Exception',
  OverflowError: 'ArithmeticError',
  RuntimeError: 'Exception',
  StopIteration: 'Exception',
  TypeError: 'Exception',
  UserWarning: 'Exception',
  ValueError: 'Exception',
  ZeroDivisionError: 'ArithmeticError',
};

export const exceptionNames: readonly string[] = ['Exception', ...Object.keys(ancestors)];

/** Whether `except caught` catches an exception of class `thrown`. */
export function catches(caught: string, thrown: string): boolean {
  for (let name: string | undefined = thrown; name !== undefined; name = ancestors[name]) {
    if (name === caught) return true;
  }
  return caught === 'Exception';
}
