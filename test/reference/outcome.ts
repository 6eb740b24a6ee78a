/** What became of a case in a mode. */
import { GradcError } from '../../compiler/errors.js';
import { PythonError, Unsupported } from '../support/python/errors.js';
import type { Case } from './cases.js';

export const modes = ['eager', 'wasm', 'cuda-host'] as const;
export type Mode = (typeof modes)[number];
/**
 * `notApplicable` is for the compiled modes only: nothing that the case computes on tensors is left for a compiled program to
 * do (it prints a module, reads a dtype, expects an error that tracing raises before there is a program).
 */
export type Status = 'passed' | 'failed' | 'unsupported' | 'notApplicable';
export interface Outcome {
  readonly status: Status;
  readonly message: string;
}

export const passed: Outcome = { status: 'passed', message: '' };
export const failed = (message: string): Outcome => ({ status: 'failed', message });
export const unsupported = (message: string): Outcome => ({ status: 'unsupported', message });
export const notApplicable = (message: string): Outcome => ({ status: 'notApplicable', message });

/** Errors by which gradc says that it lacks something, as against errors in what it was given. */
const lacking: ReadonlySet<string> = new Set(['E206', 'E601']);

const firstLine = (error: unknown): string => (error instanceof Error ? error.message.split('\n')[0] : String(error));

/** The outcome of a case that ended in an error although PyTorch had none. */
export function outcomeOfError(error: unknown): Outcome {
  if (error instanceof Unsupported) return unsupported(error.message);
  if (error instanceof GradcError && lacking.has(error.code)) return unsupported(error.sentence);
  const name = error instanceof Error && !(error instanceof GradcError) ? `${error.name}: ` : '';
  return failed(`${name}${firstLine(error)}`);
}

/**
 * The outcome of a case that PyTorch ended in an error: ours must be a deliberate one too, and not an internal failure. The
 * wording may differ.
 */
export function outcomeOfExpectedError(entry: Case, error: unknown): Outcome {
  const deliberate = (error instanceof GradcError && !lacking.has(error.code)) || error instanceof PythonError;
  if (!deliberate) return outcomeOfError(error);
  return { status: 'passed', message: `PyTorch: ${entry.error!.message}; gradc: ${firstLine(error)}` };
}

/** Failures inside PyTorch itself, which nobody should copy. */
const failureOfPyTorch = /returned an invalid gradient/;

/** The outcome of a case that PyTorch ended in an error and gradc did not. */
export function missingError({ error }: Case): Outcome {
  const message = error!.message.slice(0, 120);
  if (failureOfPyTorch.test(message)) return unsupported(`failing where PyTorch fails by its own mistake: ${message}`);
  return failed(`no error, but PyTorch says ${error!.type}: ${message}`);
}
