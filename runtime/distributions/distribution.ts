/**
 * What all distributions share, as in PyTorch's `torch.distributions`: batches of independent distributions of one form, whose
 * parameters are tensors. Samples have the shape [...sampleShape, ...batchShape, ...eventShape].
 *
 * In a compiled entry samples are drawn anew in each call.
 */
import { fail } from '../../compiler/errors.js';
import { formatShape, type Shape } from '../../compiler/ir/shape.js';
import { requireValues } from '../../compiler/ops/checks.js';
import { broadcastTensors } from '../../compiler/ops/joining.js';
import { noGrad } from '../../compiler/ops/tape.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { tensor } from '../creation.js';
import type { Domain } from './domain.js';

export interface DistributionOptions {
  /**
   * Check parameters, and the values that `logProb` and `cdf` are given. Compiled, only by `compile(…, { checkValues: true })`
   * and `gradc build --check-values`.
   */
  readonly validateArgs?: boolean;
}

/** A parameter as users give it. */
export type ParameterValue = Tensor | number;

/** Parameters as tensors of one shape. */
export function broadcastAll(...values: readonly ParameterValue[]): Tensor[] {
  const like = values.find(value => value instanceof Tensor) as Tensor | undefined;
  const dtype = like?.dtype;
  return broadcastTensors(
    values.map(value => (value instanceof Tensor ? value : tensor(value, dtype ? { dtype } : {}).float())),
  );
}

export abstract class Distribution {
  readonly batchShape: Shape;
  readonly eventShape: Shape;
  readonly #validateArgs: boolean;

  constructor(batchShape: Shape, eventShape: Shape, { validateArgs = true }: DistributionOptions) {
    this.batchShape = batchShape;
    this.eventShape = eventShape;
    this.#validateArgs = validateArgs;
  }

  /** The values that can be drawn. */
  abstract get support(): Domain;
  abstract get mean(): Tensor;
  abstract get variance(): Tensor;
  get mode(): Tensor {
    return this.lacks('mode');
  }
  get stddev(): Tensor {
    return this.variance.sqrt();
  }

  /** Draw without a gradient. */
  sample(sampleShape: Shape = []): Tensor {
    return noGrad(() => this.rsample(sampleShape));
  }
  /** Draw so that the sample has a gradient with respect to the parameters. Throws E208 where there is none. */
  rsample(_sampleShape: Shape = []): Tensor {
    return this.lacks('rsample', 'use sample(), and logProb() of it for the gradient (REINFORCE)');
  }
  /** The logarithm of the probability or of its density at a value: [..., ...batchShape]. */
  abstract logProb(value: Tensor): Tensor;
  cdf(_value: Tensor): Tensor {
    return this.lacks('cdf');
  }
  icdf(_value: Tensor): Tensor {
    return this.lacks('icdf');
  }
  entropy(): Tensor {
    return this.lacks('entropy');
  }
  perplexity(): Tensor {
    return this.entropy().exp();
  }

  /** The shape of a sample. */
  protected extendedShape(sampleShape: Shape): Shape {
    return [...sampleShape, ...this.batchShape, ...this.eventShape];
  }
  protected lacks(what: string, hint?: string): never {
    return fail('E208', { problem: `${this.constructor.name} has no ${what}`, hint });
  }
  /** Throws E208 unless all elements of a parameter are in a domain. */
  protected checkParameter(name: string, value: Tensor, domain: Domain): void {
    if (this.#validateArgs) this.#check(value, domain, `expected parameter ${name} (${formatShape(value.shape)})`);
  }
  /** Throws E208 unless a value is one that can be drawn. */
  protected checkSample(value: Tensor): void {
    if (this.#validateArgs) this.#check(value, this.support, `expected the value (${formatShape(value.shape)})`);
  }
  #check(value: Tensor, domain: Domain, what: string): void {
    const { name } = this.constructor;
    requireValues(value.detach(), {
      op: `distributions.${name}`,
      measure: domain.measure,
      accepts: domain.accepts,
      acceptsAll: domain.acceptsAll,
      refuse(found) {
        const holds = found === null || domain.measure !== undefined ? '' : `, but it holds ${found}`;
        return fail('E208', {
          problem: `${name}: ${what} to be ${domain.text}${holds}`,
          hint: 'pass { validateArgs: false } to leave values unchecked',
        });
      },
    });
  }

  toString(): string {
    return `${this.constructor.name}(batchShape: ${formatShape(this.batchShape)}, eventShape: ${formatShape(this.eventShape)})`;
  }
}
