/** Sizes as people write them: `64MB`, `1.5GiB`, `4096`. */
import { fail } from '../errors.js';

const units: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** In bytes; null for what is no size of at least one byte. */
export function byteSize(text: string): number | null {
  const { amount, unit = 'b' } = /^(?<amount>\d+(\.\d+)?) ?(?<unit>[kmg]?i?b)?$/i.exec(text)?.groups ?? {};
  const bytes = Math.floor(Number(amount) * units[unit.toLowerCase()]);
  return bytes >= 1 ? bytes : null;
}

/** Of an option that may be absent. Throws E501 for what is no size. */
export const statedSize = (option: string, size: string | number | null | undefined): number | null =>
  size === null || size === undefined
    ? null
    : (byteSize(`${size}`) ?? fail('E501', { problem: `${option} ${size} is no size`, hint: 'write 64MB or 1GiB' }));
