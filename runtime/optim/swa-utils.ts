/**
 * Averages of a model's parameters over training. Izmailov et al., "Averaging weights leads to wider optima and better
 * generalization" (2018); with an average that forgets, Polyak's of the last steps.
 *
 *   const average = new optim.swaUtils.AveragedModel(net, { avgFn: (mean, p) => mean.mul(0.99).add(p.mul(0.01)) });
 *   // in the training step, after opt.step():
 *   average.updateParameters(net);
 */
import { fail } from '../../compiler/errors.js';
import { where } from '../../compiler/ops/selection.js';
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { zeros } from '../creation.js';
import { byName, type NeededInOrder, needed } from '../in-order.js';
import { Module } from '../nn/module.js';
import { LRScheduler, type SchedulerOptions } from './lr-scheduler.js';
import { type AnyOptimizer, perGroup } from './per-group.js';

/** The next average, from the last one, the parameter, and how many parameters the last one is of (int64, 0-d). */
export type Average = (averaged: Tensor, parameter: Tensor, count: Tensor) => Tensor;

const equalAverage: Average = (averaged, parameter, count) =>
  averaged.add(parameter.sub(averaged).div(count.add(1).to(averaged.dtype)));

export interface AveragedModelOptions {
  readonly avgFn?: Average;
  /** Average buffers too; otherwise they are copied when the model is averaged. */
  readonly useBuffers?: boolean;
}

/** A model whose parameters are averages of another's. Listed among a model's state, it is updated inside compiled steps. */
export class AveragedModel<M extends Module> extends Module {
  readonly module: M;
  nAveraged: Tensor;
  readonly avgFn: Average;
  readonly useBuffers: boolean;

  constructor(model: M, { avgFn = equalAverage, useBuffers = false }: AveragedModelOptions = {}) {
    super();
    this.module = model.clone();
    this.nAveraged = this.registerBuffer('nAveraged', zeros({ dtype: 'int64' }));
    this.avgFn = avgFn;
    this.useBuffers = useBuffers;
  }
  protected override stateName(field: string): string {
    return field === 'nAveraged' ? 'n_averaged' : field;
  }
  override forward(...inputs: Parameters<M['forward']>): ReturnType<M['forward']> {
    return this.module.forward(...inputs);
  }

  /** Take the model's parameters into the averages; the first are taken as they are. */
  updateParameters(model: M): void {
    const isFirst = this.nAveraged.eq(0);
    const averaged = (own: Tensor, value: Tensor): Tensor =>
      where(isFirst, value, this.avgFn(own.detach(), value, this.nAveraged));
    noGrad(() => {
      for (const [own, value] of pairs(this.module.parameters(), model.parameters()))
        own.copy_(averaged(own, value.detach()));
      for (const [own, value] of pairs(this.module.buffers(), model.buffers()))
        own.copy_(this.useBuffers ? averaged(own, value) : value);
      this.nAveraged.add_(1);
    });
  }
}

/** Each tensor with that of the model it averages. Throws E208 where there are not as many. */
function pairs(own: Iterable<Tensor>, given: Iterable<Tensor>): [Tensor, Tensor][] {
  const [mine, others] = [[...own], [...given]];
  if (mine.length !== others.length)
    fail('E208', {
      problem: `AveragedModel: it averages ${mine.length} tensors, but the model given has ${others.length}`,
      hint: 'give the model that it was made of, or one of the same structure',
    });
  return mine.map((tensor, i) => [tensor, others[i]]);
}

/** Layers that keep statistics of what went through them. */
interface Statistics extends Module {
  momentum: number | null;
  runningMean: Tensor;
  runningVar: Tensor;
  numBatchesTracked: Tensor;
}
const keepsStatistics = (module: Module): module is Statistics =>
  'runningMean' in module && module.runningMean !== null;

/**
 * Set the running statistics of batch normalisation anew, from all batches: averaged parameters fit none that were kept before.
 * Of a batch that is a list the first tensor is the model's input.
 */
export function updateBn(batches: Iterable<Tensor | readonly Tensor[]>, model: Module): void {
  const layers = [...model.modules()].filter(keepsStatistics);
  if (layers.length === 0) return;
  const wasTraining = model.training;
  const momenta = layers.map(({ momentum }) => momentum);
  for (const layer of layers) {
    layer.runningMean.zero_();
    layer.runningVar.fill_(1);
    layer.numBatchesTracked.zero_();
    layer.momentum = null;
  }
  model.train();
  try {
    noGrad(() => {
      for (const batch of batches) model.forward(Array.isArray(batch) ? batch[0] : batch);
    });
  } finally {
    for (const [i, layer] of layers.entries()) layer.momentum = momenta[i];
    model.train(wasTraining);
  }
}

export interface AnnealOptions extends SchedulerOptions {
  readonly swaLr: number | readonly number[];
  readonly annealEpochs?: number;
  readonly annealStrategy?: 'cos' | 'linear';
}
const strategies: Readonly<Record<'cos' | 'linear', (part: Tensor) => Tensor>> = {
  cos: part => part.mul(Math.PI).cos().sub(1).div(-2),
  linear: part => part,
};

/** From the rate that is there to one that stays, with which models to average are found. */
export class SWALR extends LRScheduler {
  constructor(
    optimizer: AnyOptimizer,
    ...given: NeededInOrder<AnnealOptions, ['swaLr'], ['annealEpochs', 'annealStrategy', 'lastEpoch']>
  ) {
    const named: AnnealOptions = byName('SWALR', ['swaLr', 'annealEpochs', 'annealStrategy', 'lastEpoch'], given);
    const { swaLr, annealEpochs = 10, annealStrategy = 'cos', ...options } = needed('SWALR', ['swaLr'], named);
    const anneal = strategies[annealStrategy];
    if (anneal === undefined)
      fail('E208', { problem: `annealStrategy must be one of 'cos' or 'linear', instead got ${annealStrategy}` });
    if (!(Number.isInteger(annealEpochs) && annealEpochs >= 0))
      fail('E208', { problem: `annealEpochs must be a whole number of at least 0, got ${annealEpochs}` });
    const targets = perGroup(optimizer, 'swa_lr', swaLr);
    const shareAt = (epoch: Tensor): Tensor => anneal(epoch.div(Math.max(1, annealEpochs)).clamp(0, 1));
    super(optimizer, options, ({ epoch, current, group }) => {
      const [target, at] = [targets[group], annealEpochs === 0 ? epoch.clamp(1) : epoch];
      const [before, now] = [shareAt(at.sub(1)), shareAt(at)];
      const start = current.sub(before.mul(target)).div(before.neg().add(1));
      return where(before.eq(1), target, start.add(now.mul(start.neg().add(target))));
    });
  }
}
