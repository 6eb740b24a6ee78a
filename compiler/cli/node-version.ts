/** Is this Node as new as package.json asks for? */
import { EnvironmentError } from './diagnostics.js';

/** Throws EnvironmentError for an older one. */
export function checkNode(version: string): void {
  const [major, minor] = version.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new EnvironmentError(`this is Node ${version}, and gradc needs 20.19 or later`);
}
