/**
 * What a command accepts, and reading it from the command line. One table per command gives parsing, `--help` and the
 * suggestion for a mistyped name.
 */
import { parseArgs } from 'node:util';
import { fail } from '../errors.js';

export interface OptionSpec {
  readonly doc: string;
  /** How the value is called in the help; an option without it is a switch. */
  readonly value?: string;
  /** The values it may have, where they are few. */
  readonly choices?: readonly string[];
  /** Several values, separated by commas. */
  readonly list?: boolean;
  readonly fallback?: string;
  /** One letter: `h` for -h. */
  readonly short?: string;
}
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

export interface CommandSyntax {
  readonly name: string;
  readonly summary: string;
  /** Names of the positional arguments, all required. */
  readonly positionals: readonly string[];
  /** How further ones are called, of which there may be any number; without it there may be none. */
  readonly rest?: string;
  readonly options: OptionSpecs;
}

/** Accepted by every command. */
export const commonOptions: OptionSpecs = {
  help: { doc: 'show this help', short: 'h' },
  json: { doc: 'one JSON object on standard output' },
};

export class Arguments {
  constructor(
    readonly positionals: readonly string[],
    private readonly given: Readonly<Record<string, string | boolean | undefined>>,
    private readonly specs: OptionSpecs,
  ) {}

  /** Was the switch given? */
  has(name: string): boolean {
    return this.given[name] === true;
  }
  /** What was given on the command line, without the fallback. */
  stated(name: string): string | null {
    const value = this.given[name];
    return typeof value === 'string' ? value : null;
  }
  value(name: string): string | null {
    return this.stated(name) ?? this.specs[name].fallback ?? null;
  }
  list(name: string): string[] {
    return this.value(name)?.split(',').filter(Boolean) ?? [];
  }
  /** Throws E501 where it is not a number of at least `least`. */
  number(name: string, least: number): number {
    const text = this.value(name)!;
    const value = Number(text);
    if (text.trim() === '' || !(value >= least))
      fail('E501', { problem: `--${name} must be a number of at least ${least}, given '${text}'` });
    return value;
  }
}

/** Throws E501 for what the command does not accept. */
export function parseArguments(syntax: CommandSyntax, argv: readonly string[]): Arguments {
  const specs: OptionSpecs = { ...syntax.options, ...commonOptions };
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, { value, short }]) => [
        name,
        { type: value ? ('string' as const) : ('boolean' as const), ...(short && { short }) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given: Record<string, string | boolean> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    else if (token.kind === 'option')
      given[token.name] = optionValue(syntax.name, specs, token.name, token.rawName, token.value);
  }
  if (!given.help) checkPositionals(syntax, positionals);
  return new Arguments(positionals, given, specs);
}

function optionValue(
  command: string,
  specs: OptionSpecs,
  name: string,
  rawName: string,
  value: string | undefined,
): string | boolean {
  const spec = Object.hasOwn(specs, name) ? specs[name] : null;
  if (spec === null) {
    const near = nearest(name, Object.keys(specs));
    return fail('E501', {
      problem: `unknown option ${rawName}`,
      hint: near ? `did you mean --${near}?` : `see gradc ${command} --help`,
    });
  }
  if (spec.value === undefined) {
    if (value !== undefined) fail('E501', { problem: `--${name} takes no value, given '${value}'` });
    return true;
  }
  if (value === undefined) fail('E501', { problem: `--${name} needs a value: --${name} ${spec.value}` });
  for (const part of spec.list ? value!.split(',') : [value!]) {
    if (spec.choices && !spec.choices.includes(part)) {
      const near = nearest(part, spec.choices);
      fail('E501', {
        problem: `--${name}: '${part}' is none of ${spec.choices.join(', ')}`,
        hint: near && `did you mean ${near}?`,
      });
    }
  }
  return value!;
}

function checkPositionals(syntax: CommandSyntax, given: readonly string[]): void {
  const { positionals: wanted, rest } = syntax;
  const hint = `usage: ${usage(syntax)}`;
  if (given.length < wanted.length) fail('E501', { problem: `${wanted[given.length]} is missing`, hint });
  if (given.length > wanted.length && rest === undefined)
    fail('E501', { problem: `unexpected argument '${given[wanted.length]}'`, hint });
}

/** A command as it is written. */
export const usage = ({ name, positionals, rest }: CommandSyntax): string =>
  ['gradc', name, ...positionals, ...(rest === undefined ? [] : [rest])].join(' ');

/** The closest of `candidates` by edit distance, if it is close enough to be meant. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let least = Math.max(2, Math.ceil(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

/** The `--help` page of a command. */
export function helpText(syntax: CommandSyntax): string {
  const { summary, options } = syntax;
  const rows = Object.entries({ ...options, ...commonOptions }).map(([option, spec]) => {
    const choices = spec.choices ? ` (${spec.choices.join(', ')})` : '';
    const fallback = spec.fallback ? `; default ${spec.fallback}` : '';
    const short = spec.short ? `, -${spec.short}` : '';
    return [`--${option}${short}${spec.value ? ` ${spec.value}` : ''}`, `${spec.doc}${choices}${fallback}`];
  });
  return `${usage(syntax)}: ${summary}\n\n${columns(rows)}`;
}

/** Two columns of text, the first as wide as its longest entry. */
export function columns(rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}
