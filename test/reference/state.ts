/** Each case starts from the same global state, whatever the one before it did. */
import * as gradc from 'gradc';
import { setDefaultDtype } from '../../compiler/ir/dtype.js';
import { setGradEnabled } from '../../compiler/ops/tape.js';

export function withFreshState<T>(run: () => T): T {
  setGradEnabled(true);
  setDefaultDtype('float32');
  gradc.setPrintoptions({ profile: 'default' });
  gradc.manualSeed(0);
  return run();
}
