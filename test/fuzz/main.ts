/** `npm run fuzz:files -- --count 100000 [--seed 1] [--format pt]`: mutated files through the loaders, with what they cost. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formats, fuzz } from './loaders.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    format: { type: 'string' },
  },
});
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MB`;

const folder = fileURLToPath(new URL('../reference/data/io', import.meta.url));
for (const format of formats(folder).filter(({ name }) => values.format === undefined || name === values.format)) {
  const start = performance.now();
  const tally = fuzz(format, Number(values.count), Number(values.seed));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    `${format.name.padEnd(12)} ${values.count} files in ${seconds} s: ${tally.loaded} loaded, ${tally.refused} refused, ` +
      `${tally.faults.length} faults; at most ${tally.slowest.toFixed(1)} ms (${tally.slowestByClock.toFixed(1)} by the clock), ${megabytes(tally.arrays)} in arrays, ` +
      `${megabytes(tally.heap)} in the heap; process at most ${megabytes(process.resourceUsage().maxRSS * 1024)}`,
  );
  for (const fault of tally.faults.slice(0, 10)) console.log(`  ${fault}`);
  if (tally.faults.length > 0) process.exitCode = 1;
}
