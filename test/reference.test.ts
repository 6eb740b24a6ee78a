/**
 * The reference cases that every clone tests: what PyTorch 1.13.1 answered, eagerly and compiled; and the runner's own
 * promises: every case is accounted for, differences are found.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Case, readGroups } from './reference/cases.js';
import { compileCases } from './reference/compiled.js';
import { runEager } from './reference/eager.js';
import type { Outcome } from './reference/outcome.js';
import { reportJson } from './reference/report.js';
import { hasHostCompiler } from './support/cuda-host/compile.js';

const folder = fileURLToPath(new URL('reference/data', import.meta.url));
const groups = readGroups(folder);

/** Groups in which nothing may be unsupported, unless for an element type that gradc does not have. */
const complete: Readonly<Record<'eager' | 'compiled', ReadonlySet<string>>> = {
  eager: new Set('seeds printing shape pointwise promotion linalg nn_functional nn_modules optim random io'.split(' ')),
  compiled: new Set('seeds printing pointwise promotion linalg nn_functional nn_modules random io'.split(' ')),
};

/** What is wrong with the outcomes, case by case. */
const troubles = (cases: readonly Case[], outcomes: readonly Outcome[], allSupported: boolean): string[] =>
  cases.flatMap(({ id }, i) => {
    const { status, message } = outcomes[i];
    const isTrouble =
      status === 'failed' || (status === 'unsupported' && allSupported && !message.startsWith('dtype '));
    return isTrouble ? [`${id}: ${status}: ${message}`] : [];
  });

describe.each(groups)('$name', ({ name, cases }) => {
  test('eagerly', { timeout: 120_000 }, () => {
    const outcomes = cases.map(entry => runEager(entry, folder));
    expect(troubles(cases, outcomes, complete.eager.has(name))).toEqual([]);
  });
  test('compiled to WebAssembly', { timeout: 120_000 }, async () => {
    expect(troubles(cases, await compileCases(cases, 'wasm', folder), complete.compiled.has(name))).toEqual([]);
  });
});

describe('nasty input: empty and broadcast shapes, NaN and infinities, kinks and ties, small integers, wrong arguments', () => {
  const nasty = fileURLToPath(new URL('reference/nasty', import.meta.url));
  const { cases } = readGroups(nasty)[0];
  test('eagerly', { timeout: 120_000 }, () => {
    const outcomes = cases.map(entry => runEager(entry, nasty));
    expect(troubles(cases, outcomes, true)).toEqual([]);
  });
  test('compiled to WebAssembly', { timeout: 120_000 }, async () => {
    expect(troubles(cases, await compileCases(cases, 'wasm', nasty), false)).toEqual([]);
  });
});

test.runIf(hasHostCompiler)('the tutorial as CUDA C, executed on the CPU', { timeout: 240_000 }, async () => {
  const { cases } = groups.find(({ name }) => name === 'seeds')!;
  expect(troubles(cases, await compileCases(cases, 'cuda-host', folder), true)).toEqual([]);
});

