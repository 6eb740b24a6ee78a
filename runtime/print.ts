/**
 * Tensors as PyTorch prints them, character for character: widths, scientific notation, summaries, dtype and grad_fn.
 *
 * The rules are those of PyTorch 1.13's `torch/_tensor_str.py`, told from its behaviour: one format for the whole tensor,
 * chosen from its smallest and largest finite nonzero magnitude.
 */
import { complexTypeOf, getDefaultDtype, isFloat } from '../compiler/ir/dtype.js';
import { numel, type Shape } from '../compiler/ir/shape.js';
import { Complex } from '../compiler/ops/complex/number.js';
import { eagerValue, isComplexTensor, realForm, Tensor } from '../compiler/ops/tensor.js';
import { decode, type Element } from './elements.js';
import { fixed, scientific } from './numerals.js';

export interface PrintOptions {
  /** Digits after the point. */
  readonly precision: number;
  /** Elements above which a tensor is summarised. */
  readonly threshold: number;
  /** Elements shown at each end of a summarised dim. */
  readonly edgeitems: number;
  readonly linewidth: number;
  /** Scientific notation always or never; null: as the values need. */
  readonly sciMode: boolean | null;
}
export interface PrintSettings extends Partial<PrintOptions> {
  readonly profile?: keyof typeof profiles;
}

const profiles = {
  default: { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80 },
  short: { precision: 2, threshold: 1000, edgeitems: 2, linewidth: 80 },
  full: { precision: 4, threshold: Number.POSITIVE_INFINITY, edgeitems: 3, linewidth: 80 },
} as const;

let options: PrintOptions = { ...profiles.default, sciMode: null };
export const getPrintoptions = (): PrintOptions => options;
/** A profile is applied first, then the single settings; `sciMode` goes back to automatic unless given. */
export function setPrintoptions({ profile, ...settings }: PrintSettings): void {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  options = { ...options, ...(profile ? profiles[profile] : {}), sciMode: null, ...given };
}

// ── one element ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Writes elements in the one format and width that suit all of them. */
class Formatter {
  readonly width: number;
  readonly #form: (value: number) => string;

  constructor(elements: readonly Element[], floating: boolean) {
    if (!floating) {
      this.#form = String;
      this.width = widest(elements, formatPlain);
      return;
    }
    const values = (elements as number[]).filter(value => Number.isFinite(value) && value !== 0);
    const { form, wide } = chooseForm(values);
    this.#form =
      options.sciMode === null
        ? form
        : options.sciMode
          ? inScience
          : values.every(Number.isInteger)
            ? asInteger
            : inPlaces;
    this.width = widest(values, wide);
  }

  format(value: Element): string {
    return (typeof value === 'number' ? this.#form(value) : formatPlain(value)).padStart(this.width);
  }
}

/** Complex numbers: the parts each in a format of their own, and the sign between them. */
class ComplexFormatter {
  readonly width: number;
  readonly #re: Formatter;
  readonly #im: Formatter;

  constructor(numbers: readonly Complex[]) {
    this.#re = new Formatter(
      numbers.map(({ re }) => re),
      true,
    );
    this.#im = new Formatter(
      numbers.map(({ im }) => im),
      true,
    );
    this.width = this.#re.width + this.#im.width + 1;
  }

  format({ re, im }: Complex): string {
    const imaginary = `${this.#im.format(im)}j`.trimStart();
    return `${this.#re.format(re)}${imaginary.startsWith('-') ? '' : '+'}${imaginary}`;
  }
}

const widest = <T>(values: readonly T[], form: (value: T) => string): number =>
  values.reduce((width, value) => Math.max(width, form(value).length), 1);
const formatPlain = (value: Element): string =>
  typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
const asInteger = (value: number): string => fixed(value, 0) + (Number.isFinite(value) ? '.' : '');
const inPlaces = (value: number): string => fixed(value, options.precision);
const inScience = (value: number): string => scientific(value, options.precision);

/** The form for finite nonzero values, and the form that decides the width: that of the values whatever `sciMode` says. */
function chooseForm(values: readonly number[]): { form: (value: number) => string; wide: (value: number) => string } {
  if (values.length === 0) return { form: asInteger, wide: asInteger };
  const magnitudes = values.map(Math.abs);
  const largest = magnitudes.reduce((a, b) => Math.max(a, b));
  const smallest = magnitudes.reduce((a, b) => Math.min(a, b));
  const integral = values.every(Number.isInteger);
  const needsScience = largest / smallest > 1000 || largest > 1e8 || (!integral && smallest < 1e-4);
  const form = needsScience ? inScience : integral ? asInteger : inPlaces;
  return { form, wide: form };
}

// ── the layout of many ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A tensor's elements, read where they lie in its memory. */
interface Block<T = Element> {
  readonly read: (at: number) => T;
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly summarize: boolean;
}

