/** Settings of layers as PyTorch takes them: in their order, by name in a last object, or first the one and then the other. */
import { fail } from '../../compiler/errors.js';

/** What may be given for the settings `Order`, which are those of `Options` that have a place. */
export type InOrder<Options, Order extends readonly (keyof Options)[]> = [
  ...settings: { -readonly [I in keyof Order]?: Options[Order[I]] | Options },
  options?: Options,
];

const isOptions = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** All by name. Throws E108 for more of them than there are, one given twice, and names before places. */
export function byName<Options extends object, const Order extends readonly (keyof Options & string)[]>(
  layer: string,
  order: Order,
  given: readonly unknown[],
): Options {
  const last = given.at(-1);
  const [inOrder, options] = isOptions(last) ? [given.slice(0, -1), last as Options] : [given, {} as Options];
  const problem = (text: string): never =>
    fail('E108', { op: layer, problem: text, hint: `its settings: ${order.join(', ')}` });
  if (inOrder.length > order.length) problem(`takes ${order.length} settings but ${inOrder.length} were given`);
  if (inOrder.some(isOptions)) problem('takes settings by name only after those in order');
  const twice = order.slice(0, inOrder.length).find(name => name in options);
  if (twice !== undefined) problem(`got '${twice}' twice`);
  return { ...Object.fromEntries(inOrder.map((value, i) => [order[i], value])), ...options } as Options;
}
