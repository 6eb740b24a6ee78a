/** A slice of `npm run fuzz:files`: spoilt files and files made to cost much never crash, hang or flood memory. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { canMeasure } from './footprint.js';
import { formats, fuzz } from './loaders.js';

const count = 300;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

test.each(formats(here('../reference/data/io')))('$name', format => {
  const tally = fuzz(format, count, 1);
  expect(tally.faults).toEqual([]);
  expect(tally.loaded + tally.refused).toBe(count);
  expect(tally.loaded, 'some mutations do no harm').toBeGreaterThan(0);
});

test.skipIf(!canMeasure)('the process grows by less than twice the file and 16 MB', () => {
  const slice = ['--count', '0', '--attacks', '0.4', '--every', '9'];
  const { stdout, stderr, status } = spawnSync(process.execPath, [here('run.mjs'), ...slice], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout.match(/attacks of 0.4 MB: .*; 0 faults$/gm), stdout).toHaveLength(5);
  expect(status).toBe(0);
});
