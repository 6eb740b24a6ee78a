/**
 * The op table as generated CUDA C, run on the CPU: every op × sample, value and gradient in one program, against eager
 * in float64. Programs are compiled many at a time, since starting the C++ compiler is most of its work.
 */
import { describe, expect, test } from 'vitest';
import { cudaBackend } from '../backends/cuda/backend.js';
import type { Program } from '../compiler/ir/program.js';
import { tensorOver } from '../compiler/ops/tensor.js';
import { compileToProgram, scheduleProgram } from '../compiler/pipeline.js';
import { input, nameCaptured, traceFunction } from '../compiler/trace/model.js';
import { rowMajor } from '../runtime/eager.js';
import { hasHostCompiler } from './support/cuda-host/compile.js';
import { type HostModel, runProgramsOnHost, stateBytes } from './support/cuda-host/run.js';
import { expectSameValues, type SampleProgram, sampleProgram } from './support/op-checks.js';
import { testedOps } from './support/op-samples.js';

interface Case {
  readonly name: string;
  readonly program: SampleProgram;
}
const cases: readonly Case[] = testedOps.flatMap(op =>
  op.samples.flatMap((sample, i) => {
    if (sample.eagerOnly) return [];
    return [{ name: `${op.name} ${i}`, program: sampleProgram(op, i) }];
  }),
);

const perLibrary = 60;
const batches = Array.from({ length: Math.ceil(cases.length / perLibrary) }, (_, i) =>
  cases.slice(i * perLibrary, (i + 1) * perLibrary),
);

interface Prepared {
  readonly program: Program;
  readonly state: Uint8Array;
}

function prepare({ program: { fn, inputs } }: Case, name: string): Prepared {
  const specs = Object.fromEntries(inputs.map(({ shape, dtype }, i) => [`x${i}`, input(shape, dtype)]));
  const { graph, state } = nameCaptured(
    traceFunction('run', specs, given =>
      Object.fromEntries(fn(...Object.values(given)).map((output, i) => [`y${i}`, output])),
    ),
  );
  const { program } = compileToProgram({ name, graphs: [graph], state });
  return { program: scheduleProgram(program, cudaBackend), state: stateBytes(program, state) };
}

/** The models of a batch, compiled when the first of its tests asks. */
function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => (made ??= make());
}

describe.skipIf(!hasHostCompiler)('cuda on the CPU', () => {
  for (const [b, batch] of batches.entries()) {
    const prepared = lazily(async () => batch.map((item, i) => prepare(item, `ops${b}_${i}`)));
    const models = lazily(async (): Promise<HostModel[]> => {
      const all = await prepared();
      return runProgramsOnHost(
        all.map(({ program }) => program),
        all.map(({ state }) => state),
      );
    });
    test.each(batch.map((item, i) => [item.name, item.program, i] as const))('%s', async (_, program, i) => {
      const model = (await models())[i];
      const { outputs } = (await prepared())[i].program.entries[0];
      const given = Object.fromEntries(program.inputs.map((tensor, k) => [`x${k}`, rowMajor(tensor, 'a test')]));
      const found = model.entries.run(given);
      const actual = outputs.map(({ name, type }) => tensorOver(found[name], type));
      expectSameValues(actual, program.expected(), program.tolerance);
      expect(actual.length).toBeGreaterThan(0);
    });
  }
});
