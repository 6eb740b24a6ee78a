/**
 * Settings of layers, optimizers and schedulers as PyTorch takes them: in their order, by name in a last object, or first the
 * one and then the other. What JavaScript would let pass unseen, a setting too many or an unknown name, is refused.
 */
import { fail } from '../compiler/errors.js';

/** What may be given for the settings `Order`, which are those of `Options` that have a place. */
export type InOrder<Options, Order extends readonly (keyof Options)[]> = [
  ...settings: { -readonly [I in keyof Order]?: Options[Order[I]] | Options },
  options?: Options,
];
/** The same behind settings without a default, `Needed`, which may also be given by name with all others. */
export type NeededInOrder<
  Options,
  Needed extends readonly (keyof Options)[],
  Order extends readonly Exclude<keyof Options, Needed[number]>[],
> =
  | [
      ...needed: { -readonly [I in keyof Needed]: Options[Needed[I]] },
      ...others: InOrder<Omit<Options, Needed[number]>, Order>,
    ]
  | [options: Options];

type Unplaced<Options, Order extends readonly (keyof Options)[]> = Exclude<keyof Options & string, Order[number]>;
/** The names of settings that have no place, where there are any. */
type Nameless<Options, Order extends readonly (keyof Options)[]> = [Unplaced<Options, Order>] extends [never]
  ? []
  : [byNameOnly: readonly Unplaced<Options, Order>[]];

const isOptions = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** All by name. Throws E108 for more of them than there are, an unknown one, one given twice, and names before places. */
export function byName<Options extends object, const Order extends readonly (keyof Options & string)[]>(
  op: string,
  order: Order,
  given: readonly unknown[],
  ...[byNameOnly = []]: Nameless<Options, Order>
): Options {
  return settingsByName(op, order, byNameOnly, given) as Options;
}

/** The same of settings whose types nobody has written down. */
export function settingsByName(
  op: string,
  order: readonly string[],
  byNameOnly: readonly string[],
  given: readonly unknown[],
): Readonly<Record<string, unknown>> {
  const known = [...order, ...byNameOnly];
  const last = given.at(-1);
  const [inOrder, options] = isOptions(last) ? [given.slice(0, -1), last] : [given, {}];
  const problem = (text: string): never =>
    fail('E108', { op, problem: text, hint: `its settings: ${known.join(', ') || 'none'}` });
  if (inOrder.length > order.length)
    problem(
      order.length === 0
        ? 'takes its settings by name'
        : `takes ${order.length} settings but ${inOrder.length} were given`,
    );
  if (inOrder.some(isOptions)) problem('takes settings by name only after those in order');
  const unknown = Object.keys(options).find(name => !known.includes(name));
  if (unknown !== undefined) problem(`got an unexpected setting '${unknown}'`);
  const twice = order.slice(0, inOrder.length).find(name => name in options);
  if (twice !== undefined) problem(`got '${twice}' twice`);
  const named = [...inOrder.map((value, i) => [order[i], value]), ...Object.entries(options)];
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}

/** All by name, where the first of them have no default. Throws E108 for one of these that is missing, too. */
export function needed<Options extends object, const Needed extends readonly (keyof Options & string)[]>(
  op: string,
  names: Needed,
  options: Options,
): Options {
  const missing = names.find(name => options[name] === undefined);
  if (missing !== undefined)
    fail('E108', { op, problem: `missing setting '${missing}'`, hint: `it needs: ${names.join(', ')}` });
  return options;
}
