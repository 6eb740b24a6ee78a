/**
 * Random numbers inside traces: counter-based, so that JavaScript, WASM, threads and CUDA give the same bits.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011). An element depends
 * only on the key, the number of the draw and its own index. Key and counter are a tensor like other state: int32
 * [key0, key1, draw0, draw1]; each draw reads it and then adds one to the draw, which a trace turns into an update.
 */
import { arith as s } from '../ir/arith.js';
import { addIndex, cast, constant, type Expr, floorDivIndex, index, modIndex, mulIndex } from '../ir/kernel.js';
import { contiguousStrides, type Shape } from '../ir/shape.js';
import { define, type Op } from './define.js';
import { exactly, sampleWithoutGradient } from './samples.js';
import { assignInPlace, noGrad } from './tape.js';
import { eagerValue, type Tensor, tensorOver } from './tensor.js';

const int = (value: number): Expr => constant('int32', value | 0);
const [multiplier0, multiplier1] = [int(0xd2511f53), int(0xcd9e8d57)];
const [weyl0, weyl1] = [0x9e3779b9, 0xbb67ae85];

type Words = readonly [Expr, Expr, Expr, Expr];

function round([a, b, c, d]: Words, [k0, k1]: readonly [Expr, Expr]): Words {
  const [high0, low0] = [s.mulHiU(multiplier0, a), s.mul(multiplier0, a)];
  const [high1, low1] = [s.mulHiU(multiplier1, c), s.mul(multiplier1, c)];
  return [s.xor(s.xor(high1, b), k0), low1, s.xor(s.xor(high0, d), k1), low0];
}

function philox(counter: Words, key: readonly [Expr, Expr]): Words {
  let words = counter;
  for (let i = 0; i < 10; i++) words = round(words, [s.add(key[0], int(i * weyl0)), s.add(key[1], int(i * weyl1))]);
  return words;
}

/** Uniform float32 in [0, 1), 24 bits, element i from word i % 4 of block i / 4. */
export const philoxUniform: Op<(state: Tensor, size: Shape) => Tensor> = define({
  name: 'philoxUniform',
  doc: 'Uniform numbers in [0, 1) that depend on the state (int32 [key0, key1, draw0, draw1]) and the position alone.',
  signature: 'state: tensor, size: size',
  fusion: 'pointwise',
  differentiable: false,
  infer: (_, attrs) => ({ dtype: 'float32', shape: attrs.size as Shape }),
  lower: {
    kind: 'map',
    element(at, [state], _, type) {
      const strides = contiguousStrides(type.shape);
      const linear = at.reduce<Expr>((sum, i, d) => addIndex(sum, mulIndex(i, strides[d])), index(0));
      const [key0, key1, draw0, draw1] = [0, 1, 2, 3].map(i => state.at([index(i)]));
      const words = philox([cast('int32', floorDivIndex(linear, 4)), draw0, draw1, int(0)], [key0, key1]);
      const lane = modIndex(linear, 4);
      const word = words
        .slice(0, 3)
        .reduceRight<Expr>((otherwise, w, i) => s.select(s.eq(lane, index(i)), w, otherwise), words[3]);
      return s.mul(cast('float32', s.shrU(word, int(8))), 2 ** -24);
    },
  },
  samples: [sampleWithoutGradient(exactly([4], [1, 2, 3, 4], 'int32'), [5, 3])],
});

/** The state of the next draw. */
export const philoxAdvance: Op<(state: Tensor) => Tensor> = define({
  name: 'philoxAdvance',
  doc: 'The generator state with its draw counter one further.',
  signature: 'state: tensor',
  fusion: 'pointwise',
  differentiable: false,
  infer: ([state]) => state,
  lower: {
    kind: 'map',
    element([i], [state]) {
      const [low, high] = [state.at([index(2)]), state.at([index(3)])];
      const next = s.add(low, int(1));
      const carried = s.add(high, cast('int32', s.eq(next, int(0))));
      return s.select(s.eq(i, index(2)), next, s.select(s.eq(i, index(3)), carried, state.at([i])));
    },
  },
  samples: [sampleWithoutGradient(exactly([4], [1, 2, -1, 7], 'int32'))],
});

const state = tensorOver(new Int32Array(4), { dtype: 'int32', shape: [4] });
/** The generator's state: int32 [key0, key1, draw0, draw1]. Traced models keep it as state named `random`. */
export const philoxState = (): Tensor => state;

/** Start the counter-based generator at a seed. */
export function seedPhilox(seed: number): void {
  const { storage } = eagerValue(state, 'seeding');
  storage.array.set([seed | 0, Math.floor(seed / 2 ** 32) | 0, 0, 0] as never);
  storage.version++;
}

/** Uniform float32 numbers from the counter-based generator, which moves on. */
export function counterUniform(size: Shape): Tensor {
  return noGrad(() => {
    const drawn = philoxUniform(state, size);
    assignInPlace(state, philoxAdvance(state));
    return drawn;
  });
}
