/** E315: what runs depends on the values of tensors. */
import { defineModel, entry, input, type Tensor } from 'gradc';

const halved = (x: Tensor): Tensor => {
  while (x.sum().item() > 1) x = x.div(2);
  return x;
};

export default defineModel('flow', () => ({
  state: {},
  entries: {
    run: entry({ x: input([4]) }, ({ x }) => {
      const total = x.sum().item();
      const large = total > 10;
      if (large) x = x.clamp(0, 1);
      switch (x.argmax().item()) {
        case 0:
          x = x.neg();
      }
      return { y: x.dot(x).item() < 0 ? x : halved(x) };
    }),
  },
}));
