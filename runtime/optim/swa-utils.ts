/**
 * Averages of a model's parameters over training. Izmailov et al., "Averaging weights leads to wider optima and better
 * generalization" (2018); with an average that forgets, Polyak's of the last steps.
 *
 *   const average = new optim.swaUtils.AveragedModel(net, { avgFn: (mean, p) => mean.mul(0.99).add(p.mul(0.01)) });
 *   // in the training step, after opt.step():
 *   average.updateParameters(net);
 */
import { fail } from '../../compiler/errors.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { where } from '../../compiler/ops/selection.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { zeros } from '../creation.js';
import { Module } from '../nn/module.js';
import { LRScheduler, type SchedulerOptions } from './lr-scheduler.js';

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
  readonly #average: Average;
  readonly #useBuffers: boolean;

  constructor(model: M, { avgFn = equalAverage, useBuffers = false }: AveragedModelOptions = {}) {
    super();
    this.module = model.clone();
    this.nAveraged = this.registerBuffer('nAveraged', zeros({ dtype: 'int64' }));
    this.#average = avgFn;
    this.#useBuffers = useBuffers;
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
    const tensorsOf = (of: Module): Tensor[] =>
      this.#useBuffers ? [...of.parameters(), ...of.buffers()] : [...of.parameters()];
    const [averages, values] = [tensorsOf(this.module), tensorsOf(model)];
    noGrad(() => {
      for (const [i, averaged] of averages.entries()) {
        const value = values[i].detach();
        averaged.copy_(where(isFirst, value, this.#average(averaged.detach(), value, this.nAveraged)));
      }
      if (!this.#useBuffers) {
        const buffers = [...model.buffers()];
        for (const [i, buffer] of [...this.module.buffers()].entries()) buffer.copy_(buffers[i]);
      }
      this.nAveraged.add_(1);
    });
  }
}