describe('the runner notices', () => {
  const [sample] = groups.flatMap(group => group.cases).filter(entry => entry.op === 'torch.linspace');
  const scriptCase = (code: string, extra: Partial<Case> = {}): Case => ({
    ...{ id: 'made-up', group: 'made-up', op: 'script', kind: 'script', code },
    ...{ inputs: [], outputs: [], grads: {}, rtol: 0, atol: 0 },
    ...extra,
  });
  const outcome = (entry: Case): string => {
    const { status, message } = runEager(entry, folder);
    return `${status}: ${message}`;
  };

  test('a wrong value', () => {
    const [output] = sample.outputs;
    const changed = { ...sample, outputs: [{ ...output, data: [0, 0.25, 0.5, 0.75, 1.001] }] } as Case;
    expect(outcome(sample)).toBe('passed: ');
    expect(outcome(changed)).toBe('failed: 1 of 5 elements differ; element 4 is 1, expected 1.0010000467300415');
  });
  test('a wrong gradient', () => {
    const entry = groups.flatMap(group => group.cases).find(({ op, grads }) => op === 'torch.exp' && grads.x)!;
    const changed = { ...entry, grads: { x: { ...entry.grads.x!, data: entry.inputs[0].data } } } as Case;
    expect(outcome(entry)).toBe('passed: ');
    expect(outcome(changed)).toMatch(/^failed: gradient of x: \d+ of \d+ elements differ/);
  });
  test('a wrong dtype and shape', () => {
    const [output] = sample.outputs;
    const asDtype = { ...sample, outputs: [{ ...output, dtype: 'float64' }] } as Case;
    const asShape = { ...sample, outputs: [{ ...output, shape: [5, 1] }] } as Case;
    expect(outcome(asDtype)).toBe('failed: dtype float32, expected float64');
    expect(outcome(asShape)).toBe('failed: shape [5], expected [5, 1]');
  });
  test('wrong text', () => {
    expect(outcome(scriptCase("print('a')", { stdout: 'b\n' }))).toBe('failed: printed "a\\n", expected "b\\n"');
  });
  test('an int where a float was expected', () => {
    const entry = scriptCase('n = 2', { outputs: [{ name: 'n', kind: 'float', value: 2 }] });
    expect(outcome(entry)).toBe('failed: n: int 2, expected float 2');
  });
  test('a missing error, and accepts an error in other words', () => {
    const error = { type: 'RuntimeError', message: 'boom' };
    expect(outcome(scriptCase('x = 1', { error }))).toBe('failed: no error, but PyTorch says RuntimeError: boom');
    expect(outcome(scriptCase('torch.zeros(2).backward()', { error }))).toMatch(
      /^passed: PyTorch: boom; gradc: .*E203/,
    );
  });
  test('numbers drawn by an entry that has not seeded: not PyTorch’s, and never passed for them', async () => {
    const drawn = { name: 'x', dtype: 'float32', shape: [2], data: [0.4962566, 0.7682218] } as const;
    const compiled = async (code: string): Promise<string> => {
      const entry = scriptCase(code, { outputs: [drawn], atol: 1e-6 });
      const [{ status, message }] = await compileCases([entry], 'wasm', folder);
      return `${status}: ${message}`;
    };
    expect(await compiled('torch.manual_seed(0); x = torch.rand(2)')).toBe('passed: ');
    expect(await compiled('x = torch.rand(2)')).toMatch(/^unsupported: PyTorch's random numbers inside an entry/);
    expect(await compiled('x = F.dropout(torch.ones(2))')).toMatch(/^unsupported: PyTorch's random numbers/);
  });
  test('what gradc lacks, by name', () => {
    expect(outcome(scriptCase('torch.no_such_function(1)'))).toBe('unsupported: torch.no_such_function');
    expect(outcome(scriptCase('torch.ones(2).no_such_method()'))).toBe('unsupported: Tensor.no_such_method');
    const option = scriptCase('torch.add(torch.ones(2), 1, no_such_option=3)');
    expect(outcome(option)).toBe('unsupported: torch.add(no_such_option=…)');
    expect(outcome(scriptCase('async def f(): pass'))).toMatch(/^unsupported: Python syntax/);
  });
});

describe('as a program', () => {
  const launcher = fileURLToPath(new URL('reference/run.mjs', import.meta.url));
  const run = (...args: string[]) => spawnSync(process.execPath, [launcher, ...args], { encoding: 'utf8' });

  test('runs any folder, with exit code 1 if anything failed', () => {
    const made = mkdtempSync(join(tmpdir(), 'reference-'));
    const line = { id: 'mine-1', group: 'mine', op: 'x', kind: 'script', code: 'n = 1 + 1', inputs: [], grads: {} };
    const outputs = [{ name: 'n', kind: 'int', value: 3 }];
    writeFileSync(join(made, 'mine.jsonl'), `${JSON.stringify({ ...line, outputs, rtol: 0, atol: 0 })}\n`);
    const { status, stdout } = run(made, '--json', '--mode', 'eager');
    rmSync(made, { recursive: true });
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      schemaVersion: 1,
      groups: { mine: { eager: { passed: 0, failed: 1, unsupported: 0, notApplicable: 0 } } },
      notPassed: [{ id: 'mine-1', mode: 'eager', status: 'failed', message: 'n: int 2, expected int 3' }],
    });
  });
  test.each([
    [['--mode', 'fast', folder], "unknown mode 'fast'; there are eager, wasm, cuda-host"],
    [['--group', 'nope', folder], "no group 'nope'"],
    [['--nope', folder], "Unknown option '--nope'"],
    [['no-such-folder'], 'no such folder'],
    [[], 'give one folder'],
  ])('%j is a mistake, with exit code 2', (args, message) => {
    const { status, stderr } = run(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});

test('the JSON report counts every case once', () => {
  const some = groups.filter(({ name }) => name === 'seeds' || name === 'printing');
  const results = some.flatMap(({ name, cases }) =>
    cases.map(entry => ({ group: name, id: entry.id, mode: 'eager' as const, outcome: runEager(entry, folder) })),
  );
  const report = JSON.parse(reportJson(results)) as {
    schemaVersion: number;
    groups: Record<string, { eager: Record<string, number> }>;
    notPassed: { id: string }[];
  };
  expect(report.schemaVersion).toBe(1);
  for (const { name, cases } of some) {
    const counts = report.groups[name].eager;
    expect(counts.passed + counts.failed + counts.unsupported + counts.notApplicable).toBe(cases.length);
  }
  expect(new Set(report.notPassed.map(({ id }) => id)).size).toBe(report.notPassed.length);
});
