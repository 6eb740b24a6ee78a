/** Sizes as people write them: `64MB`, `1.5GiB`, `4096`. */
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
