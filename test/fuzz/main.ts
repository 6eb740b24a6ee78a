/**
 * `npm run fuzz:files -- [--count 100000] [--seed 1] [--format pt] [--attacks 0.1,1,8] [--every 1]`: mutated files through the
 * loaders, then files of so many megabytes that are made to cost much, with what they cost.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { attack } from './attack.js';
import { canMeasure } from './footprint.js';
import { formats, fuzz } from './loaders.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    format: { type: 'string' },
    attacks: { type: 'string', default: '1' },
    every: { type: 'string', default: '1' },
  },
});
const folder = fileURLToPath(new URL('../reference/data/io', import.meta.url));
const chosen = formats(folder).filter(({ name }) => values.format === undefined || name === values.format);

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MB`;
function report(line: string, faults: readonly string[]): void {
  console.log(`${line}; ${faults.length} faults`);
  for (const fault of faults.slice(0, 10)) console.log(`  ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

for (const format of Number(values.count) > 0 ? chosen : []) {
  const start = performance.now();
  const tally = fuzz(format, Number(values.count), Number(values.seed));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  report(
    `${format.name.padEnd(12)} ${values.count} files in ${seconds} s: ${tally.loaded} loaded, ${tally.refused} refused; ` +
      `at most ${tally.slowest.toFixed(1)} ms (${tally.slowestByClock.toFixed(1)} by the clock), ` +
      `${megabytes(tally.arrays)} in arrays, ${megabytes(tally.heap)} in the heap`,
    tally.faults,
  );
}

/** Every file beside its own limit, the one that comes nearest first. */
for (const format of canMeasure ? chosen : []) {
  const usual = readdirSync(folder).filter(name => format.files.test(name));
  for (const size of values.attacks.split(',').map(Number)) {
    const paths = usual.map(name => join(folder, name));
    const { results, faults } = attack(format.name, size * 2 ** 20, paths, Number(values.every));
    const nearest = results.reduce((a, b) => (a.bytes / a.limit > b.bytes / b.limit ? a : b));
    const refused = results.filter(({ outcome }) => outcome !== 'loaded').length;
    report(
      `${format.name.padEnd(12)} ${results.length} attacks of ${size} MB: ${refused} refused; ` +
        `at most ${Math.max(...results.map(({ processor }) => processor)).toFixed(0)} ms; the process grew by ` +
        `${megabytes(nearest.bytes)} where ${megabytes(nearest.limit)} are allowed ('${nearest.name}')`,
      faults,
    );
  }
}
