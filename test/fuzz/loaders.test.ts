/** A slice of `npm run fuzz:files`: mutated files of every format never crash, hang or flood memory. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { formats, fuzz } from './loaders.js';

const count = 300;

test.each(formats(fileURLToPath(new URL('../reference/data/io', import.meta.url))))('$name', format => {
  const tally = fuzz(format, count, 1);
  expect(tally.faults).toEqual([]);
  expect(tally.loaded + tally.refused).toBe(count);
  expect(tally.loaded, 'some mutations do no harm').toBeGreaterThan(0);
});