/** Positions along a dim that are shown; null stands for the dots. */
function shownPositions(extent: number, summarize: boolean): (number | null)[] {
  const { edgeitems } = options;
  if (!summarize || extent <= 2 * edgeitems) return Array.from({ length: extent }, (_, i) => i);
  const edge = Array.from({ length: edgeitems }, (_, i) => i);
  return [...edge, null, ...edge.map(i => extent - edgeitems + i)];
}

function shownElements<T>({ read, shape, strides, summarize }: Block<T>): T[] {
  const walk = (d: number, start: number): T[] =>
    d === shape.length
      ? [read(start)]
      : shownPositions(shape[d], summarize).flatMap(i => (i === null ? [] : walk(d + 1, start + i * strides[d])));
  return walk(0, 0);
}

interface Format<T> {
  readonly width: number;
  format(value: T): string;
}

function layOut<T>(block: Block<T>, formatter: Format<T>, indent: number, d = 0, start = 0): string {
  const { read, shape, strides, summarize } = block;
  if (shape.length === 0) return formatter.format(read(start));
  const positions = shownPositions(shape[d], summarize);
  if (d === shape.length - 1) {
    const perLine = Math.max(1, Math.floor((options.linewidth - indent) / (formatter.width + 2)));
    const shown = positions.map(i => (i === null ? ' ...' : formatter.format(read(start + i * strides[d]))));
    const lines = Array.from({ length: Math.ceil(shown.length / perLine) }, (_, l) =>
      shown.slice(l * perLine, (l + 1) * perLine).join(', '),
    );
    return `[${lines.join(`,\n${' '.repeat(indent + 1)}`)}]`;
  }
  const slices = positions.map(i =>
    i === null ? '...' : layOut(block, formatter, indent + 1, d + 1, start + i * strides[d]),
  );
  return `[${slices.join(`,${'\n'.repeat(shape.length - d - 1)}${' '.repeat(indent + 1)}`)}]`;
}

/** What follows the elements, on a new line where the last one is full. */
function withSuffixes(text: string, suffixes: readonly string[], indent: number): string {
  let out = text;
  let used = text.length - text.lastIndexOf('\n') + 1;
  for (const suffix of suffixes) {
    const fits = used + suffix.length + 2 <= options.linewidth;
    out += fits ? `, ${suffix}` : `,\n${' '.repeat(indent)}${suffix}`;
    used = fits ? used + suffix.length + 2 : indent + suffix.length;
  }
  return `${out})`;
}

/** A shape as Python prints a tuple. */
const tuple = (shape: Shape): string => `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;

/** `tensor([1., 2.], grad_fn=<AddBackward0>)`. */
export function formatTensor(tensor: Tensor): string {
  const prefix = 'tensor(';
  const suffixes: string[] = [];
  const isEmpty = tensor.numel() === 0;
  if (isEmpty && tensor.ndim !== 1) suffixes.push(`size=${tuple(tensor.shape)}`);
  const impliedDtypes = isEmpty
    ? [getDefaultDtype()]
    : [getDefaultDtype(), complexTypeOf(getDefaultDtype()), 'int64', 'bool'];
  if (!impliedDtypes.includes(tensor.dtype)) suffixes.push(`dtype=torch.${tensor.dtype}`);
  if (tensor.gradFn !== null) suffixes.push(`grad_fn=<${tensor.gradFn.name}>`);
  else if (tensor.requiresGrad) suffixes.push('requires_grad=True');
  return withSuffixes(prefix + (isEmpty ? '[]' : formatElements(tensor, prefix.length)), suffixes, prefix.length);
}

function formatElements(tensor: Tensor, indent: number): string {
  const { storage, offset, strides } = eagerValue(realForm(tensor), 'toString()');
  const rest = { shape: tensor.shape, summarize: numel(tensor.shape) > options.threshold };
  if (isComplexTensor(tensor)) {
    const part = (at: number): number => storage.array[offset + at] as number;
    const step = strides[strides.length - 1];
    const numbers = { ...rest, read: (at: number) => new Complex(part(at), part(at + step)), strides };
    return layOut(numbers, new ComplexFormatter(shownElements(numbers)), indent);
  }
  const block: Block = { ...rest, read: at => decode(tensor.dtype, storage.array[offset + at]), strides };
  return layOut(block, new Formatter(shownElements(block), isFloat(tensor.dtype)), indent);
}

declare module '../compiler/ops/tensor.js' {
  interface Tensor {
    /** As PyTorch prints it. */
    toString(): string;
  }
}
Tensor.prototype.toString = function (this: Tensor): string {
  if (realForm(this).value.kind === 'traced') return `traced(${this.dtype}${tuple(this.shape)})`;
  return formatTensor(this);
};
