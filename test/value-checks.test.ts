/**
 * Artifacts built with `--check-values`: calls throw what eager throws for values that an op does not take, at the line in
 * the model; artifacts built without have nothing of it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ModelDefinition, type Tensor, tensor } from 'gradc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltArtifact, buildArtifact, writeFiles } from '../compiler/cli/build-artifact.js';
import { configProblems } from '../compiler/cli/config-check.js';
import { instantiate, type Model, withValueChecks } from '../runtime/deploy/index.js';

const source = `import { defineModel, entry, input, int64, linalg, manualSeed, nn, optim } from 'gradc';
import * as F from 'gradc/functional';

export default defineModel('words', () => {
  manualSeed(0);
  const embedding = new nn.Embedding(5, 3);
  const opt = new optim.SGD(embedding.parameters(), { lr: 0.1 });
  const tokens = input([4], int64);
  return {
    state: { embedding, opt },
    entries: {
      trainStep: entry({ x: tokens, y: tokens }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(embedding.forward(x), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
      inverse: entry({ a: input([2, 2]) }, ({ a }) => ({ inverse: linalg.inv(a) })),
      double: entry({ a: input([2]) }, ({ a }) => ({ a: a.mul(2) })),
    },
  };
});
`;

let folder: string;
let modelFile: string;
let plain: BuiltArtifact;
let checked: BuiltArtifact;

async function loaded({ files }: BuiltArtifact, name: string, options: object = {}): Promise<Model> {
  writeFiles(join(folder, name), files);
  const { load } = await import(pathToFileURL(join(folder, name, 'words.js')).href);
  return load(options);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gradc-value-checks-'));
  modelFile = join(folder, 'words.model.ts');
  writeFileSync(modelFile, source);
  plain = await buildArtifact(modelFile, { checkTypes: false });
  checked = await buildArtifact(modelFile, { checkTypes: false, checkValues: true, threads: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What running an entry of the model file eagerly throws. */
function eagerError(
  { definition }: { definition: ModelDefinition },
  entry: string,
  inputs: Record<string, Tensor>,
): Error {
  try {
    definition.build().entries[entry].run(inputs);
  } catch (error) {
    return error as Error;
  }
  throw new Error('eager takes it');
}
/** The sentence; a program knows that a value was refused, not which. */
const sentence = ({ message }: Error): string => message.split('\n')[0].replace(/(index|Target) \d+/, '$1 given');

describe('a model built with value checks', () => {
  const tokens = (...values: number[]) => BigInt64Array.from(values, BigInt);
  const faults: [what: string, entry: string, inputs: Record<string, readonly number[]>, message: RegExp][] = [
    ['an index beyond the end', 'trainStep', { x: [0, 1, 5, 0], y: [0, 1, 2, 2] }, /words\.model\.ts:14:\d+/],
    ['a class that is none', 'trainStep', { x: [0, 1, 4, 0], y: [0, 1, 2, 3] }, /words\.model\.ts:14:\d+/],
    ['a singular matrix', 'inverse', { a: [1, 2, 2, 4] }, /words\.model\.ts:19:\d+/],
  ];
  test.each(faults)('throws what eager throws for %s', async (_, entry, inputs, place) => {
    const model = await loaded(checked, 'checked');
    const asTensor = (values: readonly number[]) =>
      entry === 'inverse' ? tensor(values).float().reshape(2, 2) : tensor(values).long();
    const eager = eagerError(
      checked,
      entry,
      Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, asTensor(values)])),
    );
    const thrown = await Promise.resolve()
      .then(() => model[entry](inputs))
      .then(
        () => new Error('nothing was thrown'),
        (error: Error & { code?: string }) => error,
      );
    expect(thrown).toMatchObject({ name: eager.name, code: (eager as Error & { code?: string }).code });
    expect(thrown.message).toMatch(place);
    expect(sentence(thrown)).toBe(sentence(eager));
  });

  test('takes good values as one built without does, and gives no more', async () => {
    const inputs = { x: tokens(0, 1, 4, 2), y: tokens(0, 1, 2, 0) };
    const [with_, without] = [await loaded(checked, 'checked'), await loaded(plain, 'plain')];
    expect(with_.trainStep(inputs)).toEqual(without.trainStep(inputs));
    expect(Object.keys(with_.inverse({ a: [1, 0, 0, 1] }, { copy: false }))).toEqual(['inverse']);
    expect(with_.double({ a: [1, 2] })).toEqual({ a: Float32Array.of(2, 4) });
    expect(with_.saveState()).toEqual(without.saveState());
  });

  test('of several threads, too', async () => {
    const model = await loaded(checked, 'checked', { threads: 2, requireThreads: true });
    expect(() => model.inverse({ a: [1, 2, 2, 4] })).toThrow(/singular/);
    expect([...(model.inverse({ a: [2, 0, 0, 1] }).inverse as Float32Array)]).toEqual([0.5, 0, 0, 1]);
    model.dispose();
  });

  test('declares its own outputs alone', () => {
    expect(checked.files.get('words.d.ts')).toBe(String(plain.files.get('words.d.ts')));
  });

  test('loaded by hand is given the checks of its manifest', () => {
    const manifest = JSON.parse(checked.files.get('words.manifest.json') as string);
    const module = new WebAssembly.Module(checked.files.get('words.wasm') as Uint8Array<ArrayBuffer>);
    const model = instantiate(module, manifest, checked.files.get('words.safetensors') as Uint8Array);
    const { checks } = manifest;
    expect(Object.keys(checks)).toEqual(['trainStep', 'inverse']);
    expect(() => withValueChecks(model, checks).inverse({ a: [1, 2, 2, 4] })).toThrow(/singular/);
  });
});

test('a model built without has nothing of them', async () => {
  const [glue, manifest] = ['words.js', 'words.manifest.json'].map(name => plain.files.get(name) as string);
  expect(glue).not.toContain('check');
  expect(manifest).not.toContain('check');
  expect(checked.files.get('words.js')).toContain('check.');
});

test('the configuration asks for them', () => {
  expect(configProblems({ checkValues: true })).toEqual([]);
  expect(configProblems({ checkValues: 'yes' })).toMatchObject([{ problem: /true or false/ }]);
});
