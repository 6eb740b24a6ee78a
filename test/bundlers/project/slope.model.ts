/** A line through the origin that learns its slope: small enough to be compiled by every bundler in turn. */
import { defineModel, entry, float32, full, input, nn, optim } from 'gradc';
import * as F from 'gradc/functional';

export default defineModel('slope', () => {
  const slope = new nn.Parameter(full([1], 2, { dtype: float32 }));
  const opt = new optim.SGD([slope], { lr: 0.05 });
  return {
    state: { slope, opt },
    entries: {
      predict: entry({ x: input([3]) }, ({ x }) => ({ y: x.mul(slope) })),
      trainStep: entry({ x: input([3]), y: input([3]) }, ({ x, y }) => {
        opt.zeroGrad();
        const loss = F.mseLoss(x.mul(slope), y);
        loss.backward();
        opt.step();
        return { loss };
      }),
    },
  };
});
