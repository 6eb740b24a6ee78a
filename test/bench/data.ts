/**
 * Data that is the same everywhere: every tensor is a function of its name, so that other engines, in other languages, can
 * be given the same weights and inputs and their outputs be compared.
 *
 * Element i of a tensor called `name` is made of the 32-bit word mix(fnv1a(name) + i * 0x9E3779B9), where mix is the
 * finaliser of MurmurHash3: u = (word >> 8) / 2^24 lies in [0, 1). Floats are center + (2u - 1) * bound, integers floor(u * k).
 */
import { fromTypedArray, nn, noGrad } from 'gradc';

function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}

function mix(word: number): number {
  let x = word ^ (word >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

function fractions(name: string, count: number, take: (i: number, u: number) => void): void {
  const start = fnv1a(name);
  for (let i = 0; i < count; i++) take(i, (mix((Math.imul(i, 0x9e3779b9) + start) | 0) >>> 8) * 2 ** -24);
}

export interface Range {
  readonly center: number;
  readonly bound: number;
}

export function floats(name: string, count: number, { center, bound }: Range = { center: 0, bound: 1 }): Float32Array {
  const array = new Float32Array(count);
  fractions(name, count, (i, u) => {
    array[i] = center + (2 * u - 1) * bound;
  });
  return array;
}

export function integers(name: string, count: number, below: number): BigInt64Array {
  const array = new BigInt64Array(count);
  fractions(name, count, (i, u) => {
    array[i] = BigInt(Math.floor(u * below));
  });
  return array;
}

/** Overwrite the parameters and statistics of a network with the data of their names, prefixed by the name of the model. */
export function fillNetwork(model: string, net: nn.Module): void {
  noGrad(() => {
    for (const [path, owner] of net.namedModules()) {
      for (const [name, tensor] of [...owner.namedParameters('', false), ...owner.namedBuffers('', false)]) {
        if (tensor.dtype !== 'float32') continue;
        const full = `${model}/${path === '' ? name : `${path}.${name}`}`;
        tensor.copy_(fromTypedArray(floats(full, tensor.numel(), rangeOf(owner, name)), tensor.shape));
      }
    }
  });
}

const normalisation: Readonly<Record<string, Range>> = {
  weight: { center: 1, bound: 0.1 },
  bias: { center: 0, bound: 0.1 },
  running_mean: { center: 0, bound: 0.1 },
  running_var: { center: 1, bound: 0.2 },
};

/** Ranges that keep activations of deep networks at the size of their inputs. */
function rangeOf(owner: nn.Module, name: string): Range {
  if (owner instanceof nn.LayerNorm || owner instanceof nn.BatchNorm2d) return normalisation[name];
  if (owner instanceof nn.Linear) return { center: 0, bound: 1 / Math.sqrt(owner.inFeatures) };
  if (owner instanceof nn.Conv2d) {
    const fan = owner.weight.numel() / owner.weight.shape[0];
    return { center: 0, bound: name === 'weight' && owner.bias === null ? Math.sqrt(6 / fan) : 1 / Math.sqrt(fan) };
  }
  return { center: 0, bound: 0.1 };
}
