/** The entry points of the gradc that is running, by the names users import: model files use this copy and no other. */
import { fileURLToPath } from 'node:url';

const paths = {
  gradc: 'runtime/index',
  'gradc/functional': 'runtime/functional',
  'gradc/compiler': 'compiler/index',
  'gradc/deploy': 'runtime/deploy/index',
  'gradc/config': 'compiler/cli/define-config',
};
const inSources = import.meta.url.endsWith('.ts');
const located = (suffix: string): Map<string, URL> =>
  new Map(Object.entries(paths).map(([name, path]) => [name, new URL(`../../${path}${suffix}`, import.meta.url)]));

/** Is it one of gradc's own, and not the user's? */
export const isOwnFile = (path: string): boolean => ownFolders.some(folder => path.startsWith(folder));
const ownFolders = ['compiler', 'runtime', 'backends'].map(folder =>
  fileURLToPath(new URL(`../../${folder}/`, import.meta.url)),
);

export const ownModules: ReadonlyMap<string, URL> = located(inSources ? '.ts' : '.js');

/** In the form of the compiler option `paths`. */
export const ownTypes = (): Record<string, string[]> =>
  Object.fromEntries([...located(inSources ? '.ts' : '.d.ts')].map(([name, url]) => [name, [fileURLToPath(url)]]));
