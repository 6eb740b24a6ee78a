/** Batch normalisation folded into the convolution before it, for inference. */
import { fail } from '../../../compiler/errors.js';
import { zerosLike } from '../../../compiler/ops/creation.js';
import { noGrad } from '../../../compiler/ops/tape.js';
import type { Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from '../convolution.js';
import type { BatchNorm1d, BatchNorm2d, BatchNorm3d } from '../normalization.js';
import { Parameter } from '../parameter.js';
import { outputDimOf } from './weight-matrix.js';

type Convolution = Conv1d | Conv2d | Conv3d | ConvTranspose1d | ConvTranspose2d | ConvTranspose3d;

/**
 * A convolution that computes what `conv` and then `bn` do in eval mode. Neither is changed. Throws E208 where one of them is
 * in training mode or `bn` keeps no statistics.
 */
export function fuseConvBnEval<C extends Convolution>(conv: C, bn: BatchNorm1d | BatchNorm2d | BatchNorm3d): C {
  if (conv.training || bn.training)
    fail('E208', { problem: 'fuseConvBnEval: both modules must be in eval mode', hint: 'call eval() on them first' });
  const { runningMean, runningVar } = bn;
  if (runningMean === null || runningVar === null)
    return fail('E208', { problem: 'fuseConvBnEval: the batch normalisation keeps no running statistics' });
  return noGrad(() => {
    const fused = conv.clone() as C;
    const scale = runningVar
      .add(bn.eps)
      .rsqrt()
      .mul(bn.weight ?? 1);
    const perOutput = conv.weight.shape.map((_, d) => (d === outputDimOf(conv) ? -1 : 1));
    const bias = conv.bias ?? zerosLike(runningMean);
    fused.weight = new Parameter(conv.weight.mul(scale.reshape(perOutput)));
    fused.bias = new Parameter(
      bias
        .sub(runningMean)
        .mul(scale)
        .add(bn.bias ?? 0),
    );
    return fused;
  });
}
