/** W312: changes that happen once, while tracing. */
import { defineModel, entry, input, nn, type Tensor } from 'gradc';

class Watched extends nn.Module {
  inner = new nn.Linear(4, 4);
  width = 0;
  seen: Tensor | null = null;
  readonly shapes: string[] = [];
  forward(x: Tensor): Tensor {
    this.width = x.shape[0];
    this.seen = x;
    this.shapes.push(`${x.shape}`);
    return this.inner.forward(x);
  }
}

export default defineModel('once', () => {
  const net = new Watched();
  const sizes = new Map<string, number>();
  return {
    state: { net },
    entries: {
      run: entry({ x: input([4]) }, ({ x }) => {
        sizes.set('x', x.numel());
        return { y: net.forward(x) };
      }),
    },
  };
});
