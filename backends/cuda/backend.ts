/**
 * CUDA: kernels as readable CUDA C behind a plain C interface, one tiled contraction, warp and block reductions.
 *
 * Writes text only; `nvcc.ts` builds it where the CUDA toolkit is present, and CMakeLists.txt builds it elsewhere.
 */
import { fail } from '../../compiler/errors.js';
import { dtypes } from '../../compiler/ir/dtype.js';
import { launchesOf, type Program } from '../../compiler/ir/program.js';
import type { ArtifactFiles, Backend } from '../backend.js';
import { emitCMake, emitHeader, emitSource } from './host.js';
import { identifier } from './names.js';
import { cudaSchedule } from './schedule.js';

/** Index arithmetic on the device is done in 32 bits. */
const largestTensor = 2 ** 31 - 1;

export const cudaBackend: Backend = {
  name: 'cuda',
  capabilities: { dtypes, lanes: 4 },
  schedule: cudaSchedule,
  emit(program: Program): ArtifactFiles {
    for (const { steps } of program.entries) {
      for (const { kernel } of launchesOf(steps)) {
        const large = kernel.params.find(({ buffer }) => buffer.size > largestTensor);
        if (large)
          fail('E601', {
            backend: 'cuda',
            what: `a tensor of more than ${largestTensor} elements (${large.buffer.name} of ${kernel.name})`,
            hint: 'split it',
          });
      }
    }
    const model = identifier(program.name);
    return new Map([
      [`cuda/${model}.cu`, emitSource(program)],
      [`cuda/${model}.h`, emitHeader(program)],
      ['cuda/CMakeLists.txt', emitCMake(program)],
    ]);
  },
};
