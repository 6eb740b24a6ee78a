/** Gradient checkpointing: nothing changes but what is kept in between. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  autograd,
  checkpoint,
  checkpointSequential,
  cond,
  enableGrad,
  input,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  scan,
  type Tensor,
  tensor,
  withCounterRandom,
} from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { describe, expect, test } from 'vitest';
import { expectSame, type Fn, gradients } from './support/loops.js';

type Run = <A extends readonly Tensor[], R>(fn: (...args: A) => R, ...args: A) => R;
const plainly: Run = (fn, ...args) => fn(...args);
const leaf = (...values: number[]): Tensor => tensor(values, { dtype: 'float32', requiresGrad: true });

/** What a computation gives with its parts checkpointed must be, bit for bit, what it gives without. */
function expectUnchanged(compute: (run: Run) => readonly Tensor[]): void {
  const results = [plainly, checkpoint].map(run => {
    manualSeed(5);
    return compute(run as Run).map(result => result.tolist());
  });
  expect(results[1]).toEqual(results[0]);
}

const tanhs = (layers: number, width: number): nn.Sequential =>
  new nn.Sequential(...Array.from({ length: layers }, () => [new nn.Linear(width, width), new nn.Tanh()]).flat());

describe('eagerly', () => {
  test('gradients of arguments, of parameters, and of what the function uses from around it', () =>
    expectUnchanged(run => {
      const net = tanhs(3, 4);
      const [x, around] = [randn(2, 4, { requiresGrad: true }), randn(4, { requiresGrad: true })];
      const used = around.exp();
      const [a, b] = run((y: Tensor) => {
        const hidden = net.forward(y.mul(used)) as Tensor;
        return [hidden.sin(), hidden.mul(y)] as const;
      }, x.mul(2));
      a.mul(b).sum().backward();
      return [x.grad!, around.grad!, ...[...net.parameters()].map(parameter => parameter.grad!)];
    }));

  test('nothing that is given needs a gradient', () =>
    expectUnchanged(run => {
      const net = tanhs(2, 3);
      run((x: Tensor) => net.forward(x) as Tensor, randn(2, 3))
        .sum()
        .backward();
      return [...net.parameters()].map(parameter => parameter.grad!);
    }));

  test('regions within regions', () =>
    expectUnchanged(run => {
      const x = randn(5, { requiresGrad: true });
      const inner = (y: Tensor): Tensor => run((z: Tensor) => z.exp().sin().mul(z), y.cos());
      run((y: Tensor) => run((z: Tensor) => inner(inner(z)).tanh(), y.sin()).mul(inner(y)), x.mul(0.5))
        .sum()
        .backward();
      return [x.grad!];
    }));

  test('gradients of gradients, and backward twice', () =>
    expectUnchanged(run => {
      const x = randn(4, { requiresGrad: true });
      const y = run((z: Tensor) => z.exp().sin().mul(z.tanh()), x.mul(0.5));
      const [first] = autograd.grad(y.sum(), x, { createGraph: true });
      const [second] = autograd.grad(first.square().sum(), x, { createGraph: true });
      const [third] = autograd.grad(second.sum(), x, { retainGraph: true });
      const [again] = autograd.grad(second.sum(), x);
      return [first, second, third, again];
    }));

  test('a gradient taken inside, and a function with a gradient of its own', () => {
    class Cubed extends autograd.Function {
      static forward(context: autograd.FunctionContext, x: Tensor): Tensor {
        const y = x.mul(x).mul(x);
        context.saveForBackward(x, y);
        return y;
      }
      static backward(context: autograd.FunctionContext, grad: Tensor): Tensor {
        const [x, y] = context.savedTensors;
        return grad.mul(y).div(x).mul(3);
      }
    }
    expectUnchanged(run => {
      const x = randn(4, { requiresGrad: true });
      const y = run((z: Tensor) => {
        const inside = enableGrad(() => autograd.grad(z.sin().sum(), z, { createGraph: true })[0]);
        return Cubed.apply(inside.exp());
      }, x.mul(0.5));
      const [first] = autograd.grad(y.sum(), x, { createGraph: true });
      return [first, autograd.grad(first.sum(), x)[0]];
    });
  });

  test('dropout draws the same mask again, and what is drawn afterwards is as if nothing had been', () =>
    expectUnchanged(run => {
      const x = ones([64], { requiresGrad: true });
      run((y: Tensor) => F.dropout(y.mul(3), 0.5).mul(y), x.mul(1))
        .sum()
        .backward();
      return [x.grad!, randn(3)];
    }));

  test('what lies between is not kept', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const isKept = async (run: Run): Promise<boolean> => {
      const x = randn(100, { requiresGrad: true });
      let between: WeakRef<object> | null = null;
      const y = run((z: Tensor) => {
        const hidden = z.exp();
        between ??= new WeakRef((hidden.value as { storage: { array: object } }).storage.array);
        return hidden.sin().tanh();
      }, x);
      // what has been looked at is not collected before the next turn
      await new Promise(resolve => setTimeout(resolve));
      collect();
      const kept = between!.deref() !== undefined;
      y.sum().backward();
      expect(x.grad!.shape).toEqual([100]);
      return kept;
    };
    expect([await isKept(plainly), await isKept(checkpoint as Run)]).toEqual([true, false]);
  });

  test('a function that runs once per forward and once per backward pass, and not again without gradients', () => {
    let runs = 0;
    const counted = (y: Tensor): Tensor => {
      runs++;
      return y.exp().sin();
    };
    const x = leaf(1, 2);
    const y = checkpoint(counted, x).sum();
    y.backward(null, { retainGraph: true });
    y.backward();
    noGrad(() => checkpoint(counted, x));
    expect(runs).toBe(4);
  });

  test('a second run unlike the first, and an argument changed since', () => {
    let runs = 0;
    const longer = checkpoint((y: Tensor) => (runs++ > 0 ? y.exp().sin().sin() : y.exp().sin()), leaf(1));
    expect(() => longer.backward()).toThrow(/E207.*the function saved 5 tensors where it had saved 3/s);
    const wider = checkpoint((y: Tensor) => (runs++ > 2 ? y.repeat(2).exp() : y.neg().exp()), leaf(1, 2).mul(1));
    expect(() => wider.sum().backward()).toThrow(/E207.*a float32\[4\] where it had computed a float32\[2\]/s);
    const x = leaf(1);
    const changed = checkpoint((y: Tensor) => y.exp().sin(), x);
    noGrad(() => x.add_(1));
    expect(() => changed.backward()).toThrow(/E204/);
  });

  test('running statistics are changed again, as in PyTorch', () => {
    const moved = (run: Run): number => {
      const norm = new nn.BatchNorm1d(1);
      run((x: Tensor) => norm.forward(x), tensor([[1], [3]], { dtype: 'float32' }))
        .sum()
        .backward();
      return norm.runningMean!.item();
    };
    expect([moved(plainly), moved(checkpoint)]).toEqual([Math.fround(0.2), Math.fround(0.38)]);
  });
});

