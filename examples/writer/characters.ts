/**
 * Text as numbers: printable ASCII and the end of a line, one token a character; whatever else a text holds becomes a space.
 */

/** Characters the model sees at once. */
export const time = 64;
export const batchSize = 16;

const first = 32;
const newline = 127 - first;
export const vocabulary = newline + 1;

export const encode = (text: string): Int32Array =>
  Int32Array.from(text.normalize('NFKD'), character => {
    const code = character.codePointAt(0)!;
    if (character === '\n') return newline;
    return code >= first && code < 127 ? code - first : 0;
  });
export const decode = (token: number): string => (token === newline ? '\n' : String.fromCharCode(token + first));

/** Windows from random places of a text, and the same moved on by one character: what is to be said next. */
export function randomBatch(text: Int32Array): { x: Int32Array; y: Int32Array } {
  if (text.length <= time)
    throw new RangeError(`a text to learn has more than ${time} characters, this has ${text.length}`);
  const x = new Int32Array(batchSize * time);
  const y = new Int32Array(batchSize * time);
  for (let i = 0; i < batchSize; i++) {
    const start = Math.floor(Math.random() * (text.length - time));
    x.set(text.subarray(start, start + time), i * time);
    y.set(text.subarray(start + 1, start + 1 + time), i * time);
  }
  return { x, y };
}

/** A token drawn from the softmax of logits; the lower the temperature, the likelier the likeliest. */
export function draw(logits: Float32Array, temperature: number): number {
  const largest = Math.max(...logits);
  const weights = logits.map(logit => Math.exp((logit - largest) / temperature));
  let rest = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  return Math.max(
    weights.findIndex(weight => (rest -= weight) < 0),
    0,
  );
}
