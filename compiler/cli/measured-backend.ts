/** The backend whose modules `compare` and `bench` run and `inspect` shows: that of a build with the same options. */
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

export const moduleBackend = (
  tuning: Tuning | null,
  { revectorize = false, winograd = true }: ModuleOptions = {},
): typeof wasm =>
  revectorize
    ? { ...wasm, schedule: (winograd ? revectorized : revectorizedPlainSums).schedule }
    : wasmTunedBy(tuning, winograd);

/** Made ready to run. Throws EnvironmentError where the engine has no revectorizer. */
export function measuredBackend(tuning: Tuning | null, options: ModuleOptions = {}): typeof wasm {
  if (options.revectorize) {
    if (Number.parseInt(process.versions.node, 10) < 24)
      throw new EnvironmentError(`Node ${process.versions.node} has no revectorizer: use Node 24 or later`);
    setFlagsFromString('--experimental-wasm-revectorize');
  }
  return moduleBackend(tuning, options);
}
