/** Text in files: UTF-8, paid for before it is decoded. */
import type { Budget } from './budget.js';
import { damaged } from './elements.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** What a string takes beside its characters. */
const stringBytes = 24;
/** Up to so many characters are put together one by one, which makes no garbage. */
const shortText = 32;
const codes: number[] = [];

/** The text in `bytes[start, end)`. One character beyond Latin makes all of them take two bytes. */
export function readText(format: string, bytes: Uint8Array, start: number, end: number, budget: Budget): string {
  budget.spend(stringBytes + 2 * (end - start));
  if (end - start <= shortText && isAscii(bytes, start, end)) {
    codes.length = end - start;
    for (let at = start; at < end; at++) codes[at - start] = bytes[at];
    return String.fromCharCode.apply(null, codes);
  }
  try {
    return utf8.decode(bytes.subarray(start, end));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return damaged(format, `the text that begins at byte ${start} is not UTF-8`);
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] > 0x7f) return false;
  return true;
}
