/** E312: JavaScript's operators on tensors, those that the type checker lets pass as well as those that it refuses. */
import { defineModel, entry, input, type Tensor } from 'gradc';

function larger(a: Tensor, b: Tensor): Tensor {
  return a > b ? a : b;
}

export default defineModel('operator', () => ({
  state: {},
  entries: {
    run: entry({ a: input([4]), b: input([4]) }, ({ a, b }) => {
      if (a == b) console.log('sum: ' + a.sum());
      // @ts-expect-error the type checker refuses it too
      const sum: Tensor = 2 - (a + b);
      // @ts-expect-error as above
      const negative: Tensor = -sum;
      return { c: larger(a, negative) };
    }),
  },
}));
