/**
 * The debugging switches of the pipeline, the same words as options and in the variable GRADC_DEBUG
 * (`GRADC_DEBUG="dump=fuse time"`).
 */
import type { DebugOptions } from '../pass.js';
import type { Arguments, OptionSpecs } from './arguments.js';

export const debugSpecs: OptionSpecs = {
  dump: { doc: 'print the program after these passes', value: 'PASSES', list: true },
  skip: { doc: 'leave these passes out', value: 'PASSES', list: true },
  'stop-after': { doc: 'end after this pass and print the program', value: 'PASS' },
  explain: { doc: 'print what these passes decided, and why', value: 'PASSES', list: true },
  time: { doc: 'print how long each pass took' },
  verify: { doc: 'check the program after every pass' },
};

export function debugOptions(args: Arguments): DebugOptions {
  const variable = variableOptions(process.env.GRADC_DEBUG ?? '');
  const list = (name: string): string[] => [...args.list(name), ...(variable.get(name)?.split(',') ?? [])];
  const flag = (name: string): boolean => args.has(name) || variable.has(name);
  const stopAfter = args.value('stop-after') ?? variable.get('stop-after');
  return {
    dump: stopAfter === undefined ? list('dump') : [...list('dump'), stopAfter],
    skip: list('skip'),
    explain: list('explain'),
    stopAfter,
    time: flag('time'),
    verify: flag('verify'),
  };
}

/** `dump=fuse time` as a map from name to value, which is empty for switches. */
function variableOptions(text: string): Map<string, string> {
  const words = text.split(/\s+/).filter(Boolean);
  return new Map(
    words.map(word => {
      const [name, value = ''] = word.replace(/^--/, '').split('=');
      return [name, value];
    }),
  );
}