describe('checkpointSequential', () => {
  test('all but the last segment run again, layers that are left over with the last', () => {
    const counts = new Array(7).fill(0);
    const layers = counts.map((_, i) => (x: Tensor) => {
      counts[i]++;
      return x.sin();
    });
    const x = leaf(0.5);
    checkpointSequential(layers, 3, x).backward();
    expect(counts).toEqual([2, 2, 2, 2, 1, 1, 1]);
    const plain = leaf(0.5);
    layers.reduce((y, layer) => layer(y), plain).backward();
    expect(x.grad!.item()).toBe(plain.grad!.item());
  });
  test('a Sequential; too many segments', () => {
    const net = tanhs(3, 2);
    const x = randn(1, 2);
    expect(checkpointSequential(net, 2, x).tolist()).toEqual((net.forward(x) as Tensor).tolist());
    expect(() => checkpointSequential(net, 7, x)).toThrow(/E110.*6 layers make no 7 segments/s);
  });
});

describe('compiled', () => {
  class Residual extends nn.Module {
    norm = new nn.LayerNorm(32);
    wide = new nn.Linear(32, 128);
    narrow = new nn.Linear(128, 32);
    forward(x: Tensor): Tensor {
      return x.add(this.narrow.forward(F.gelu(this.wide.forward(this.norm.forward(x)))));
    }
  }
  const transformer = (dropout: number) =>
    new nn.TransformerEncoderLayer(32, 4, { dimFeedforward: 64, dropout, batchFirst: true });

  /** A training step of blocks one after another. */
  function stepOf(run: Run, count: number, make: () => Residual | nn.TransformerEncoderLayer) {
    manualSeed(0);
    const layers = Array.from({ length: count }, make);
    const opt = new optim.SGD(
      layers.flatMap(layer => [...layer.parameters()]),
      { lr: 0.05 },
    );
    return (x: Tensor): Tensor => {
      opt.zeroGrad();
      const y = layers.reduce((value, layer) => run((z: Tensor): Tensor => layer.forward(z), value), x);
      const loss = y.mul(x).mean();
      loss.backward();
      opt.step();
      return loss;
    };
  }
  const losses = (step: (x: Tensor) => Tensor): number[] => {
    manualSeed(1);
    const x = randn(4, 16, 32);
    return withCounterRandom(() => [1, 2, 3].map(() => step(x).item()));
  };
  const specs = [input([4, 16, 32])];

  test('12 residual blocks take a quarter of the memory, and learn the same', () => {
    const [plain, marked] = [plainly, checkpoint].map(run =>
      compile(
        stepOf(run as Run, 12, () => new Residual()),
        specs,
      ),
    );
    const perBlock = 4 * 16 * 32 * 4;
    const [all, few] = [plain, marked].map(({ compilation }) => compilation.plan.entries[0].arenaBytes / perBlock);
    // per block: its input and the wide layer, four times as large, before and after gelu; or its input alone
    expect(all).toBeGreaterThan(12 * 9);
    expect(few).toBeGreaterThan(12);
    expect(few).toBeLessThan(12 + 2 * 9);
    const [without, withIt] = [losses(plain), losses(marked)];
    for (const [i, loss] of withIt.entries()) expect(loss).toBeCloseTo(without[i], 5);
    expect(withIt[2]).toBeLessThan(withIt[0]);
  });

  test('dropout in an entry has one mask for both runs, the one of eager execution', () => {
    const dropped = () => transformer(0.3);
    const compiled = losses(compile(stepOf(checkpoint as Run, 2, dropped), specs));
    const eager = losses(stepOf(plainly, 2, dropped));
    const eagerAgain = losses(stepOf(checkpoint as Run, 2, dropped));
    expect(eagerAgain).toEqual(eager);
    for (const [i, loss] of compiled.entries()) expect(loss).toBeCloseTo(eager[i], 5);
  });

  test('no random state where nothing is drawn', () => {
    const { compilation } = compile(
      stepOf(checkpoint as Run, 1, () => transformer(0)),
      specs,
    );
    expect(compilation.source.state.some(({ type }) => type.dtype === 'int32')).toBe(false);
  });

  test('first and second derivatives, with regions within regions', () => {
    const nested: Fn = (x, w) => {
      const inner = (y: Tensor): Tensor => checkpoint((z: Tensor) => z.matmul(w).tanh(), y);
      return [checkpoint((y: Tensor) => inner(inner(y)).mul(y.sin()), x)];
    };
    const given = [randn(3, 4), randn(4, 4)];
    expectSame(nested, given);
    expectSame(gradients(nested), given, 1e-5);
    expectSame(gradients(gradients(nested)), given, 1e-4);
  });

  test('a region with a loop in it is computed again as a whole', () => {
    const gradientOf = (run: Run) => (x: Tensor) => {
      const leaf = x.detach().requiresGrad_();
      const hidden = run(
        (y: Tensor) => scan((c: Tensor, t: Tensor) => [c.mul(t).sin(), c.exp()], y.sum(0), y)[1],
        leaf,
      );
      return autograd.grad(hidden.square().sum(), leaf)[0];
    };
    const x = randn(6, 5);
    const [plain, marked] = [plainly, checkpoint].map(run => compile(gradientOf(run as Run), [input([6, 5])]));
    expect(marked(x).tolist()).toEqual(plain(x).tolist());
    const scans = ({ compilation }: typeof plain): number =>
      compilation.fused[0].groups.filter(({ lowered }) => 'control' in lowered).length;
    expect([scans(plain), scans(marked)]).toEqual([2, 3]);
  });
});

