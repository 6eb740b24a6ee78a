/** Calls of a compiled model leave nothing behind. `npm run bench -- --growth` makes a hundred thousand of each entry. */
import { expect, test } from 'vitest';
import { measureGrowth } from './bench/growth.js';

test.each(measureGrowth(3000).map(growth => [growth.entry, growth] as const))('%s', (_, growth) => {
  expect(growth.modelBytes).toBe(0);
  expect(growth.bufferBytes / growth.calls).toBeLessThan(1);
  expect(growth.heapBytes / growth.calls).toBeLessThan(16);
});
