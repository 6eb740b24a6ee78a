/**
 * The command line as users run it: the built `dist`, in processes of its own, on model files in a folder of theirs.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nearest } from '../compiler/cli/arguments.js';

const cli = fileURLToPath(new URL('../dist/compiler/cli/main.js', import.meta.url));
const packageVersion = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
let folder: string;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
function node(...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}
const gradc = (...args: string[]): Outcome => node(cli, ...args);

const model = `import { defineModel, entry, input, int64, manualSeed, nn, optim, type Tensor } from 'gradc';
import * as F from 'gradc/functional';
import { hidden } from './sizes.js';

class Net extends nn.Module {
  first = new nn.Linear(8, hidden);
  second = new nn.Linear(hidden, 4);
  forward(x: Tensor): Tensor {
    return this.second.forward(F.relu(this.first.forward(x)));
  }
}

export default defineModel('mlp', () => {
  manualSeed(1);
  const net = new Net();
  const opt = new optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
  return {
    state: { net, opt },
    entries: {
      predict: entry({ x: input([1, 8]) }, ({ x }) => ({ y: net.forward(x) })),
      trainStep: entry({ x: input([16, 8]), y: input([16], int64) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.crossEntropy(net.forward(x), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});
`;

/** Write a model file into the folder; gives its name. */
function modelFile(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

beforeAll(() => {
  if (!existsSync(cli)) throw new Error('dist is missing: run npm run build first');
  folder = mkdtempSync(join(tmpdir(), 'gradc-cli-'));
  mkdirSync(join(folder, 'nested'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  modelFile('sizes.ts', 'export const hidden: number = 16;\n');
  modelFile('mlp.model.ts', model);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('usage', () => {
  test('help and version', () => {
    expect(gradc('--version')).toEqual({ code: 0, out: `${packageVersion}\n`, err: '' });
    const { code, out } = gradc('--help');
    expect(code).toBe(0);
    for (const command of ['build', 'compare', 'bench', 'inspect', 'doctor']) {
      expect(out).toContain(`  ${command}`);
      const help = gradc(command, '--help').out;
      expect(help.startsWith(`gradc ${command}`)).toBe(true);
      expect(help).toContain('  --json');
    }
  });

  test.each<[string[], string]>([
    [[], 'UsageError E501: no command given'],
    [['biuld', 'a.ts'], 'UsageError E501: unknown command biuld\n  hint: did you mean build?'],
    [['--verison'], 'UsageError E501: unknown option --verison\n  hint: did you mean --version?'],
    [['build'], 'UsageError E501: MODEL.ts is missing\n  hint: usage: gradc build MODEL.ts'],
    [['inspect'], 'UsageError E501: MODEL.ts is missing\n  hint: usage: gradc inspect MODEL.ts'],
    [['inspect', 'a.ts', 'b.ts'], "UsageError E501: unexpected argument 'b.ts'"],
    [['build', 'a.ts', '--tagret', 'wasm'], 'UsageError E501: unknown option --tagret\n  hint: did you mean --target?'],
    [
      ['build', 'a.ts', '--target', 'wasm,cude'],
      "UsageError E501: --target: 'cude' is none of wasm, cuda\n  hint: did you mean cuda?",
    ],
    [['build', 'a.ts', '--out'], 'UsageError E501: --out needs a value: --out FOLDER'],
    [['build', 'a.ts', '--verify=yes'], "UsageError E501: --verify takes no value, given 'yes'"],
    [
      ['compare', 'mlp.model.ts', '--no-typecheck', '--steps', 'many'],
      "UsageError E501: --steps must be a number of at least 1, given 'many'",
    ],
    [
      ['build', 'mlp.model.ts', '--shard', 'large'],
      'UsageError E501: --shard large is no size\n  hint: write 64MB or 1GiB',
    ],
    [['build', 'absent.ts'], 'ArtifactError E401: there is no file absent.ts'],
    [['inspect', 'sizes.ts', '--no-typecheck'], 'ArtifactError E401: sizes.ts has no model as its default export'],
  ])('gradc %j ends with 2', (args, message) => {
    const { code, out, err } = gradc(...args);
    expect(err.startsWith(message) ? message : err).toBe(message);
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  test('help of a command, asked for in any way', () => {
    const page = gradc('doctor', '--help');
    expect(page).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^gradc doctor: [\s\S]*--help, -h {2}show this help/),
    });
    expect(gradc('help', 'doctor')).toEqual(page);
    expect(gradc('doctor', '-h')).toEqual(page);
    expect(gradc('help', 'docter')).toMatchObject({ code: 2, err: expect.stringMatching(/did you mean doctor/) });
    expect(gradc('-h')).toEqual(gradc('--help'));
    expect(gradc('-v')).toEqual(gradc('--version'));
  });

  test('suggestions are near, or there are none', () => {
    expect(nearest('tragets', ['target', 'out'])).toBe('target');
    expect(nearest('frobnicate', ['target', 'out'])).toBe(null);
  });

  test('with --json an error is one object too', () => {
    const { code, out } = gradc('build', 'absent.ts', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({
      schemaVersion: 1,
      exitCode: 2,
      errors: [{ code: 'E401', message: 'there is no file absent.ts' }],
    });
  });

  test('doctor', () => {
    const { code, out } = gradc('doctor', '--json');
    expect(code).toBe(0);
    const { findings } = JSON.parse(out);
    expect(findings.map((finding: { name: string }) => finding.name)).toEqual([
      'wasm SIMD',
      'wasm relaxed SIMD',
      'threads',
      'nvcc',
      'NVIDIA GPU',
    ]);
    expect(findings[0].available).toBe(true);
  });
});

describe('build', () => {
  test('writes an artifact that needs nothing else', () => {
    const { code, out, err } = gradc('build', 'mlp.model.ts', '--target', 'wasm,cuda', '--nvcc', 'skip', '--json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const result = JSON.parse(out);
    const paths = result.files.map((file: { path: string }) => file.path);
    expect(result).toMatchObject({ schemaVersion: 1, name: 'mlp', out: 'dist/mlp' });
    expect(paths).toEqual(
      expect.arrayContaining([
        'mlp.wasm',
        'mlp.relaxed.wasm',
        'mlp.safetensors',
        'mlp.js',
        'mlp.d.ts',
        'mlp.manifest.json',
        'cuda/mlp.cu',
        'cuda/mlp.h',
      ]),
    );
    const manifest = JSON.parse(readFileSync(join(folder, 'dist/mlp/mlp.manifest.json'), 'utf8'));
    expect(Object.keys(manifest.sources)).toEqual(['sizes.ts', 'mlp.model.ts']);
    writeFileSync(
      join(folder, 'use.mjs'),
      `import { load } from './dist/mlp/mlp.js';
      const mlp = await load();
      const batch = { x: Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)), y: Array.from({ length: 16 }, (_, i) => i % 4) };
      const losses = Array.from({ length: 30 }, () => mlp.trainStep(batch).loss);
      const resumed = await load({ state: mlp.saveState() });
      console.log(JSON.stringify([losses[0], losses[29], mlp.trainStep(batch).loss === resumed.trainStep(batch).loss, mlp.predict({ x: batch.x.slice(0, 8) }).y.length]));`,
    );
    const used = node('use.mjs');
    expect(used.err).toBe('');
    const [first, last, same, outputs] = JSON.parse(used.out);
    expect(first).toBeGreaterThan(1);
    expect(last).toBeLessThan(0.8 * first);
    expect(same).toBe(true);
    expect(outputs).toBe(4);
  });

  test('in shards and for the revectorizer, on request', () => {
    const args = ['mlp.model.ts', '--no-typecheck', '--out', 'dist/parts', '--json'];
    const paths = (...options: string[]): string[] =>
      JSON.parse(gradc('build', ...args, ...options).out).files.map((file: { path: string }) => file.path);
    const plain = paths();
    expect(plain).toContain('mlp.safetensors');
    const parts = paths('--shard', '512B', '--revectorize');
    expect(parts).not.toContain('mlp.safetensors');
    expect(parts.filter(path => path.endsWith('.safetensors')).length).toBeGreaterThan(1);
    expect(parts.filter(path => path.endsWith('.wasm'))).toEqual([
      'mlp.wasm',
      'mlp.relaxed.wasm',
      'mlp.revectorize.wasm',
      'mlp.revectorize.relaxed.wasm',
    ]);
    const script = `import { load } from './dist/parts/mlp.js';
      const [a, b] = [await load(), await load({ revectorize: true })];
      const x = Float32Array.from({ length: 8 }, (_, i) => i);
      console.log(a.predict({ x }).y.join() === b.predict({ x }).y.join());`;
    writeFileSync(join(folder, 'parts.mjs'), script);
    expect(node('parts.mjs')).toMatchObject({ out: 'true\n', err: '' });
    expect(paths()).toEqual(plain);
  });

  test('ends with 4 where nvcc must be there and is not', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [cli, 'build', 'mlp.model.ts', '--no-typecheck', '--target', 'cuda', '--nvcc', 'require'],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, PATH: '' },
      },
    );
    expect(stderr).toBe(
      'EnvironmentError: there is no nvcc: install the CUDA toolkit, or build without --nvcc require\n',
    );
    expect(status).toBe(4);
  });

  test('its declarations are TypeScript that checks', () => {
    writeFileSync(
      join(folder, 'typed.ts'),
      `import { load } from './dist/mlp/mlp.js';
      const mlp = await load();
      const loss: number = mlp.trainStep({ x: new Float32Array(128), y: new BigInt64Array(16) }).loss;
      // @ts-expect-error an input is missing
      mlp.predict({});
      console.log(loss, mlp.state['net.first.weight'].length);`,
    );
    const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
    expect(
      node(tsc, '--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', '', 'typed.ts'),
    ).toEqual({ code: 0, out: '', err: '' });
  });
});

describe('diagnostics in the model', () => {
  const broken = (name: string, from: string, to: string): string => modelFile(name, model.replace(from, to));

  test('a type error, by the type checker', () => {
    const { code, err } = gradc(
      'build',
      broken('types.model.ts', 'new nn.Linear(8, hidden)', "new nn.Linear('8', hidden)"),
    );
    expect(err).toBe(`TypeError TS2345: Argument of type 'string' is not assignable to parameter of type 'number'.
  at types.model.ts:6:25
  6 |   first = new nn.Linear('8', hidden);
    |                         ^
`);
    expect(code).toBe(3);
  });

  test('a syntax error', () => {
    const { code, err } = gradc(
      'build',
      broken('syntax.model.ts', 'export default', 'export defalt'),
      '--no-typecheck',
    );
    expect(err).toMatch(/^SyntaxError: .*\n {2}at syntax\.model\.ts:13:8\n {2}13 \| export defalt/);
    expect(code).toBe(3);
  });

  test('a wrong shape, at the line and in the module where it was used', () => {
    const { code, err } = gradc(
      'build',
      broken('shapes.model.ts', 'new nn.Linear(hidden, 4)', 'new nn.Linear(4, hidden)'),
      '--no-typecheck',
    );
    expect(err).toMatch(
      /^ShapeError E107: linear: input of shape \[1, 16\] does not fit a weight of shape \[16, 4\]\n {2}at shapes\.model\.ts:9:24 in second\n {2}9 \| {5}return this\.second\.forward/,
    );
    expect(code).toBe(3);
  });

  test('a value read while tracing', () => {
    const { code, err } = gradc(
      'build',
      broken('item.model.ts', 'return { loss };', 'return { loss: loss.mul(loss.item()) };'),
      '--no-typecheck',
    );
    expect(err).toMatch(
      /^TraceError E301: item\(\) needs the value of a tensor that is only being traced: float32 of shape \[\]\n {2}at item\.model\.ts:26:38\n/,
    );
    expect(code).toBe(3);
  });

  test('an exception of its own', () => {
    const { code, err } = gradc(
      'build',
      broken('throws.model.ts', 'manualSeed(1);', "throw new RangeError('no seed');"),
      '--no-typecheck',
    );
    expect(err).toMatch(/^RangeError: no seed\n {2}at throws\.model\.ts:14:\d+\n {2}14 \| {3}throw new RangeError/);
    expect(code).toBe(3);
  });

  test('an import that does not exist', () => {
    const { code, err } = gradc('build', broken('imports.model.ts', './sizes.js', './size.js'), '--no-typecheck');
    expect(err).toContain('Could not resolve "./size.js"\n  at imports.model.ts:3:');
    expect(code).toBe(3);
  });
});

describe('compare', () => {
  test('agrees within tolerance and tells how far', () => {
    const { code, out, err } = gradc(
      'compare',
      'mlp.model.ts',
      '--no-typecheck',
      '--json',
      '--steps',
      '4',
      '--integers',
      '4',
      '--html',
      'compare.html',
    );
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const { agrees, oracle, differences, costs, modules } = JSON.parse(out);
    expect({ agrees, oracle }).toEqual({ agrees: true, oracle: true });
    const names = differences.map((d: { kind: string; name: string }) => `${d.kind} ${d.name}`);
    expect(names).toEqual(
      expect.arrayContaining(['output y', 'output loss', 'gradient net.first.weight.grad', 'state net.second.bias']),
    );
    expect(costs.map((cost: { entry: string }) => cost.entry)).toEqual(['predict', 'trainStep']);
    expect(modules[0]).toMatchObject({ variant: 'simd', memoryBytes: expect.any(Number) });
    expect(readFileSync(join(folder, 'compare.html'), 'utf8')).toContain('net.first.weight.grad');
  });

  test('ends with 1 where compiled is something else than eager, and says why', () => {
    modelFile(
      'counting.model.ts',
      `import { defineModel, entry, input } from 'gradc';
let calls = 0;
export default defineModel('counting', () => ({
  state: {},
  entries: { count: entry({ x: input([4]) }, ({ x }) => ({ y: x.mul(++calls) })) },
}));
`,
    );
    const { code, out } = gradc('compare', 'counting.model.ts', '--no-typecheck', '--variant', 'simd');
    expect(out).toMatch(/count: output y {2}eager .*; simd .* FAIL at step \d/);
    expect(out).toMatch(
      /1 of 1 tensors differ\nwhat was traced is not what the model does eagerly: mul of count at counting\.model\.ts:5:\d+/,
    );
    expect(code).toBe(1);
  });

  test('runs a graph by itself', () => {
    writeFileSync(
      join(folder, 'sum.graph'),
      '# variant: simd\n# value x: random 3\ngraph g(%x: float32[50] input) {\n  %0 = exp(%x) : float32[50]\n  return y = %0\n}\n',
    );
    const { code, out } = gradc('compare', 'sum.graph');
    expect(out).toMatch(/^ {2}result y {2}ok .* from eager\ncompiled agrees\n$/);
    expect(code).toBe(0);
  });
});

describe('inspect', () => {
  test.each<[string, RegExp]>([
    ['graph', /graph trainStep\([\s\S]*crossEntropy|graph trainStep\([\s\S]*logSoftmax/],
    ['backward', /trainStep: \d+ nodes beside those of the results\n(?: {2}%\d+ = .*\/\/ mlp\.model\.ts:2[45]\n)+/],
    ['fused', /trainStep: \d+ kernels\n/],
    ['kernels', /kernel k0_/],
    ['memory', /mlp: [\d.]+ KiB, of which state [\d.]+ KiB\n {10}0 {2}net\.first\.weight: float32\[16, 8\]/],
    ['wat', /\(module\n[\s\S]*\(export "trainStep"/],
    ['cuda', /__global__/],
  ])('--stage %s', (stage, expected) => {
    const { code, out, err } = gradc('inspect', 'mlp.model.ts', '--no-typecheck', '--stage', stage);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(expected);
  });

  test('draws pictures', () => {
    expect(
      gradc(
        'inspect',
        'mlp.model.ts',
        '--no-typecheck',
        '--stage',
        'fused',
        '--entry',
        'trainStep',
        '--svg',
        'fused.svg',
      ).code,
    ).toBe(0);
    expect(readFileSync(join(folder, 'fused.svg'), 'utf8')).toMatch(/^<svg [\s\S]*net\.first\.weight[\s\S]*<\/svg>\n$/);
    expect(gradc('inspect', 'mlp.model.ts', '--no-typecheck', '--stage', 'memory', '--html', 'memory.html').code).toBe(
      0,
    );
    expect(readFileSync(join(folder, 'memory.html'), 'utf8')).toContain('Memory of trainStep');
  });

  test('stops after a pass and prints what was reached', () => {
    const { code, out, err } = gradc('build', 'mlp.model.ts', '--no-typecheck', '--stop-after', 'decompose', '--time');
    expect(code).toBe(0);
    expect(out).toBe('stopped after decompose\n');
    expect(err).toMatch(/canonicalize: [\d.]+ ms\n[\s\S]*── after decompose .*\ngraph predict\(/);
  });
});
