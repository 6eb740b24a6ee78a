/** The command line of `npm run bench`. */
import { type Workload, workloads } from './workloads.js';

export interface Options {
  readonly json: boolean;
  readonly kernels: boolean;
  readonly eager: boolean;
  /** Also modules for V8's revectorizer, with its flag. */
  readonly revectorize: boolean;
  /** Instead of the workloads. */
  readonly math: boolean;
  readonly startup: boolean;
  readonly growth: boolean;
  /** How many threads, each in turn. */
  readonly threads: readonly number[];
  /** A folder of outputs recorded from PyTorch. */
  readonly cases: string | null;
  readonly workloads: readonly Workload[];
}

export const usage = `usage: npm run bench -- [--json] [--threads 1,2] [--kernels] [--no-eager] [--revectorize] [--compare DIR] [workload…]
       npm run bench -- --math | --startup | --growth [--json]
workloads: ${workloads.map(({ name }) => name).join(' ')}
A name stands for all that begin with it. DIR: outputs recorded from PyTorch, one npz file for each workload.`;

export class UsageError extends Error {}

export function optionsOf(args: readonly string[]): Options {
  const rest = [...args];
  const flag = (name: string): boolean => {
    const at = rest.indexOf(name);
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  };
  const valueOf = (name: string): string | null => {
    const at = rest.indexOf(name);
    if (at < 0) return null;
    const [, value] = rest.splice(at, 2);
    if (value === undefined) throw new UsageError(`${name} needs a value`);
    return value;
  };
  const options = {
    json: flag('--json'),
    kernels: flag('--kernels'),
    eager: !flag('--no-eager'),
    revectorize: flag('--revectorize'),
    math: flag('--math'),
    startup: flag('--startup'),
    growth: flag('--growth'),
    threads: threadCounts(valueOf('--threads') ?? '1,2'),
    cases: valueOf('--compare'),
  };
  if (options.revectorize && Number.parseInt(process.versions.node, 10) < 24)
    throw new UsageError(`--revectorize needs Node 24 or later, this is ${process.version}`);
  for (const name of rest) {
    if (name.startsWith('-')) throw new UsageError(`unknown option '${name}'`);
    if (!workloads.some(workload => workload.name.startsWith(name))) throw new UsageError(`no workload '${name}'`);
  }
  const wanted = ({ name }: Workload): boolean => rest.length === 0 || rest.some(prefix => name.startsWith(prefix));
  return { ...options, workloads: workloads.filter(wanted) };
}

function threadCounts(list: string): number[] {
  return list.split(',').map(text => {
    const count = Number(text);
    if (!Number.isInteger(count) || count < 1) throw new UsageError(`--threads ${list}: whole numbers from 1 on`);
    return count;
  });
}
