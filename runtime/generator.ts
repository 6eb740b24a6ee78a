/**
 * PyTorch's CPU generator: the Mersenne Twister, drawn from as PyTorch draws, so that a seed gives the same numbers.
 *
 * Matsumoto and Nishimura, "Mersenne Twister" (1998). The saved state has the layout of PyTorch's own, 5056 bytes.
 */
import { fail } from '../compiler/errors.js';
import { seedPhilox } from '../compiler/ops/random.js';
import { type Tensor, tensorOver } from '../compiler/ops/tensor.js';
import { rowMajor } from './eager.js';
import { entryRun } from './entry-run.js';

const words = 624;
const period = 397;
/** Byte offsets in PyTorch's saved state (`CPUGeneratorImplState`). */
const layout = {
  seed: 0,
  left: 8,
  seeded: 12,
  next: 16,
  state: 24,
  normalX: 5016,
  normalIsValid: 5040,
  floatNormal: 5048,
  floatNormalIsValid: 5052,
  bytes: 5056,
} as const;

const defaultSeed = 67280421310721n;

/** A source of random numbers with a state of its own. */
export class Generator {
  #seed = defaultSeed;
  readonly #state = new Uint32Array(words);
  /** Words left before the next refill, and the next word. */
  #left = 1;
  #next = 0;
  /** The second half of a pair of normal draws, kept for the next call. */
  #normal: number | null = null;
  /** The run of an entry that last set the state; null if plain code did. */
  #setIn: object | null = null;

  constructor() {
    this.manualSeed(defaultSeed);
  }

  /** Start over from a seed; its low 32 bits decide. */
  manualSeed(seed: number | bigint): this {
    if (typeof seed === 'number' && !Number.isInteger(seed))
      fail('E110', { op: 'manualSeed', problem: `the seed must be an integer, got ${seed}` });
    this.#seed = BigInt.asUintN(64, BigInt(seed));
    const state = this.#state;
    state[0] = Number(this.#seed & 0xffffffffn);
    for (let i = 1; i < words; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    this.#left = 1;
    this.#next = 0;
    this.#normal = null;
    this.#setIn = entryRun();
    return this;
  }

  /**
   * May it be drawn from here? In an entry only after the entry has set its state: each call then starts from that state and
   * draws the same numbers, so they are constants of the compiled program. Otherwise they would go on from call to call.
   */
  get isSetHere(): boolean {
    return entryRun() === null || this.#setIn === entryRun();
  }

  /** The seed this generator was last started from. */
  initialSeed(): number | bigint {
    return Number.isSafeInteger(Number(this.#seed)) ? Number(this.#seed) : this.#seed;
  }

  /** 32 random bits. */
  random32(): number {
    if (--this.#left === 0) this.#refill();
    let y = this.#state[this.#next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** 64 random bits: the first draw is the high half. */
  random64(): bigint {
    const high = BigInt(this.random32());
    return (high << 32n) | BigInt(this.random32());
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < words; i++) {
      const next = state[i + 1 < words ? i + 1 : 0];
      const far = state[i + period < words ? i + period : i + period - words];
      const mixed = (state[i] & 0x80000000) | (next & 0x7fffffff);
      state[i] = far ^ (mixed >>> 1) ^ (next & 1 ? 0x9908b0df : 0);
    }
    this.#left = words;
    this.#next = 0;
  }

  /** Uniform in [0, 1) with as many random bits as the mantissa holds: 53 from two draws, fewer from one. */
  uniform(bits: 8 | 11 | 24 | 53): number {
    if (bits < 53) {
      const steps = 1 << bits;
      return (this.random32() & (steps - 1)) / steps;
    }
    const high = this.random32() & 0x1fffff;
    return (high * 2 ** 32 + this.random32()) / 2 ** 53;
  }

  /** Standard normal: Box and Muller's pairs, the second of which is kept. */
  normal(): number {
    if (this.#normal !== null) {
      const kept = this.#normal;
      this.#normal = null;
      return kept;
    }
    const angle = 2 * Math.PI * this.uniform(53);
    const radius = Math.sqrt(-2 * Math.log1p(-this.uniform(53)));
    this.#normal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** The state as PyTorch saves it. */
  getState(): Tensor {
    const bytes = new Uint8Array(layout.bytes);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(layout.seed, this.#seed, true);
    view.setInt32(layout.left, this.#left, true);
    view.setInt32(layout.seeded, 1, true);
    view.setBigUint64(layout.next, BigInt(this.#next), true);
    for (let i = 0; i < words; i++) view.setBigUint64(layout.state + 8 * i, BigInt(this.#state[i]), true);
    view.setFloat64(layout.normalX, this.#normal ?? 0, true);
    view.setInt32(layout.normalIsValid, Number(this.#normal !== null), true);
    return tensorOver(bytes, { dtype: 'uint8', shape: [layout.bytes] });
  }

  setState(saved: Tensor): void {
    if (saved.dtype !== 'uint8' || saved.numel() !== layout.bytes) {
      fail('E110', {
        op: 'setState',
        problem: `a generator state is a uint8 tensor of ${layout.bytes} bytes, got ${saved.dtype} with ${saved.numel()} elements`,
        hint: 'use what getState() or getRngState() returned',
      });
    }
    const bytes = Uint8Array.from(rowMajor(saved, 'setState') as Uint8Array);
    const view = new DataView(bytes.buffer);
    const left = view.getInt32(layout.left, true);
    const next = Number(view.getBigUint64(layout.next, true));
    if (left < 1 || left > words || next > words)
      fail('E110', { op: 'setState', problem: 'the saved generator state is damaged' });
    this.#seed = view.getBigUint64(layout.seed, true);
    this.#left = left;
    this.#next = next;
    for (let i = 0; i < words; i++) this.#state[i] = Number(view.getBigUint64(layout.state + 8 * i, true));
    this.#normal = view.getInt32(layout.normalIsValid, true) ? view.getFloat64(layout.normalX, true) : null;
    this.#setIn = entryRun();
  }

  /** A function that takes the generator back to where it is now. */
  mark(): () => void {
    const [seed, left, next, normal, setIn] = [this.#seed, this.#left, this.#next, this.#normal, this.#setIn];
    const state = this.#state.slice();
    return () => {
      this.#state.set(state);
      [this.#seed, this.#left, this.#next, this.#normal, this.#setIn] = [seed, left, next, normal, setIn];
    };
  }
}

/** The generator that draws when none is given. */
export const defaultGenerator = new Generator();
/** Seed the default generator, which is returned; outside entries the counter-based one too. */
export function manualSeed(seed: number | bigint): Generator {
  defaultGenerator.manualSeed(seed);
  if (entryRun() === null) seedPhilox(Number(BigInt.asUintN(53, BigInt(seed))));
  return defaultGenerator;
}
/** Seed the default generator with a number that nobody knows, and return it. */
export function seed(): bigint {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  const drawn = (BigInt(high) << 32n) | BigInt(low);
  manualSeed(drawn);
  return drawn;
}
export const initialSeed = (): number | bigint => defaultGenerator.initialSeed();
export const getRngState = (): Tensor => defaultGenerator.getState();
export const setRngState = (state: Tensor): void => defaultGenerator.setState(state);
