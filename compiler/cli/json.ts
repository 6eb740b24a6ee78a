/**
 * What the commands print with `--json`: one object on standard output, with `--watch` one a build. These types are its
 * schema; where a field changes its meaning or goes, `schemaVersion` is raised.
 */
import type { BenchResult } from './bench-model.js';
import type { ModelBuild } from './build-model.js';
import type { Stage } from './choices.js';
import type { Comparison } from './compare-model.js';
import type { Diagnostic, ExitCode } from './diagnostics.js';
import type { Finding } from './doctor.js';

interface Schema {
  readonly schemaVersion: 1;
  /** What may be wrong in the model without stopping anything. */
  readonly warnings?: readonly Diagnostic[];
}

/** Of any command that failed, in place of its result. */
export interface FailureJson extends Schema {
  readonly exitCode: ExitCode;
  readonly errors: readonly Diagnostic[];
}

/** `gradc build MODEL.ts` */
export type BuildJson = Schema & ModelBuild;
/** `gradc build` of several models, or of those in the configuration; those that failed are not among the models. */
export interface BuildsJson extends Schema {
  readonly models: readonly ModelBuild[];
  /** Where one failed: the code of the first, and what is wrong in all. */
  readonly exitCode?: ExitCode;
  readonly errors?: readonly Diagnostic[];
}
/** `gradc build MODEL.ts --stop-after PASS` */
export interface StoppedJson extends Schema {
  readonly stoppedAfter: string;
}
/** `gradc compare` */
export type CompareJson = Schema & { readonly name: string; readonly revectorize: boolean } & Comparison;
/** `gradc bench` */
export type BenchJson = Schema & BenchResult & { readonly revectorize: boolean };
/** `gradc inspect` */
export interface InspectJson extends Schema {
  readonly name: string;
  readonly stage: Stage;
  /** The stage as text; absent where it was written into files. */
  readonly text?: string;
  readonly files?: readonly string[];
}
/** `gradc doctor` */
export interface DoctorJson extends Schema {
  readonly gradc: string;
  readonly node: string;
  readonly findings: readonly Finding[];
}
