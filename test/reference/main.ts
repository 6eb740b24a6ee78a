/**
 * `npm run test:reference -- DIR`: runs every case of a folder of reference cases in every mode and says what became of each.
 *
 * A case is passed, failed or unsupported (the message names what is missing); in the compiled modes it may be not applicable:
 * see outcome.ts. Nothing is skipped silently. Exit code 1 if anything failed, 2 for wrong usage.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readGroups } from './cases.js';
import { type Mode, modes } from './outcome.js';
import { reportJson, reportText } from './report.js';
import { runGroups } from './runners.js';

const usage = `usage: npm run test:reference -- DIR [options]

Runs the reference cases of a folder (format: test/reference/README.md).

  --mode LIST     modes to run: ${modes.join(', ')} (default: all)
  --group LIST    groups to run (default: all)
  --id TEXT       only cases whose id contains TEXT
  --json          one JSON object on stdout
  --verbose       also show where our error messages differ from PyTorch's
  --help          this text`;

class UsageError extends Error {}

function readOptions(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        mode: { type: 'string' },
        group: { type: 'string' },
        id: { type: 'string' },
        json: { type: 'boolean' },
        verbose: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    return { ...values, folder: positionals[0], extra: positionals.slice(1) };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function chosenModes(list: string | undefined): Mode[] {
  if (list === undefined) return [...modes];
  return list.split(',').map(name => {
    if (!(modes as readonly string[]).includes(name))
      throw new UsageError(`unknown mode '${name}'; there are ${modes.join(', ')}`);
    return name as Mode;
  });
}

export async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    console.log(usage);
    return 0;
  }
  if (options.folder === undefined || options.extra.length > 0) throw new UsageError('give one folder');
  const root = resolve(options.folder);
  const all = readGroups(root);
  const wanted = options.group?.split(',');
  const unknown = wanted?.find(name => !all.some(group => group.name === name));
  if (unknown !== undefined)
    throw new UsageError(`no group '${unknown}' in ${root}; there are ${all.map(group => group.name).join(', ')}`);
  const groups = all
    .filter(({ name }) => wanted?.includes(name) ?? true)
    .map(({ name, cases }) => ({
      name,
      cases: cases.filter(entry => options.id === undefined || entry.id.includes(options.id)),
    }));
  const results = await runGroups(groups, chosenModes(options.mode), root);
  console.log(options.json ? reportJson(results) : reportText(results, options.verbose ?? false));
  return results.some(({ outcome }) => outcome.status === 'failed') ? 1 : 0;
}

/** As a program: messages for the user's mistakes, the exit code. */
export async function runAsProgram(args: readonly string[]): Promise<void> {
  try {
    process.exitCode = await main(args);
  } catch (error) {
    console.error(error instanceof UsageError ? `${error.message}\n\n${usage}` : (error as Error).message);
    process.exitCode = 2;
  }
}
