/** Counting outcomes, as a table for people and as JSON. */
import { type Mode, modes, type Outcome, type Status } from './outcome.js';

export interface Result {
  readonly group: string;
  readonly id: string;
  readonly mode: Mode;
  readonly outcome: Outcome;
}
type Counts = Record<Status, number>;

const emptyCounts = (): Counts => ({ passed: 0, failed: 0, unsupported: 0, notApplicable: 0 });

function count(results: readonly Result[]): Map<string, Map<Mode, Counts>> {
  const groups = new Map<string, Map<Mode, Counts>>();
  for (const { group, mode, outcome } of results) {
    const byMode = groups.get(group) ?? new Map<Mode, Counts>();
    groups.set(group, byMode);
    const counts = byMode.get(mode) ?? emptyCounts();
    byMode.set(mode, counts);
    counts[outcome.status]++;
  }
  return groups;
}

const notPassed = (results: readonly Result[]): readonly Result[] =>
  results.filter(({ outcome }) => outcome.status === 'failed' || outcome.status === 'unsupported');

export function reportJson(results: readonly Result[]): string {
  const groups = Object.fromEntries([...count(results)].map(([name, byMode]) => [name, Object.fromEntries(byMode)]));
  return JSON.stringify(
    {
      schemaVersion: 1,
      groups,
      notPassed: notPassed(results).map(({ id, mode, outcome: { status, message } }) => ({
        id,
        mode,
        status,
        message,
      })),
    },
    null,
    2,
  );
}

export function reportText(results: readonly Result[], verbose: boolean): string {
  const groups = count(results);
  const lines = [
    `${'group'.padEnd(16)}${'mode'.padEnd(12)}${['passed', 'failed', 'unsupported', 'not applicable'].map(title => title.padStart(15)).join('')}`,
  ];
  const totals = new Map<Mode, Counts>();
  const row = (name: string, mode: Mode, counts: Counts): string =>
    `${name.padEnd(16)}${mode.padEnd(12)}${[counts.passed, counts.failed, counts.unsupported, counts.notApplicable].map(n => String(n).padStart(15)).join('')}`;
  for (const [name, byMode] of groups) {
    for (const mode of modes) {
      const counts = byMode.get(mode);
      if (counts === undefined) continue;
      lines.push(row(name, mode, counts));
      const total = totals.get(mode) ?? emptyCounts();
      totals.set(mode, total);
      for (const status of Object.keys(total) as Status[]) total[status] += counts[status];
    }
  }
  for (const [mode, counts] of totals) lines.push(row('total', mode, counts));
  lines.push('');
  for (const { id, mode, outcome } of notPassed(results))
    lines.push(`${outcome.status.padEnd(12)}${mode.padEnd(10)} ${id}: ${outcome.message}`);
  if (verbose)
    for (const { id, mode, outcome } of results)
      if (outcome.status === 'passed' && outcome.message !== '')
        lines.push(`message     ${mode.padEnd(10)} ${id}: ${outcome.message}`);
  return lines.join('\n');
}
