import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Tests in a process of their own: they start programs, browsers and threads, measure memory or growth, change what a
 * process has once (V8's flags, globals, caches), or look at a library of which only a part is loaded.
 *
 * All others share the workers, and with them the loaded library and its optimised code: none loads and warms it again.
 * What they change of it (a default dtype, a seed), they put back.
 */
const alone = 'analysis architecture browser bundlers check-types cli cli-* cuda cuda-* growth '
  .concat('lenet memory ops-cuda package races service threads threads-* turns wasm-revectorize')
  .split(' ')
  .map(name => `test/${name}.test.ts`);

export const resolve = {
  alias: [
    { find: /^gradc$/, replacement: here('runtime/index.ts') },
    { find: /^gradc\/functional$/, replacement: here('runtime/functional.ts') },
    { find: /^gradc\/compiler$/, replacement: here('compiler/index.ts') },
    { find: /^gradc\/deploy$/, replacement: here('runtime/deploy/index.ts') },
    { find: /^gradc\/config$/, replacement: here('compiler/cli/define-config.ts') },
    { find: /^gradc\/plugin$/, replacement: here('compiler/plugins/index.ts') },
    { find: /^gradc\/eager$/, replacement: here('compiler/plugins/eager-model.ts') },
  ],
};

export default defineConfig(({ mode }) => ({
  resolve,
  test: {
    // commands that tests run write no annotations, wherever the tests themselves run
    env: { GITHUB_ACTIONS: '' },
    maxWorkers: '100%',
    // for a machine with ten times as much to do; nothing takes nearly as long on a quiet one
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // projects run in the order of their names: the long files first, and the many short ones fill both workers to the end
    projects: [
      { extends: true, mode, test: { name: 'alone', include: alone } },
      {
        extends: true,
        mode,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...alone],
          isolate: false,
        },
      },
    ],
  },
}));
