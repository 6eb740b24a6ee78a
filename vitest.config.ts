import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^gradc$/, replacement: here('runtime/index.ts') },
      { find: /^gradc\/functional$/, replacement: here('runtime/functional.ts') },
      { find: /^gradc\/compiler$/, replacement: here('compiler/index.ts') },
      { find: /^gradc\/deploy$/, replacement: here('runtime/deploy/index.ts') },
      { find: /^gradc\/config$/, replacement: here('compiler/cli/define-config.ts') },
      { find: /^gradc\/plugin$/, replacement: here('compiler/plugins/index.ts') },
      { find: /^gradc\/eager$/, replacement: here('compiler/plugins/eager-model.ts') },
    ],
  },
  test: {
    // commands that tests run write no annotations, wherever the tests themselves run
    env: { GITHUB_ACTIONS: '' },
    include: ['test/**/*.test.ts'],
    maxWorkers: '100%',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
