/** Parameters as one vector, in their order. */
import { fail } from '../../../compiler/errors.js';
import { numel } from '../../../compiler/ir/shape.js';
import { cat } from '../../../compiler/ops/shape.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import type { Tensor } from '../../../compiler/ops/tensor.js';

/** All elements of all parameters: [n]. */
export const parametersToVector = (parameters: Iterable<Tensor>): Tensor =>
  cat([...parameters].map(parameter => parameter.reshape([-1])));

/** Write a vector of `parametersToVector` into parameters. Throws E208 where it has another number of elements. */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  const targets = [...parameters];
  const wanted = targets.reduce((sum, { shape }) => sum + numel(shape), 0);
  if (vector.ndim !== 1 || vector.numel() !== wanted) {
    fail('E208', {
      problem: `the parameters have ${wanted} elements in all, but a tensor of shape [${vector.shape.join(', ')}] was given`,
      hint: 'give a vector of that many elements, as from parametersToVector',
    });
  }
  noGrad(() => {
    let start = 0;
    for (const target of targets) {
      const count = target.numel();
      target.copy_(vector.narrow(0, start, count).reshape(target.shape));
      start += count;
    }
  });
}
