/** The wasm backend with the plans of a tuning. */
import { createHash } from 'node:crypto';
import { wasm } from '../../../backends/wasm/backend.js';
import { type Chooser, plainSums } from '../../../backends/wasm/contraction.js';
import { scheduleChosenBy } from '../../../backends/wasm/schedule.js';
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
export function wasmTunedBy(tuning: Tuning | null, winograd = true): typeof wasm {
  const tuned = tuning && chooserOf(tuning);
  if (winograd) return tuned === null ? wasm : { ...wasm, schedule: scheduleChosenBy(tuned) };
  const choose: Chooser = (kernel, statement, offered) => {
    const plain = offered.filter(({ rounding }) => rounding === undefined);
    return tuned?.(kernel, statement, plain) ?? plainSums(kernel, statement, plain);
  };
  return { ...wasm, schedule: scheduleChosenBy(choose) };
}
