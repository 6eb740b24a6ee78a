/** The wasm backend with the plans of a tuning. */
import { createHash } from 'node:crypto';
import { wasm } from '../../../backends/wasm/backend.js';
import type { Chooser } from '../../../backends/wasm/contraction.js';
import { scheduleBy } from '../../../backends/wasm/schedule.js';
import type { Kernel } from '../../ir/kernel.js';
import { anonymousText } from '../../pipeline.js';
import type { Tuning } from './tuning-file.js';

/** What a statement of a kernel does, whatever its tensors are called. */
export const contractionKey = (kernel: Kernel, statement: number): string =>
  createHash('sha256')
    .update(`${statement} ${anonymousText(kernel)}`)
    .digest('hex')
    .slice(0, 32);

/** A plan that this gradc does not offer any more is passed over. */
const chooserOf =
  ({ plans }: Tuning): Chooser =>
  (kernel, statement, offered) => {
    const tuned = plans[contractionKey(kernel, statement)];
    return offered.find(({ what }) => what === tuned?.plan) ?? null;
  };

/** The wasm backend; without `winograd` only with plans whose errors are those of plain sums. */
export const wasmTunedBy = (tuning: Tuning | null, winograd = true): typeof wasm =>
  tuning === null && winograd
    ? wasm
    : { ...wasm, schedule: scheduleBy({ choose: tuning && chooserOf(tuning), winograd }) };
