/** The ways to run a call of an op. Each takes float32 arguments and returns all tensors of the result. */
import { noGrad } from '../../compiler/ops/tape.js';
import type { Tensor } from '../../compiler/ops/tensor.js';
import { type TestedOp, tensorsIn } from './op-samples.js';

export interface Mode {
  readonly name: string;
  run(op: TestedOp, args: readonly unknown[]): Tensor[];
}

const eager: Mode = {
  name: 'eager',
  run: (op, args) => noGrad(() => tensorsIn(op.call(...args))),
};

export const modes: readonly Mode[] = [eager];
