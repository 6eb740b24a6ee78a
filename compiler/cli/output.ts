/**
 * Where a command writes: its result on standard output, once; progress on standard error, only where a person watches.
 */
import { type Diagnostic, type ExitCode, report } from './diagnostics.js';

export interface Output {
  readonly json: boolean;
  /** A line about what is going on. */
  progress(text: string): void;
  /** What may be wrong without stopping anything: on standard error, and with `--json` as `warnings` of the result. */
  warn(warnings: readonly Diagnostic[]): void;
  /** What failed while other things go on: on standard error. */
  errors(diagnostics: readonly Diagnostic[]): void;
  /** What ends a command, or one round of it: on standard error, and with `--json` an object too. */
  failure(exitCode: ExitCode, diagnostics: readonly Diagnostic[]): void;
  /** The result: `text` for people, or with `--json` the object `data` with a schema version. */
  result(text: string, data: object): void;
}

/** Of the shape of every `--json` object. */
export const schemaVersion = 1;

export function consoleOutput(json: boolean): Output {
  const watched = process.stderr.isTTY === true;
  const warned: Diagnostic[] = [];
  return {
    json,
    progress(text) {
      if (watched) process.stderr.write(`${text}\n`);
    },
    warn(warnings) {
      warned.push(...warnings);
      process.stderr.write(report(warnings));
    },
    errors(diagnostics) {
      process.stderr.write(report(diagnostics));
    },
    failure(exitCode, errors) {
      if (json) process.stdout.write(`${JSON.stringify({ schemaVersion, exitCode, errors })}\n`);
      process.stderr.write(report(errors));
    },
    result(text, data) {
      process.stdout.write(
        json
          ? `${JSON.stringify({ schemaVersion, ...data, ...(warned.length > 0 ? { warnings: warned.splice(0) } : {}) })}\n`
          : text,
      );
    },
  };
}
