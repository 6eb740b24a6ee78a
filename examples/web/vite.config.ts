/** Builds the page, with the files it is given prepared first. */
import { fileURLToPath } from 'node:url';
import { vite as gradc } from 'gradc/plugin';
import { prepare } from './prepare.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

await prepare(here('../../dist/lenet'), here('../lenet/lenet.model.ts'));

export default {
  root: here('.'),
  plugins: [gradc({ types: here('models.d.ts') })],
  build: { outDir: here('../../dist/web'), emptyOutDir: true, target: 'es2023' },
};
