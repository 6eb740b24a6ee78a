/**
 * Numbers as Python writes them: fixed and scientific notation round exact ties to even, and `repr` chooses its own form.
 */

/** Digits looked at beyond the last one shown: an exact tie has a 5 there and nothing after it. */
const beyond = 20;

/** JavaScript rounds exact ties up in magnitude; Python to even. `render` writes |x| with a given number of digits. */
function tiesToEven(
  digits: number,
  render: (digits: number) => { readonly mantissa: string; readonly rest: string },
): string {
  const rounded = render(digits);
  const longer = render(digits + beyond).mantissa;
  const isTie = longer.endsWith(`5${'0'.repeat(beyond - 1)}`);
  const isOdd = Number(rounded.mantissa[rounded.mantissa.length - 1]) % 2 === 1;
  if (!isTie || !isOdd) return rounded.mantissa + rounded.rest;
  return longer.slice(0, -beyond).replace(/\.$/, '') + rounded.rest;
}

const nonFinite = (x: number): string => (Number.isNaN(x) ? 'nan' : x > 0 ? 'inf' : '-inf');
const signOf = (x: number): string => (x < 0 || Object.is(x, -0) ? '-' : '');

/** Python's `format(x, '.4f')`. */
export function fixed(x: number, digits: number): string {
  if (!Number.isFinite(x)) return nonFinite(x);
  const magnitude = Math.abs(x);
  if (magnitude >= 1e21) return `${signOf(x)}${BigInt(magnitude)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
  return signOf(x) + tiesToEven(digits, d => ({ mantissa: magnitude.toFixed(d), rest: '' }));
}

/** Python's `format(x, '.4e')`. */
export function scientific(x: number, digits: number): string {
  if (!Number.isFinite(x)) return nonFinite(x);
  return (
    signOf(x) +
    tiesToEven(digits, d => {
      const [mantissa, exponent] = Math.abs(x).toExponential(d).split('e');
      return { mantissa, rest: `e${exponent[0]}${exponent.slice(1).padStart(2, '0')}` };
    })
  );
}

/** Python's `repr` of a float: the shortest digits that read back, scientific below 1e-4 and from 1e16 on. */
export function pythonFloat(x: number): string {
  if (!Number.isFinite(x)) return nonFinite(x);
  if (x === 0) return Object.is(x, -0) ? '-0.0' : '0.0';
  const [mantissa, exponent] = x.toExponential().split('e');
  const power = Number(exponent);
  if (power < -4 || power >= 16)
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  const text = power >= 0 ? String(x) : x.toFixed(Math.max(0, mantissa.replace(/[-.]/g, '').length - 1 - power));
  return text.includes('.') ? text : `${text}.0`;
}

/** A value as Python prints it: booleans and null by their names there, integral numbers as ints, lists as tuples. */
export function pythonValue(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : pythonFloat(value);
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return `(${value.map(pythonValue).join(', ')}${value.length === 1 ? ',' : ''})`;
  return String(value);
}
