/** gradc itself, as one engine among the others. */
import { hasFeature } from '../../../runtime/deploy/loader.js';
import { CompiledWorkload } from '../compiled.js';
import { workloads } from '../workloads.js';
import { type StartEngine, Unsupported } from './engine.js';

export const startGradc: StartEngine = async threads => {
  if (threads > 1) throw new Unsupported('is measured with one thread');
  const relaxed = hasFeature('relaxed-simd');
  return {
    title: `gradc (${relaxed ? 'relaxed SIMD' : 'SIMD'})`,
    async prepare({ name }, inputs) {
      const workload = workloads.find(each => each.name === name)!;
      const model = new CompiledWorkload(workload).model(relaxed);
      const run = async (): Promise<ArrayLike<number>> => {
        const [output] = Object.values(model[workload.entry](inputs));
        return typeof output === 'number' ? [output] : (output as Float32Array);
      };
      return { run, dispose: () => {} };
    },
  };
};
