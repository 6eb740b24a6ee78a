/**
 * How the jobs of the compiled modes are run: WASM in this process; CUDA as C++ on the CPU, many programs to one compilation,
 * since the C++ compiler's start is most of its time.
 */

import { compile } from 'gradc/compiler';
import { cudaBackend } from '../../backends/cuda/backend.js';
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { arrayOf } from '../../compiler/ir/dtype.js';
import type { Program, Slot } from '../../compiler/ir/program.js';
import { overPair, type Tensor, tensorOver } from '../../compiler/ops/tensor.js';
import { compileToProgram, scheduleProgram } from '../../compiler/pipeline.js';
import { asDeclared, asReal, complexNames, realResults, realSpecs } from '../../compiler/trace/complex-entries.js';
import { nameCaptured, traceFunction } from '../../compiler/trace/model.js';
import { rowMajor } from '../../runtime/eager.js';
import { runProgramsOnHost, stateBytes } from '../support/cuda-host/run.js';
import type { Job, JobResult } from './compiled.js';
import { withFreshState } from './state.js';

type ProgramRunner = (jobs: readonly Job[]) => Promise<readonly JobResult[]>;

/** What a job throws, from tracing to running, is its result. */
function attempt<T>(run: () => T): T | { readonly error: unknown } {
  try {
    return withFreshState(run);
  } catch (error) {
    return { error };
  }
}

const inWasm: ProgramRunner = async jobs =>
  jobs.map(job =>
    attempt(() => ({ results: compile(job.run, job.specs, { backend: 'wasm', checkValues: true })(job.inputs) })),
  );

// ── CUDA on the CPU ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Programs to one call of the C++ compiler. */
const batchSize = 40;

interface HostProgram {
  readonly job: Job;
  readonly program: Program;
  readonly state: Uint8Array;
  /** The names of complex results. */
  readonly complexOnes: readonly string[];
}

const onCudaHost: ProgramRunner = async jobs => {
  const prepared = jobs.map((job, i) => attempt(() => hostProgram(job, `case${i}`)));
  const programs = prepared.filter(entry => 'program' in entry);
  const results = new Map<HostProgram, JobResult>();
  for (let start = 0; start < programs.length; start += batchSize)
    await runBatch(programs.slice(start, start + batchSize), results);
  return prepared.map(entry => ('program' in entry ? results.get(entry)! : entry));
};

function hostProgram(job: Job, name: string): HostProgram {
  let complexOnes: readonly string[] = [];
  const traced = traceFunction(job.name, realSpecs(job.specs), given => {
    const results = job.run(asDeclared(job.specs, given));
    complexOnes = complexNames(results);
    return realResults(results);
  });
  const { graph, state } = nameCaptured(traced);
  const { program } = compileToProgram({ name, graphs: [graph], state }, {}, evaluateConstant);
  return { job, program: scheduleProgram(program, cudaBackend), state: stateBytes(program, state), complexOnes };
}

/** Run programs compiled together; where they do not compile together, each alone, so that one bad one spoils no other. */
async function runBatch(batch: readonly HostProgram[], results: Map<HostProgram, JobResult>): Promise<void> {
  try {
    const models = await runProgramsOnHost(
      batch.map(({ program }) => program),
      batch.map(({ state }) => state),
    );
    for (const [i, entry] of batch.entries()) {
      results.set(
        entry,
        attempt(() => ({ results: callEntry(entry, models[i].entries[entry.job.name]) })),
      );
      models[i].dispose();
    }
  } catch (error) {
    if (batch.length === 1) results.set(batch[0], { error });
    else for (const entry of batch) await runBatch([entry], results);
  }
}

type HostEntry = Awaited<ReturnType<typeof runProgramsOnHost>>[number]['entries'][string];

function callEntry({ job, program, complexOnes }: HostProgram, entry: HostEntry): Record<string, Tensor> {
  const inputs = Object.fromEntries(
    Object.entries(asReal(job.specs, job.inputs)).map(([name, given]) => [
      name,
      rowMajor(given as Tensor, 'an input').slice(),
    ]),
  );
  const outputs = entry(inputs);
  const slots: readonly Slot[] = program.entries[0].outputs;
  return Object.fromEntries(
    slots.map(({ name, type }) => {
      const { buffer, byteOffset, length } = outputs[name];
      const result = tensorOver(new (arrayOf(type.dtype))(buffer, byteOffset, length), type);
      return [name, complexOnes.includes(name) ? overPair(result) : result];
    }),
  );
}

export const programRunners: Readonly<Record<'wasm' | 'cuda-host', ProgramRunner>> = {
  wasm: inWasm,
  'cuda-host': onCudaHost,
};
