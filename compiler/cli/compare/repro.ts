/**
 * A case as text that shows a fault by itself: the graph, and above it as comments what it is run with.
 *
 *   # mul is wrong after canonicalize; `gradc compare FILE.graph` runs this and ends with 1 where it goes wrong
 *   # variant: simd
 *   # rtol: 0.0001
 *   # atol: 0.000001
 *   # value x: random 1
 *   # value w: AACAPwAAAEA=
 *   graph step(%x: float32[64] input, %w: float32[2] state) { … }
 *
 * A value is `random` and a seed, where the fault shows on such numbers too; else it is its bytes, little-endian, in base64.
 */
import { fail } from '../../errors.js';
import { arrayOf, bytesOf, type TypedArray } from '../../ir/dtype.js';
import { formatType, type Graph, paramName } from '../../ir/graph.js';
import { numel } from '../../ir/shape.js';
import { parseGraph, printGraph } from '../../ir/text.js';
import { type Variant, variants } from '../choices.js';
import { randomInputs } from '../random-inputs.js';
import type { Tolerance } from './accuracy.js';
import type { Case } from './check.js';
import { firstOf } from './shrink.js';
import type { Arrays } from './values.js';

export interface ReproDetails {
  readonly variant: Variant;
  readonly tolerance: Tolerance;
  readonly op: string;
  readonly pass: string | null;
}
export interface Repro extends Case {
  readonly variant: Variant;
  readonly tolerance: Tolerance;
}

/** Random numbers on which a fault may show. */
const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

/** `fails` tells whether a case goes wrong: random values are written where it does on them. */
export async function printRepro(
  given: Case,
  details: ReproDetails,
  fails: (simpler: Case) => Promise<boolean>,
): Promise<string> {
  const { graph } = given;
  const seed = await firstOf(seeds, candidate => fails({ graph, parameters: randomParameters(graph, candidate) }));
  const { variant, tolerance, op, pass } = details;
  const value = (name: string): string => (seed === undefined ? base64(given.parameters.get(name)!) : `random ${seed}`);
  const lines = [
    `${op} is wrong${pass === null ? '' : ` after ${pass}`}; \`gradc compare FILE.graph\` runs this and ends with 1 where it goes wrong`,
    `variant: ${variant}`,
    ...(['rtol', 'atol'] as const).flatMap(key => (tolerance[key] === undefined ? [] : [`${key}: ${tolerance[key]}`])),
    ...graph.params.map(param => `value ${paramName(param)}: ${value(paramName(param))}`),
  ];
  return `${lines.map(line => `# ${line}\n`).join('')}${printGraph(graph, { sites: true })}`;
}

/** Read what `printRepro` wrote. Throws E401 for what is not a repro. */
export function parseRepro(text: string): Repro {
  const fields = new Map([...text.matchAll(/^# ([^:\n]+): (.*)$/gm)].map(([, key, value]) => [key, value.trim()]));
  const graph = parseGraph(text);
  const variant = (fields.get('variant') ?? 'simd') as Variant;
  if (!variants.includes(variant))
    fail('E401', { problem: `repro: there is no variant '${variant}'`, hint: `variants: ${variants.join(', ')}` });
  const parameters = graph.params.map((param): [string, TypedArray] => {
    const name = paramName(param);
    const written = fields.get(`value ${name}`) ?? 'random 1';
    const seed = /^random (\d+)$/.exec(written)?.[1];
    return [name, seed === undefined ? fromBase64(written, param) : randomParameters(graph, Number(seed)).get(name)!];
  });
  return { graph, parameters: new Map(parameters), variant, tolerance: toleranceOf(fields) };
}

function toleranceOf(fields: ReadonlyMap<string, string>): Tolerance {
  const number = (key: string): number | undefined => {
    const text = fields.get(key);
    if (text === undefined) return undefined;
    if (!(Number(text) >= 0))
      fail('E401', { problem: `repro: ${key} must be a number of at least 0, but is '${text}'` });
    return Number(text);
  };
  return { rtol: number('rtol'), atol: number('atol') };
}

function randomParameters(graph: Graph, seed: number): Arrays {
  const slots = graph.params.map(param => ({ name: paramName(param), type: param.type }));
  return new Map(Object.entries(randomInputs(2, seed)({ inputs: slots })));
}

const base64 = ({ buffer, byteOffset, byteLength }: TypedArray): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');

function fromBase64(text: string, param: Graph['params'][number]): TypedArray {
  const { dtype, shape } = param.type;
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  const wanted = numel(shape) * bytesOf(dtype);
  if (bytes.length !== wanted)
    fail('E401', {
      problem: `repro: value ${paramName(param)} has ${bytes.length} bytes, but ${formatType(param.type)} takes ${wanted}`,
      hint: "write `random 1`, or the tensor's bytes in base64",
    });
  const array = new (arrayOf(dtype))(numel(shape));
  new Uint8Array(array.buffer).set(bytes);
  return array;
}
