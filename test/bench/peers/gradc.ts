/** gradc itself, as one engine among the others. */
import { hasFeature } from '../../../runtime/deploy/features.js';
import { CompiledWorkload } from '../compiled.js';
import { workloads } from '../workloads.js';
import type { StartEngine } from './engine.js';

/** `thread`: where the bundle of `runtime/deploy/thread.ts` is. */
export const startGradc =
  (thread: URL): StartEngine =>
  async threads => {
    const relaxed = hasFeature('relaxed-simd');
    return {
      title: `gradc (${relaxed ? 'relaxed SIMD' : 'SIMD'})`,
      async prepare({ name }, inputs) {
        const workload = workloads.find(each => each.name === name)!;
        const compiled = new CompiledWorkload(workload);
        const model =
          threads === 1 ? compiled.model({ relaxed }) : await compiled.modelOfTeam({ relaxed }, threads, thread);
        const run = async (): Promise<ArrayLike<number>> => {
          const [output] = Object.values(model[workload.entry](inputs));
          return typeof output === 'number' ? [output] : (output as Float32Array);
        };
        return { run, dispose: () => model.dispose() };
      },
    };
  };
