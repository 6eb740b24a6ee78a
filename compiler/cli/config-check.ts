/** Is a value a configuration? Every problem with the path of what is wrong, so that it can be shown in the file. */
import { nearest } from './arguments.js';
import { byteSize } from './byte-size.js';
import { nvccChoices, targets } from './choices.js';

/** Keys and indices from the whole configuration to one value in it. */
export type ConfigPath = readonly (string | number)[];
export interface ConfigProblem {
  readonly path: ConfigPath;
  readonly problem: string;
  readonly hint: string | null;
}

type Check = (value: unknown, path: ConfigPath) => ConfigProblem[];

const wrong = (path: ConfigPath, problem: string, hint: string | null = null): ConfigProblem[] => [
  { path, problem: `${nameOf(path)} ${problem}`, hint },
];
const nameOf = (path: ConfigPath): string =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('') ||
  'the configuration';

const given = (value: unknown): string => `given ${JSON.stringify(value) ?? String(value)}`;

const isText: Check = (value, path) =>
  typeof value === 'string' && value !== '' ? [] : wrong(path, `must be a path, ${given(value)}`);
const isSwitch: Check = (value, path) =>
  typeof value === 'boolean' ? [] : wrong(path, `must be true or false, ${given(value)}`);
const isSize: Check = (value, path) =>
  (typeof value === 'number' || typeof value === 'string') && byteSize(`${value}`) !== null
    ? []
    : wrong(path, `must be a size, as '64MB', ${given(value)}`);
const isSwitchOrText: Check = (value, path) =>
  typeof value === 'boolean' || (typeof value === 'string' && value !== '')
    ? []
    : wrong(path, `must be true, false or a path, ${given(value)}`);

const oneOf =
  (choices: readonly string[]): Check =>
  (value, path) => {
    if (choices.includes(value as string)) return [];
    const near = typeof value === 'string' ? nearest(value, choices) : null;
    return wrong(path, `must be one of ${choices.join(', ')}, ${given(value)}`, near && `did you mean '${near}'?`);
  };

const listOf =
  (check: Check): Check =>
  (value, path) =>
    Array.isArray(value)
      ? value.flatMap((element, i) => check(element, [...path, i]))
      : wrong(path, `must be a list, ${given(value)}`);

const objectOf =
  (checks: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return wrong(path, `must be an object, ${given(value)}`);
    const known = Object.keys(checks);
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    const missing = required.filter(key => !members.some(([name]) => name === key));
    return [
      ...missing.flatMap(key => wrong(path, `lacks '${key}'`)),
      ...members.flatMap(([key, member]) => {
        if (Object.hasOwn(checks, key)) return checks[key](member, [...path, key]);
        const near = nearest(key, known);
        return wrong([...path, key], 'is no setting', near ? `did you mean '${near}'?` : `known: ${known.join(', ')}`);
      }),
    ];
  };

const settings = {
  targets: listOf(oneOf(targets)),
  nvcc: oneOf(nvccChoices),
  threads: isSwitch,
  revectorize: isSwitch,
  winograd: isSwitch,
  checkValues: isSwitch,
  shard: isSize,
  typecheck: isSwitch,
};
const model = objectOf({ ...settings, file: isText, out: isText }, ['file']);
const modelOrPath: Check = (value, path) => (typeof value === 'string' ? isText(value, path) : model(value, path));
const config = objectOf({ ...settings, models: listOf(modelOrPath), out: isText, cache: isSwitchOrText });

export const configProblems = (value: unknown): readonly ConfigProblem[] => config(value, []);
