/**
 * A softmax over many classes of which few are frequent (E. Grave et al., "Efficient softmax approximation for GPUs", 2017):
 * a head tells frequent classes and clusters apart, a smaller layer for each cluster its classes.
 *
 * All log-probabilities are computed and the targets' picked, so that the program is the same whatever the targets are.
 */
import { fail } from '../../compiler/errors.js';
import { type NamedTuple, namedTuple } from '../../compiler/ops/named-tuple.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import { byName, type InOrder } from '../in-order.js';
import { ModuleList, Sequential } from './containers.js';
import { Linear } from './linear.js';
import { Module } from './module.js';

export interface AdaptiveSoftmaxOptions {
  /** By how much each cluster's features are fewer than those of the one before. Default: 4. */
  readonly divValue?: number;
  readonly headBias?: boolean;
}

function checkCutoffs(cutoffs: readonly number[], classes: number): void {
  const rises = cutoffs.every((cutoff, i) => Number.isInteger(cutoff) && cutoff > (cutoffs[i - 1] ?? 0));
  if (cutoffs.length === 0 || !rises || cutoffs[cutoffs.length - 1] > classes - 1)
    fail('E110', {
      op: 'AdaptiveLogSoftmaxWithLoss',
      problem: `cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is between 1 and n_classes-1, but they are [${cutoffs.join(', ')}] of ${classes} classes`,
    });
}

const settingsOrder = ['divValue', 'headBias'] as const;
export class AdaptiveLogSoftmaxWithLoss extends Module {
  readonly cutoffs: readonly number[];
  head: Linear;
  tail: ModuleList<Sequential>;

  constructor(
    readonly inFeatures: number,
    readonly nClasses: number,
    cutoffs: readonly number[],
    ...given: InOrder<AdaptiveSoftmaxOptions, typeof settingsOrder>
  ) {
    super();
    const named: AdaptiveSoftmaxOptions = byName('AdaptiveLogSoftmaxWithLoss', settingsOrder, given);
    const { divValue = 4, headBias = false } = named;
    checkCutoffs(cutoffs, nClasses);
    this.cutoffs = [...cutoffs, nClasses];
    this.head = new Linear(inFeatures, cutoffs[0] + cutoffs.length, { bias: headBias });
    this.tail = new ModuleList(
      cutoffs.map((start, i) => {
        const features = Math.floor(inFeatures / divValue ** (i + 1));
        return new Sequential(
          new Linear(inFeatures, features, { bias: false }),
          new Linear(features, this.cutoffs[i + 1] - start, { bias: false }),
        );
      }),
    );
  }

  /** The log-probabilities of all classes. */
  logProb(input: Tensor): Tensor {
    const [frequent] = this.cutoffs;
    const head = F.logSoftmax(this.head.forward(input), -1);
    const clusters = [...this.tail].map((layers, i) =>
      F.logSoftmax(layers.forward(input) as Tensor, -1).add(head.narrow(-1, frequent + i, 1)),
    );
    return F.cat([head.narrow(-1, 0, frequent), ...clusters], -1);
  }

  /** The most probable class of each input. */
  predict(input: Tensor): Tensor {
    return this.logProb(input).argmax(-1);
  }

  /** The log-probability of each target, and the mean loss. */
  override forward(input: Tensor, target: Tensor): NamedTuple<['output', 'loss']> {
    const output = this.logProb(input).gather(-1, target.unsqueeze(-1)).squeeze(-1);
    return namedTuple({ output, loss: output.mean().neg() });
  }
}