describe('in loops and branches', () => {
  const cell = (run: Run, w: Tensor) => (xs: Tensor, h: Tensor) =>
    scan(
      (c: Tensor, x: Tensor) => {
        const step = (state: Tensor, slice: Tensor): readonly [Tensor, Tensor] => {
          const hidden = state.matmul(w).add(slice).tanh();
          const wide = hidden.matmul(w).sin().matmul(w).tanh();
          return [wide, wide.mul(hidden)];
        };
        return run(step, c, x);
      },
      h,
      xs,
    );

  test('values, first and second derivatives', () => {
    const fn: Fn = (xs, h, w) => cell(checkpoint as Run, w)(xs, h);
    const given = [randn(4, 2, 3), randn(2, 3), randn(3, 3)];
    expectSame(fn, given);
    expectSame(gradients(fn), given, 1e-5);
    expectSame(gradients(gradients(fn)), given, 1e-4);
    const either: Fn = (x, w) => [
      cond(
        x.sum().gt(0),
        () => checkpoint((y: Tensor) => y.matmul(w).tanh().matmul(w), x),
        () => x.mul(2),
      ),
    ];
    for (const sign of [1, -1]) expectSame(gradients(either), [randn(3, 3).abs().mul(sign), randn(3, 3)], 1e-5);
  });

  test('a loop stacks its carries, not what a step computes', () => {
    const [length, size] = [32, 64 * 64 * 4];
    const memory = [plainly, checkpoint].map(run => {
      const gradient = (xs: Tensor, h: Tensor, w: Tensor): Tensor => {
        const leaf = w.detach().requiresGrad_();
        return autograd.grad(cell(run as Run, leaf)(xs, h)[0].sum(), leaf)[0];
      };
      const { compilation } = compile(gradient, [input([length, 64, 64]), input([64, 64]), input([64, 64])]);
      return compilation.plan.entries[0].arenaBytes / size;
    });
    // the input, the carries, and with all of them the three values between
    expect(memory[0]).toBeGreaterThan(4 * length);
    expect(memory[1]).toBeLessThan(2 * length + 20);
  });

  test('dropout in a step: the masks of eager execution', () => {
    const gradient = (run: Run) => (xs: Tensor) => {
      const leaf = xs.detach().requiresGrad_();
      const step = (c: Tensor, x: Tensor): readonly [Tensor, null] => [
        run((d: Tensor, y: Tensor) => F.dropout(d.mul(y).sin(), 0.4).add(y), c, x),
        null,
      ];
      return autograd.grad(scan(step, ones([8]), leaf)[0].sum(), leaf)[0];
    };
    const xs = randn(5, 8);
    manualSeed(3);
    const eager = withCounterRandom(() => gradient(checkpoint as Run)(xs).tolist());
    manualSeed(3);
    expect(withCounterRandom(() => gradient(plainly)(xs).tolist())).toEqual(eager);
    manualSeed(3);
    const compiled = compile(gradient(checkpoint as Run), [input([5, 8])])(xs);
    expect(
      compiled
        .sub(tensor(eager, { dtype: 'float32' }))
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-6);
  });

  test('what would change something outside twice is refused', () => {
    const norm = new nn.BatchNorm1d(3);
    const looped = (xs: Tensor): Tensor =>
      scan(
        (c: Tensor, x: Tensor) => [checkpoint((y: Tensor) => norm.forward(y), c.add(x)), null],
        xs.select(0, 0),
        xs,
      )[0];
    expect(() => compile(looped, [input([2, 4, 3])])).toThrow(/E304.*under checkpoint.*from outside/s);
    const numbers = (xs: Tensor): Tensor =>
      scan((c: Tensor) => [checkpoint(() => [c, 3] as never as Tensor[])[0], null], xs.sum(0), xs)[0];
    expect(() => compile(numbers, [input([2, 3])])).toThrow(/E110.*checkpoint.*\[1\] must be a Tensor/s);
  });
});
