/**
 * Python's text: string literals, `repr` of strings and floats, format specifications and the `%` operator.
 */
import { PythonError, Unsupported } from './errors.js';

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '0': '\0',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\n': '',
};

/** The value of a string literal as written, prefix and quotes included. */
export function decodeString(literal: string): string {
  const match = /^([a-zA-Z]*)('''|"""|'|")([\s\S]*)\2$/.exec(literal);
  if (match === null) throw new PythonError('SyntaxError', `unterminated string ${literal}`);
  const [, prefix, , body] = match;
  if (/b/i.test(prefix)) throw new Unsupported(`bytes literal ${literal}`);
  if (/r/i.test(prefix)) return body;
  return body.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\s\S])/g, (whole, escaped: string) => {
    if (/^[xu]./.test(escaped)) return String.fromCodePoint(Number.parseInt(escaped.slice(1), 16));
    return escapes[escaped] ?? ('\\\'"'.includes(escaped) ? escaped : whole);
  });
}

export function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('\r', '\\r')
    .replaceAll(quote, `\\${quote}`);
  return `${quote}${body}${quote}`;
}

/** Shortest digits that read back, in Python's layout: `1e-05`, `1e+16`, `2.0`. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [digits, exponentText] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) return `${digits}e${exponentOf(exponent)}`;
  const plain = Object.is(value, -0) ? '-0' : plainDecimal(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** `toFixed` with exact ties rounded to even, as C and Python do. */
export function fixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits);
  const exact = value.toFixed(Math.min(100, digits + 30));
  const tail = exact.slice(exact.length - Math.min(100 - digits, 30));
  const even = /[02468]\.?$/.test(rounded);
  if (!/^50*$/.test(tail) || even) return rounded;
  const down = exact.slice(0, exact.length - tail.length);
  return down.endsWith('.') ? down.slice(0, -1) : down;
}

const exponentOf = (exponent: number): string =>
  `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
/** JS writes small numbers with an exponent from 1e-7 on; Python from 1e-5 on, which `reprFloat` has dealt with. */
const plainDecimal = (value: number): string => {
  const text = String(value);
  return text.includes('e') ? value.toFixed(20).replace(/0+$/, '') : text;
};

/** `[[fill]align][sign][#][0][width][,][.precision][type]` */
const specPattern = /^(?:([\s\S])?([<>=^]))?([+\- ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/;

export type Formattable =
  | { readonly kind: 'int' | 'float'; readonly value: number | bigint }
  | { readonly kind: 'str'; readonly value: string };

/** `format(value, spec)` for numbers and strings. */
export function formatSpec(subject: Formattable, spec: string): string {
  const match = specPattern.exec(spec);
  if (match === null) throw new PythonError('ValueError', `Invalid format specifier '${spec}'`);
  const [, fill, align, sign = '-', alternate, zero, widthText, group, precisionText, type] = match;
  const precision = precisionText === undefined ? null : Number(precisionText);
  let text: string;
  let prefix = '';
  if (subject.kind === 'str') {
    if (type !== undefined && type !== 's')
      throw new PythonError('ValueError', `Unknown format code '${type}' for object of type 'str'`);
    text = precision === null ? subject.value : subject.value.slice(0, precision);
  } else {
    const negative = subject.value < 0 || Object.is(subject.value, -0);
    text = digitsOf(subject, type, precision, alternate !== undefined);
    if (text.startsWith('-')) text = text.slice(1);
    if (group !== undefined) text = text.replace(/^\d+/, whole => whole.replace(/\B(?=(\d{3})+$)/g, group));
    prefix = negative ? '-' : sign === '-' ? '' : sign;
  }
  const width = widthText === undefined ? 0 : Number(widthText);
  const padding = width - prefix.length - text.length;
  const chosen = align ?? (zero !== undefined ? '=' : subject.kind === 'str' ? '<' : '>');
  const filler = fill ?? (zero !== undefined ? '0' : ' ');
  if (padding <= 0) return prefix + text;
  if (chosen === '=') return prefix + filler.repeat(padding) + text;
  if (chosen === '<') return prefix + text + filler.repeat(padding);
  if (chosen === '>') return filler.repeat(padding) + prefix + text;
  const left = Math.floor(padding / 2);
  return filler.repeat(left) + prefix + text + filler.repeat(padding - left);
}

function digitsOf(
  subject: { kind: 'int' | 'float'; value: number | bigint },
  type: string | undefined,
  precision: number | null,
  alternate: boolean,
): string {
  const { kind, value } = subject;
  if (kind === 'int' && (type === undefined || type === 'd' || type === 'i')) return String(value);
  if (kind === 'int' && (type === 'x' || type === 'X' || type === 'b' || type === 'o')) {
    const text = value.toString(type === 'b' ? 2 : type === 'o' ? 8 : 16);
    return `${alternate ? `0${type}` : ''}${type === 'X' ? text.toUpperCase() : text}`;
  }
  const number = Number(value);
  if (!Number.isFinite(number)) return Number.isNaN(number) ? 'nan' : 'inf';
  switch (type) {
    case undefined:
      return precision === null ? reprFloat(number) : general(number, precision, true);
    case 'f':
    case 'F':
      return fixed(number, precision ?? 6);
    case '%':
      return `${fixed(number * 100, precision ?? 6)}%`;
    case 'e':
    case 'E': {
      const [digits, exponent] = number.toExponential(precision ?? 6).split('e');
      const text = `${digits}e${exponentOf(Number(exponent))}`;
      return type === 'E' ? text.toUpperCase() : text;
    }
    case 'g':
    case 'G':
      return general(number, precision ?? 6, false);
    default:
      throw new PythonError('ValueError', `Unknown format code '${type}' for object of type '${kind}'`);
  }
}

/** `%g`: fixed or scientific, whichever suits the exponent, without trailing zeros. */
function general(value: number, precision: number, keepPoint: boolean): string {
  const significant = Math.max(precision, 1);
  const [digits, exponentText] = value.toExponential(significant - 1).split('e');
  const exponent = Number(exponentText);
  const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (exponent < -4 || exponent >= significant) return `${trim(digits)}e${exponentOf(exponent)}`;
  const text = trim(fixed(value, significant - 1 - exponent));
  return keepPoint && !text.includes('.') ? `${text}.0` : text;
}

export interface PercentField {
  readonly key: string | null;
  readonly spec: string;
  readonly conversion: string;
}

/** Split a `%` template into its literal pieces and fields. */
export function percentFields(template: string): (string | PercentField)[] {
  const fields: (string | PercentField)[] = [];
  let at = 0;
  for (const match of template.matchAll(/%(?:\(([^)]*)\))?([#0\- +]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g)) {
    if (match.index > at) fields.push(template.slice(at, match.index));
    at = match.index + match[0].length;
    const [, key, flags, width, precision, conversion] = match;
    if (conversion === '%') {
      fields.push('%');
      continue;
    }
    const isText = 'sra'.includes(conversion);
    const align = flags.includes('-') ? '<' : isText ? '>' : '';
    const sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
    const zero = flags.includes('0') && align === '' ? '0' : '';
    const type = isText ? '' : conversion === 'i' || conversion === 'u' ? 'd' : conversion;
    const spec = `${align}${isText ? '' : sign}${flags.includes('#') ? '#' : ''}${zero}${width ?? ''}${precision === undefined ? '' : `.${precision}`}${type}`;
    fields.push({ key: key ?? null, spec, conversion });
  }
  if (at < template.length) fields.push(template.slice(at));
  return fields;
}
