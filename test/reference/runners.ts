/** Running groups of cases in modes. */
import type { Group } from './cases.js';
import { compileCases } from './compiled.js';
import { runEager } from './eager.js';
import type { Mode } from './outcome.js';
import type { Result } from './report.js';

export async function runGroups(groups: readonly Group[], modes: readonly Mode[], root: string): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name, cases } of groups) {
    for (const mode of modes) {
      const outcomes =
        mode === 'eager' ? cases.map(entry => runEager(entry, root)) : await compileCases(cases, mode, root);
      cases.forEach((entry, i) => {
        results.push({ group: name, id: entry.id, mode, outcome: outcomes[i] });
      });
    }
  }
  return results;
}
