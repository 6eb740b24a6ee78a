/** Running a case eagerly, op by op. */
import { Tensor } from '../../compiler/ops/tensor.js';
import { Dict, settled, Tuple, type Value } from '../support/python/values.js';
import { TorchAdapter } from '../support/torch-adapter.js';
import type { Case } from './cases.js';
import { decodeTensor, mismatch, tensorMismatch } from './encoding.js';
import { evaluateTree } from './expression.js';
import { failed, missingError, type Outcome, outcomeOfError, outcomeOfExpectedError, passed } from './outcome.js';
import { withFreshState } from './state.js';

/** Run a case; never throws. */
export function runEager(entry: Case, root: string): Outcome {
  return withFreshState(() => {
    try {
      return entry.kind === 'expr' ? runExpression(entry, root) : runScript(entry, root);
    } catch (error) {
      return entry.error ? outcomeOfExpectedError(entry, error) : outcomeOfError(error);
    }
  });
}

/** The inputs as leaves. */
export function makeInputs(entry: Case): Map<string, Tensor> {
  return new Map(
    entry.inputs.map(input => {
      const tensor = decodeTensor(input);
      return [input.name, input.requires_grad ? tensor.requiresGrad_() : tensor];
    }),
  );
}

/** The tensors of a result, tuples and lists taken apart. */
export function tensorsIn(value: Value): Tensor[] {
  if (value instanceof Tensor) return [value];
  const items = value instanceof Tuple ? value.items : Array.isArray(value) ? value : [];
  return items.flatMap(tensorsIn);
}

function runExpression(entry: Case, root: string): Outcome {
  const inputs = makeInputs(entry);
  const torch = scriptAdapter(root, inputs);
  const forward = (): Value => evaluateTree(torch, entry.expr!, inputs);
  if (entry.error?.when === 'backward') {
    const outcome = forwardMustSucceed(forward);
    if (outcome.failure !== null) return outcome.failure;
    for (const output of tensorsIn(outcome.value)) if (output.requiresGrad) output.backward(output.detach().onesLike());
    return missingError(entry);
  }
  const value = forward();
  if (entry.error) return missingError(entry);
  return checkOutputs(entry, value) ?? checkGradients(entry, value, inputs) ?? passed;
}

function forwardMustSucceed(forward: () => Value): { value: Value; failure: Outcome | null } {
  try {
    return { value: forward(), failure: null };
  } catch (error) {
    return { value: null, failure: outcomeOfError(error) };
  }
}

/** Compare what an expression returned; null when all is well. */
export function checkOutputs(entry: Case, value: Value): Outcome | null {
  const members =
    entry.output_structure === undefined
      ? [value]
      : value instanceof Tuple
        ? value.items
        : Array.isArray(value)
          ? value
          : [value];
  if (members.length !== entry.outputs.length)
    return failed(`${members.length} outputs, expected ${entry.outputs.length}`);
  for (const [i, output] of entry.outputs.entries()) {
    const problem = mismatch(members[i], output, { rtol: entry.rtol, atol: output.atol ?? entry.atol });
    if (problem !== null) return failed(members.length === 1 ? problem : `output ${i}: ${problem}`);
  }
  return null;
}

/** The outputs that carry a gradient, with the gradients PyTorch handed to backward. */
export function withCotangents(entry: Case, value: Value): { outputs: Tensor[]; cotangents: Tensor[] } {
  const pairs = tensorsIn(value).flatMap((output, i) => {
    const cotangent = entry.cotangents?.[i];
    return cotangent ? [{ output, cotangent: decodeTensor(cotangent) }] : [];
  });
  return { outputs: pairs.map(pair => pair.output), cotangents: pairs.map(pair => pair.cotangent) };
}

function checkGradients(entry: Case, value: Value, inputs: ReadonlyMap<string, Tensor>): Outcome | null {
  const names = Object.keys(entry.grads);
  if (names.length === 0) return null;
  const { outputs, cotangents } = withCotangents(entry, value);
  const torch = new TorchAdapter('');
  const found = torch.call(
    'torch.autograd.grad',
    [outputs, names.map(name => inputs.get(name)!), cotangents],
    new Map([['allow_unused', true]]),
  );
  return compareGradients(entry, new Map(names.map((name, i) => [name, (found as Tuple).items[i] as Tensor | null])));
}

export function compareGradients(entry: Case, grads: ReadonlyMap<string, Tensor | null>): Outcome | null {
  for (const [name, expected] of Object.entries(entry.grads)) {
    const actual = grads.get(name) ?? null;
    if (expected === null || actual === null) {
      if (expected !== actual)
        return failed(`gradient of ${name} is ${actual === null ? 'missing' : 'there, expected none'}`);
      continue;
    }
    const problem = tensorMismatch(actual, expected, {
      rtol: entry.grad_rtol ?? entry.rtol,
      atol: entry.grad_atol ?? entry.atol,
    });
    if (problem !== null) return failed(`gradient of ${name}: ${problem}`);
  }
  return null;
}

/** The adapter with a script's inputs in place: each by its name, and all in the dict `I`. */
export function scriptAdapter(root: string, inputs: ReadonlyMap<string, Tensor>): TorchAdapter {
  return new TorchAdapter(root, new Map<string, Value>([...inputs, ['I', new Dict([...inputs])]]));
}

/** What to run: the statements; of a file case the expression that reads it, under the name of its output. */
export const scriptText = (entry: Case): string =>
  entry.kind === 'file' ? `${entry.outputs[0].name} = ${entry.code}` : entry.code;

function runScript(entry: Case, root: string): Outcome {
  const torch = scriptAdapter(root, makeInputs(entry));
  torch.python.run(scriptText(entry));
  if (entry.error) return missingError(entry);
  const results = entry.outputs.map(output => torch.python.evaluate(output.name!));
  return compareScript(entry, results, torch.python.output);
}

/** Compare the named results and the printed text of a script. */
export function compareScript(entry: Case, results: readonly Value[], printed: readonly Value[]): Outcome {
  for (const [i, output] of entry.outputs.entries()) {
    const problem = mismatch(settled(results[i]), output, { rtol: entry.rtol, atol: output.atol ?? entry.atol });
    if (problem !== null) return failed(`${output.name}: ${problem}`);
  }
  const text = printed.map(piece => settled(piece)).join('');
  if (entry.stdout !== undefined && text !== entry.stdout)
    return failed(`printed ${JSON.stringify(text)}, expected ${JSON.stringify(entry.stdout)}`);
  return passed;
}
