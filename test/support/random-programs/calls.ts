/** Steps that call an op of the table as one of its samples does, on other values, types and sizes. */
import { type DType, isFloat } from '../../../compiler/ir/dtype.js';
import { numel } from '../../../compiler/ir/shape.js';
import { type Sample, SampleTensor } from '../../../compiler/ops/samples.js';
import { graphOfSample } from '../graphs.js';
import { makeArguments, mapItems, type TestedOp, tensorsIn, testedOps, withTensors } from '../op-samples.js';
import { attempt, type Growth, type Random, randomType } from './growth.js';
import type { Kind, Step } from './program.js';

/** Any op, or the one given. */
export function drawCall(growth: Growth, op = growth.random.of(testedOps)): Step | null {
  if (op.samples.length === 0) return null;
  const { random, taste } = growth;
  const sample = random.of(op.samples);
  if (!isUsable(op, sample)) return null;
  const described = varied(sample.args, random, randomType(random, taste));
  const args = makeArguments(described, 'float32', random.text());
  const descriptions = describedIn(described);
  const sources = tensorsIn(args).map((tensor, i) => {
    const as = descriptions[i];
    const varies = as.values === null && (isFloat(tensor.dtype) ? sample.gradient !== false : as.dtype !== null);
    if (!varies) return growth.input(tensor);
    return growth.source(new SampleTensor(as.shape, as.low, as.high, tensor.dtype, null), () => tensor);
  });
  const outputs = attempt(() => tensorsIn(op.call(...args)).length) ?? 1;
  return { kind: callKind(op, args, random.below(outputs)), sources, bodies: [] };
}

const callKind = (op: TestedOp, args: readonly unknown[], output: number): Kind => ({
  name: op.name,
  run: given => tensorsIn(op.call(...withTensors(args, given)))[output],
  text(given) {
    const rest = args.filter(arg => tensorsIn(arg).length === 0).map(arg => JSON.stringify(arg));
    return `${op.name}(${[...given, ...rest].join(', ')})${output > 0 ? `[${output}]` : ''}`;
  },
});

/** Why no program can have an op; null where programs draw it. */
export const leftOut = (op: TestedOp): string | null =>
  op.samples.some(sample => isUsable(op, sample)) ? null : 'its result depends on values, so that no trace has it';

const usable = new Map<Sample, boolean>();

/** Can a sample's call be traced? What depends on values cannot. */
function isUsable(op: TestedOp, sample: Sample): boolean {
  const known = usable.get(sample) ?? graphOfSample(op, sample) !== null;
  usable.set(sample, known);
  return known;
}

// ── samples of other sizes and types ───────────────────────────────────────────────────────────────────────────────────

const sizes = [0, 1, 1, 2, 3, 5, 8, 17, 33];
/** Each element of a tensor with each of another: eagerly, a convolution of large ones takes minutes. */
const mostWork = 2_000_000;

/**
 * The arguments of a sample in a type, now and then with other sizes: equal ones stay equal. The op may refuse them. Where
 * values or other arguments speak of sizes or places they stay: ops that are parts of derivatives trust their callers there.
 */
function varied(args: readonly unknown[], random: Random, dtype: DType): readonly unknown[] {
  const all = describedIn(args);
  const mayVary = !args.some(isListOfNumbers) && all.every(({ dtype, values }) => dtype === null && values === null);
  const isFlat = mayVary && random.chance(0.05);
  const others = new Map<number, number>();
  if (mayVary && random.chance(0.4))
    for (const { shape } of all) for (const size of shape) others.set(size, random.of(sizes));
  const [largest = 1, next = 1] = all
    .map(({ shape }) => numel(shape.map(size => others.get(size) ?? size)))
    .sort((a, b) => b - a);
  if (largest * next > mostWork) others.clear();
  const change = (described: SampleTensor): SampleTensor => {
    const shape = isFlat ? [] : described.shape.map(size => others.get(size) ?? size);
    return new SampleTensor(shape, described.low, described.high, described.dtype ?? dtype, described.values);
  };
  const map = (value: unknown): unknown => (value instanceof SampleTensor ? change(value) : mapItems(value, map));
  return args.map(map);
}

const isListOfNumbers = (arg: unknown): boolean => Array.isArray(arg) && arg.some(item => typeof item === 'number');

function describedIn(value: unknown): SampleTensor[] {
  if (value instanceof SampleTensor) return [value];
  if (Array.isArray(value)) return value.flatMap(describedIn);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return [];
  return Object.values(value).flatMap(describedIn);
}
