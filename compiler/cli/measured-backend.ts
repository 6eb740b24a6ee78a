/** The backend whose modules `compare` and `bench` run: that of a build of the same model with the same options. */
import { setFlagsFromString } from 'node:v8';
import { wasm } from '../../backends/wasm/backend.js';
import { revectorized, revectorizedPlainSums } from '../../backends/wasm/revectorized.js';
import { EnvironmentError } from './diagnostics.js';
import { wasmTunedBy } from './tune/tuned-backend.js';
import type { Tuning } from './tune/tuning-file.js';

export interface ModuleOptions {
  readonly revectorize?: boolean;
  readonly winograd?: boolean;
}

/** Throws EnvironmentError where the engine has no revectorizer. */
export function measuredBackend(
  tuning: Tuning | null,
  { revectorize = false, winograd = true }: ModuleOptions = {},
): typeof wasm {
  if (!revectorize) return wasmTunedBy(tuning, winograd);
  if (Number.parseInt(process.versions.node, 10) < 24)
    throw new EnvironmentError(`Node ${process.versions.node} has no revectorizer: use Node 24 or later`);
  setFlagsFromString('--experimental-wasm-revectorize');
  return { ...wasm, schedule: (winograd ? revectorized : revectorizedPlainSums).schedule };
}
