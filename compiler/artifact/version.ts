/** gradc's own version, from the package.json above the sources or the build. */
import { readFileSync } from 'node:fs';

function findVersion(from: URL): string {
  for (const up of ['../../', '../../../']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(`${up}package.json`, from), 'utf8'));
      if (name === 'gradc') return version;
    } catch {
      // no package.json here: the sources lie one folder nearer to it than the build
    }
  }
  return 'unknown';
}

export const version = findVersion(new URL(import.meta.url));
