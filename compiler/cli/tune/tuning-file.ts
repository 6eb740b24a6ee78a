/**
 * `<model>.tuning.json` beside a model file: the plan of each contraction that a measurement found best, by a hash of
 * what the kernel does. A build follows it wherever it is made, so the same sources and the same file give the same
 * bytes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fail } from '../../errors.js';

export interface TunedPlan {
  readonly plan: string;
  /** What the kernel computes, for people. */
  readonly kernel: string;
  readonly ms: number;
  /** Of the plan that would have been taken without measuring. */
  readonly estimatedMs: number;
}
export interface Tuning {
  readonly schemaVersion: 1;
  readonly gradc: string;
  /** Where it was measured. */
  readonly machine: string;
  readonly plans: Readonly<Record<string, TunedPlan>>;
}

export const tuningPath = (modelFile: string): string => modelFile.replace(/(\.model)?\.[cm]?[jt]sx?$/, '.tuning.json');

/**
 * The tuning beside a model file, as text and as what it says; null where there is none. Throws E401 for one that is
 * broken.
 */
export function readTuning(modelFile: string): { readonly text: string; readonly tuning: Tuning } | null {
  const path = tuningPath(modelFile);
  if (!existsSync(path)) return null;
  const text = readFileSync(path, 'utf8');
  const tuning = parse(text);
  if (tuning?.schemaVersion !== 1 || typeof tuning.plans !== 'object')
    fail('E401', {
      problem: `${path} is no tuning of this version of gradc`,
      hint: 'write it again with gradc build --tune, or remove it',
    });
  return { text, tuning: tuning! };
}

function parse(text: string): Tuning | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
