/** Builds the page. */
import { fileURLToPath } from 'node:url';
import { vite as gradc } from 'gradc/plugin';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default {
  root: here('.'),
  plugins: [gradc({ types: here('models.d.ts') })],
  build: { outDir: here('../../dist/writer'), emptyOutDir: true, target: 'es2023' },
};
