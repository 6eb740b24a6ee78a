/** How the jobs of the compiled modes are run: WASM in this process; CUDA as C++ on the CPU, many jobs to one compilation. */
import { compile } from 'gradc/compiler';
import { Unsupported } from '../support/python/errors.js';
import type { Job, JobResult } from './compiled.js';

type ProgramRunner = (jobs: readonly Job[]) => Promise<readonly JobResult[]>;

/** What a job throws, from tracing to running, is its result. */
function attempt(run: () => JobResult): JobResult {
  try {
    return run();
  } catch (error) {
    return { error };
  }
}

const inWasm: ProgramRunner = async jobs =>
  jobs.map(job => attempt(() => ({ results: compile(job.run, job.specs, { backend: 'wasm' })(job.inputs) })));

export const programRunners: Readonly<Record<'wasm' | 'cuda-host', ProgramRunner>> = {
  wasm: inWasm,
  'cuda-host': async jobs => jobs.map(() => ({ error: new Unsupported('mode cuda-host') })),
};
