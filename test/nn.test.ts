/** Modules: parts, state dicts, modes, hooks, containers; and the errors a user meets on the way. */
import { readFileSync } from 'node:fs';
import {
  float32,
  float64,
  manualSeed,
  nn,
  ones,
  rand,
  randn,
  setDefaultDtype,
  type Tensor,
  tensor,
  zeros,
} from 'gradc';
import { compile } from 'gradc/compiler';
import * as F from 'gradc/functional';
import { afterEach, describe, expect, test } from 'vitest';
import { input } from '../compiler/trace/model.js';
import { expectNumbers, numbers } from './support/tensors.js';

afterEach(() => setDefaultDtype('float32'));

class Block extends nn.Module {
  attn = new nn.Linear(4, 4);
  scale = new nn.Parameter(ones(1));
  count = this.registerBuffer('count', zeros(1));
  scratch = this.registerBuffer('scratch', zeros(1), false);
  forward(x: Tensor): Tensor {
    return this.attn.forward(x).mul(this.scale);
  }
}
class Net extends nn.Module {
  blocks = new nn.ModuleList([new Block(), new Block()]);
  head = new nn.Sequential(new nn.Linear(4, 3), new nn.ReLU());
  forward(x: Tensor): Tensor {
    for (const block of this.blocks) x = block.forward(x);
    return this.head.forward(x);
  }
}

describe('parts', () => {
  test('parameters come before those of children, in the order of the fields', () => {
    expect([...new Net().namedParameters()].map(([name]) => name)).toEqual([
      'blocks.0.scale',
      'blocks.0.attn.weight',
      'blocks.0.attn.bias',
      'blocks.1.scale',
      'blocks.1.attn.weight',
      'blocks.1.attn.bias',
      'head.0.weight',
      'head.0.bias',
    ]);
  });
  test('shared parts are listed once, but saved under every name', () => {
    const tied = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 2));
    (tied[1] as nn.Linear).weight = (tied[0] as nn.Linear).weight;
    expect([...tied.parameters()]).toHaveLength(3);
    expect(Object.keys(tied.stateDict())).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
  });
  test('built-in layers use the names of PyTorch', () => {
    expect(Object.keys(new nn.BatchNorm2d(2).stateDict())).toEqual([
      'weight',
      'bias',
      'running_mean',
      'running_var',
      'num_batches_tracked',
    ]);
    const layer = new nn.TransformerEncoderLayer(4, 2);
    expect(layer.getSubmodule('self_attn.out_proj')).toBe(layer.selfAttn.outProj);
    expect(Object.keys(new nn.GRU(1, 1, { bidirectional: true }).stateDict())).toContain('weight_hh_l0_reverse');
  });
  test('buffers outside the state dict are still state of a compiled model', () => {
    const block = new Block();
    expect(Object.keys(block.stateDict())).toEqual(['scale', 'count', 'attn.weight', 'attn.bias']);
    expect([...block.namedState()].map(([name]) => name)).toEqual([
      'scale',
      'attn.weight',
      'attn.bias',
      'count',
      'scratch',
    ]);
  });
});

describe('state dicts', () => {
  test('round trip, and memory shared with the module', () => {
    const [a, b] = [new Net(), new Net()];
    expect(b.loadStateDict(a.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] });
    expect(numbers(b.stateDict()['head.0.weight'])).toEqual(numbers(a.stateDict()['head.0.weight']));
    a.stateDict()['head.0.bias'].fill_(7);
    expect(numbers((a.head[0] as nn.Linear).bias!)).toEqual([7, 7, 7]);
  });
  test('all that does not fit is told at once, and nothing is changed', () => {
    const net = new nn.Linear(2, 3);
    const before = numbers(net.weight);
    expect(() => net.loadStateDict({ weight: zeros(3, 5), extra: zeros(1) })).toThrow(
      /Error\(s\) in loading state_dict for Linear:\n\tUnexpected key\(s\) in state_dict: "extra". \n\tMissing key\(s\) in state_dict: "bias". \n\tsize mismatch for weight: copying a param with shape torch.Size\(\[3, 5\]\) from checkpoint, the shape in current model is torch.Size\(\[3, 2\]\)/,
    );
    expect(numbers(net.weight)).toEqual(before);
  });
  test('without strict, names that one side lacks are reported and skipped', () => {
    const net = new nn.Linear(2, 2);
    const report = net.loadStateDict({ weight: ones(2, 2), extra: zeros(1) }, { strict: false });
    expect(report).toEqual({ missingKeys: ['bias'], unexpectedKeys: ['extra'] });
    expect(numbers(net.weight)).toEqual([1, 1, 1, 1]);
  });
});

describe('modes', () => {
  test('train and eval reach all modules', () => {
    const net = new nn.Sequential(new nn.Dropout(0.5), new nn.Sequential(new nn.Dropout(0.5)));
    net.eval();
    expect([...net.modules()].map(module => module.training)).toEqual([false, false, false, false]);
    const x = rand(8);
    expect(numbers(net.forward(x))).toEqual(numbers(x));
  });
  test('requiresGrad_, zeroGrad, apply', () => {
    const net = new nn.Linear(2, 1);
    net.forward(ones(1, 2)).sum().backward();
    net.zeroGrad();
    expect(numbers(net.weight.grad!)).toEqual([0, 0]);
    net.zeroGrad(true);
    expect(net.weight.grad).toBe(null);
    net.requiresGrad_(false);
    expect(net.forward(ones(1, 2)).requiresGrad).toBe(false);
    const seen: string[] = [];
    new nn.Sequential(new nn.ReLU(), new nn.Tanh()).apply(module => seen.push(module.constructor.name));
    expect(seen).toEqual(['ReLU', 'Tanh', 'Sequential']);
  });
  test('to(float64) converts parameters and buffers, tied ones to one', () => {
    const net = new nn.BatchNorm1d(2).double();
    expect([net.weight!.dtype, net.runningMean!.dtype, net.numBatchesTracked!.dtype]).toEqual([
      float64,
      float64,
      'int64',
    ]);
    expect(() => net.to('int64')).toThrow(/floating point dtypes/);
  });
  test('clone shares nothing', () => {
    const net = new Net();
    const copy = net.clone();
    net.blocks[0].scale.data.fill_(9);
    expect(numbers(copy.blocks[0].scale)).toEqual([1]);
    expect(copy.forward(ones(1, 4)).shape).toEqual([1, 3]);
    expect(copy).toBeInstanceOf(Net);
  });
});

describe('hooks', () => {
  test('replace arguments and outputs, and can be removed', () => {
    const double = new nn.Identity();
    const removePre = double.registerForwardPreHook((_, [x]) => (x as Tensor).mul(2));
    const removePost = double.registerForwardHook((_module, _args, output) => (output as Tensor).add(1));
    expect(numbers(double.forward(ones(1)))).toEqual([3]);
    removePre();
    expect(numbers(double.forward(ones(1)))).toEqual([2]);
    removePost();
    expect(numbers(double.forward(ones(1)))).toEqual([1]);
  });
});

describe('layers', () => {
  test('BatchNorm trains on the batch and evaluates on the running statistics', () => {
    const bn = new nn.BatchNorm1d(1);
    const x = tensor([[1], [3]], { dtype: float32 });
    expect(numbers(bn.forward(x)).map(Math.round)).toEqual([-1, 1]);
    expect(bn.runningMean!.item()).toBeCloseTo(0.2, 6);
    expect(bn.runningVar!.item()).toBeCloseTo(0.9 + 0.2, 6);
    expect(bn.numBatchesTracked!.item()).toBe(1);
    bn.eval();
    expect(bn.forward(x).select(0, 0).item()).toBeCloseTo(0.8 / Math.sqrt(1.1), 4);
  });
  test('compiled BatchNorm changes its buffers as eager does', () => {
    manualSeed(0);
    const eager = new nn.BatchNorm2d(3, { momentum: null });
    const copy = eager.clone();
    const compiled = compile((x: Tensor) => copy.forward(x), [input([4, 3, 2, 2])]);
    for (let i = 0; i < 3; i++) {
      const x = randn(4, 3, 2, 2);
      const [want, got] = [numbers(eager.forward(x)), numbers(compiled(x))];
      for (const [j, value] of got.entries()) expect(value).toBeCloseTo(want[j], 4);
    }
    for (const [name, buffer] of eager.namedBuffers()) {
      const own = numbers(copy.stateDict()[name]);
      for (const [j, value] of numbers(buffer).entries()) expect(own[j]).toBeCloseTo(value, 5);
    }
  });
  test('attention: masks of both kinds, weights averaged over heads', () => {
    manualSeed(0);
    const attention = new nn.MultiheadAttention(4, 2, { batchFirst: true });
    const x = rand(1, 3, 4);
    const causal = ones(3, 3).triu(1).to('bool');
    const [, weights] = attention.forward(x, x, x, { attnMask: causal });
    expect(weights!.shape).toEqual([1, 3, 3]);
    expect(weights!.select(1, 0).tolist()).toEqual([[1, 0, 0]]);
    const added = zeros(3, 3).maskedFill(causal, Number.NEGATIVE_INFINITY);
    expect(attention.forward(x, x, x, { attnMask: added })[1]!.tolist()).toEqual(weights!.tolist());
  });
  test('a recurrent layer gives the last output as its state', () => {
    const lstm = new nn.LSTM(2, 3, { batchFirst: true });
    const [output, [hidden, cell]] = lstm.forward(rand(5, 4, 2));
    expect([output.shape, hidden.shape, cell.shape]).toEqual([
      [5, 4, 3],
      [1, 5, 3],
      [1, 5, 3],
    ]);
    expect(numbers(output.select(1, 3))).toEqual(numbers(hidden));
  });
});

describe('clipping', () => {
  test('by norm: one factor for all, and the norm that was', () => {
    const [a, b] = [zeros(2, { requiresGrad: true }), zeros(1, { requiresGrad: true })];
    a.grad = tensor([3, 0], { dtype: float32 });
    b.grad = tensor([4], { dtype: float32 });
    expect(nn.utils.clipGradNorm_([a, b], 1).item()).toBeCloseTo(5, 6);
    expect(a.grad.select(0, 0).item()).toBeCloseTo(0.6, 5);
    expect(nn.utils.clipGradNorm_([a, b], 0.5, { normType: Number.POSITIVE_INFINITY }).item()).toBeCloseTo(0.8, 5);
  });
  test('by value', () => {
    const a = zeros(2, { requiresGrad: true });
    a.grad = tensor([3, -0.1], { dtype: float32 });
    nn.utils.clipGradValue_([a], 0.4);
    expect(numbers(a.grad).map(v => Math.round(v * 10) / 10)).toEqual([0.4, -0.1]);
  });
});

describe('parts by name', () => {
  test('ParameterDict holds parameters in the order they were set', () => {
    const held = new nn.ParameterDict({ left: new nn.Parameter(ones(2)) }).set('right', new nn.Parameter(zeros(1)));
    expect(Object.keys(held.stateDict())).toEqual(['left', 'right']);
    expect([held.length, held.has('left'), held.delete('left'), [...held]]).toEqual([2, true, true, ['right']]);
    expect(() => held.get('left')).toThrow(/ParameterDict has no parameter 'left'[\s\S]*it has: right/);
    expect(() => new nn.ModuleDict().get('a')).toThrow(/ModuleDict has no module 'a'/);
  });
  test('a holder of its own kind may run its parts: they are typed, and found however they were added', () => {
    class Dense extends nn.ModuleDict<nn.Linear> {
      override forward(x: Tensor): Tensor {
        return [...this.values()].reduce((sum, layer) => sum.add(layer.forward(x)), x);
      }
    }
    const net = new Dense({ a: new nn.Linear(2, 2) });
    net.addModule('b', new nn.Linear(2, 2, { bias: false }));
    expect(Object.keys(net.stateDict())).toEqual(['a.weight', 'a.bias', 'b.weight']);
    expect(net.get('b').outFeatures).toBe(2);
    expect(net.forward(ones(3, 2)).shape).toEqual([3, 2]);
    const held = new nn.ParameterDict();
    held.registerParameter('scale', new nn.Parameter(ones(1)));
    expect(Object.keys(held.stateDict())).toEqual(['scale']);
  });
});

describe('settings in order and by name', () => {
  test.each<[nn.Module, nn.Module]>([
    [new nn.Linear(2, 3, false), new nn.Linear(2, 3, { bias: false })],
    [new nn.Conv2d(2, 4, 3, 2, 1), new nn.Conv2d(2, 4, 3, { stride: 2, padding: 1 })],
    [
      new nn.Conv1d(2, 4, [3], 1, 'same', 2, { groups: 2 }),
      new nn.Conv1d(2, 4, 3, { padding: 'same', dilation: 2, groups: 2 }),
    ],
    [
      new nn.ConvTranspose2d(2, 4, 3, 2, 1, 1),
      new nn.ConvTranspose2d(2, 4, 3, { stride: 2, padding: 1, outputPadding: 1 }),
    ],
    [new nn.MaxPool2d(3, 2, 1), new nn.MaxPool2d(3, { stride: 2, padding: 1 })],
    [new nn.AvgPool2d(2, 2), new nn.AvgPool2d(2)],
    [new nn.LSTM(2, 3, 2, { batchFirst: true }), new nn.LSTM(2, 3, { numLayers: 2, batchFirst: true })],
    [new nn.GRU(2, 3, 1, true, true), new nn.GRU(2, 3, { batchFirst: true })],
  ])('%s', (inOrder, named) => expect(String(inOrder)).toBe(String(named)));
  test('are told apart from what cannot be meant', () => {
    const conv = (...given: unknown[]): unknown => Reflect.construct(nn.Conv2d, [1, 2, 3, ...given]);
    expect(() => conv(1, { stride: 2 })).toThrow(/E108: Conv2d: got 'stride' twice/);
    expect(() => conv({ stride: 2 }, 1)).toThrow(/settings by name only after those in order/);
    expect(() => conv(1, 1, 1, 1, true, 'zeros', 7)).toThrow(/takes 9 settings but 10 were given/);
  });
});

test('KLDivLoss takes the mean over the batch', () => {
  const [input, target] = [randn(4, 3).logSoftmax(1), rand(4, 3)];
  const loss = new nn.KLDivLoss({ reduction: 'batchmean' }).forward(input, target);
  expectNumbers(loss, numbers(new nn.KLDivLoss({ reduction: 'sum' }).forward(input, target).div(4)));
});

describe('layers that are another with settings', () => {
  const x = rand(1, 2, 3, 4);
  test('upsampling', () => {
    const nearest = new nn.UpsamplingNearest2d({ scaleFactor: 2 });
    expect(numbers(nearest.forward(x))).toEqual(numbers(F.interpolate(x, { scaleFactor: 2, mode: 'nearest' })));
    expect(String(nearest)).toBe('UpsamplingNearest2d(scale_factor=2.0, mode=nearest)');
    const bilinear = new nn.UpsamplingBilinear2d({ size: [5, 7] }).forward(x);
    expect(numbers(bilinear)).toEqual(
      numbers(F.interpolate(x, { size: [5, 7], mode: 'bilinear', alignCorners: true })),
    );
  });
  test('a triplet loss with the distance of the ordinary one is the ordinary one', () => {
    const [a, b, c] = [rand(4, 3), rand(4, 3), rand(4, 3)];
    for (const options of [{}, { swap: true, margin: 0.3 }, { reduction: 'none' } as const]) {
      const general = new nn.TripletMarginWithDistanceLoss(options).forward(a, b, c);
      expect(numbers(general)).toEqual(numbers(new nn.TripletMarginLoss(options).forward(a, b, c)));
    }
    const distanceFunction = (x: Tensor, y: Tensor): Tensor => x.sub(y).abs().sum(-1);
    const general = new nn.TripletMarginWithDistanceLoss({ distanceFunction }).forward(a, b, c);
    const expected = distanceFunction(a, b).sub(distanceFunction(a, c)).add(1).clamp(0).mean();
    expect(general.item()).toBeCloseTo(expected.item(), 6);
  });
  test('MultiLabelMarginLoss', () => {
    const target = tensor([[1, -1, 0]]);
    const scores = tensor([[0.1, 0.2, 0.4]]);
    expect(new nn.MultiLabelMarginLoss().forward(scores, target).item()).toBeCloseTo(
      (1 - (0.2 - 0.1) + 1 - (0.2 - 0.4)) / 3,
    );
  });
});

describe('errors', () => {
  test('a wrong shape names the op, the shapes and the line', () => {
    const net = new Net();
    let message = '';
    try {
      net.forward(ones(2, 5));
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/E107: linear: input of shape \[2, 5\] does not fit a weight of shape \[4, 4\]/);
    const source = readFileSync(new URL(import.meta.url), 'utf8').split('\n');
    const line = source.findIndex(text => text.includes('return this.attn.forward(x)')) + 1;
    expect(message).toContain(`at test/nn.test.ts:${line}:22 in blocks.0.attn`);
  });
  test('backward() on a non-scalar', () => {
    expect(() => new nn.Linear(2, 2).forward(ones(1, 2)).backward()).toThrow(
      /E201: grad can be implicitly created only for scalar outputs, but this one has shape \[1, 2\]/,
    );
  });
  test('a second backward() without retainGraph', () => {
    const w = ones(1, { requiresGrad: true });
    const loss = w.mul(w).sum();
    loss.backward({ retainGraph: true });
    loss.backward();
    expect(w.grad!.item()).toBe(4);
    expect(() => loss.backward()).toThrow(
      /E202: Trying to backward through the graph a second time.*retainGraph: true/s,
    );
  });
  test('constructors and containers', () => {
    expect(() => new nn.Conv2d(3, 4, 1, { groups: 2 })).toThrow(/in_channels must be divisible by groups: 3 and 2/);
    expect(() => new nn.Conv1d(2, 2, 3, { paddingMode: 'mirror' as 'reflect' })).toThrow(
      /Conv1d: paddingMode must be one of zeros, reflect, replicate, circular, but is 'mirror'/,
    );
    expect(() => new nn.MultiheadAttention(5, 2)).toThrow(/divisible by num_heads/);
    expect(() => new nn.ModuleList([]).forward()).toThrow(/only holds parts/);
    expect(() => new nn.ModuleList([new nn.ReLU()]).at(3)).toThrow(/index 3 is out of range for 1 parts/);
    expect(() => new nn.BatchNorm2d(3).forward(ones(2, 3))).toThrow(/BatchNorm2d: expected 4D input \(got 2D/);
    expect(() => F.dropout(ones(1), { p: 0.1, train: true } as never)).toThrow(/unexpected option 'train'/);
  });
});

describe('layers over functional forms', () => {
  const x = rand(1, 4, 2, 2);
  test.each([
    ['PixelShuffle', new nn.PixelShuffle(2).forward(x), F.pixelShuffle(x, 2)],
    ['PixelUnshuffle', new nn.PixelUnshuffle(2).forward(x), F.pixelUnshuffle(x, 2)],
    [
      'Upsample',
      new nn.Upsample({ scaleFactor: 2, mode: 'bilinear' }).forward(x),
      F.interpolate(x, { scaleFactor: 2, mode: 'bilinear' }),
    ],
    ['Unfold', new nn.Unfold(2).forward(x), x.reshape(1, 16, 1)],
    ['Fold', new nn.Fold([2, 2], 2).forward(x.reshape(1, 16, 1)), x],
    ['LPPool2d', new nn.LPPool2d(2, 2).forward(x), x.square().sum([2, 3], { keepdim: true }).sqrt()],
    ['CosineSimilarity', new nn.CosineSimilarity().forward(x, x), ones(1, 2, 2)],
    ['MarginRankingLoss', new nn.MarginRankingLoss({ margin: 0.5 }).forward(x, x, ones(1)), tensor(0.5)],
    ['TripletMarginLoss', new nn.TripletMarginLoss({ reduction: 'sum' }).forward(x, x, x), tensor(8)],
    ['RReLU in eval mode', new nn.RReLU(0.2, 0.4).eval().forward(x.neg()), x.mul(-0.3)],
  ] as const)('%s', (_, got, want) => {
    expect(got.shape).toEqual(want.shape);
    expectNumbers(got, numbers(want));
  });
});

describe('backward hooks', () => {
  class Pair extends nn.Module {
    forward(a: Tensor, b: Tensor, scale: number): [Tensor, Tensor] {
      return [a.mul(b).mul(scale), a.add(1)];
    }
  }

  test('see the gradients of all inputs and outputs, once', () => {
    const pair = new Pair();
    const calls: (readonly (number[] | null)[])[] = [];
    pair.registerFullBackwardHook((_, gradInput, gradOutput) => {
      calls.push([...gradInput, ...gradOutput].map(grad => grad && numbers(grad)));
    });
    const [a, b] = [tensor([1, 2]).float().requiresGrad_(), tensor([3, 5]).float().requiresGrad_()];
    const [product, sum] = pair.forward(a, b, 2);
    product.sum().add(sum.mul(10).sum()).backward();
    expect(calls).toEqual([[[16, 20], [2, 4], null, [1, 1], [10, 10]]]);
    expect(numbers(a.grad!)).toEqual([16, 20]);
  });

  test('change the gradients of the inputs, compiled too, until removed', () => {
    const layer = new nn.Linear(2, 2);
    const remove = layer.registerFullBackwardHook((_, [grad]) => [grad!.mul(3)]);
    const gradient = (x: Tensor): Tensor => {
      const leaf = x.detach().clone().requiresGrad_();
      layer.forward(leaf).sum().backward();
      return leaf.grad!;
    };
    const x = tensor([[1, 2]]).float();
    const hooked = numbers(gradient(x));
    const compiled = numbers(compile(gradient, [input([1, 2])])(x));
    remove();
    const plain = numbers(gradient(x));
    expect(hooked).toEqual(plain.map(value => Math.fround(value * 3)));
    expect(compiled).toEqual(hooked);
  });
});

describe('transformer', () => {
  const options = { dModel: 8, nhead: 2, numEncoderLayers: 2, numDecoderLayers: 1, dimFeedforward: 16, dropout: 0 };

  test('is its encoder, then its decoder over what that made; masked, compiled, and as PyTorch names its parts', () => {
    manualSeed(3);
    const net = new nn.Transformer({ ...options, batchFirst: true });
    const [src, tgt] = [randn(2, 5, 8), randn(2, 4, 8)];
    const tgtMask = nn.Transformer.generateSquareSubsequentMask(4);
    const whole = net.forward(src, tgt, { tgtMask });
    const parts = net.decoder.forward(tgt, net.encoder.forward(src), { tgtMask });
    expect(numbers(whole)).toEqual(numbers(parts));
    const compiled = compile(
      (s: Tensor, t: Tensor) => net.forward(s, t, { tgtMask }),
      [input([2, 5, 8]), input([2, 4, 8])],
    );
    expect(compiled(src, tgt).sub(whole).abs().max().item()).toBeLessThan(1e-5);
    const changed = net.forward(src, tgt.slice(1, 0, 2), { tgtMask: nn.Transformer.generateSquareSubsequentMask(2) });
    expect(
      changed
        .sub(whole.slice(1, 0, 2))
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-6);
    const names = [...net.namedParameters()].map(([name]) => name);
    expect(names.slice(0, 4)).toEqual([
      'encoder.layers.0.self_attn.in_proj_weight',
      'encoder.layers.0.self_attn.in_proj_bias',
      'encoder.layers.0.self_attn.out_proj.weight',
      'encoder.layers.0.self_attn.out_proj.bias',
    ]);
    expect(names).toContain('decoder.layers.0.multihead_attn.in_proj_weight');
    expect(names).toContain('decoder.norm.weight');
  });

  test('wants sequences of one batch and of its size', () => {
    const net = new nn.Transformer(options);
    expect(() => net.forward(zeros(5, 2, 8), zeros(4, 3, 8))).toThrow(/batch number of src and tgt must be equal/);
    expect(() => net.forward(zeros(5, 2, 6), zeros(4, 2, 8))).toThrow(/feature number of src and tgt/);
  });
});

describe('gumbelSoftmax', () => {
  test('gives points of the simplex, one-hot if hard, drawn as the logits say, with the gradient of the soft sample', () => {
    manualSeed(5);
    const logits = tensor([0, 1, 2]).float().expand(2000, 3).clone().requiresGrad_();
    const soft = F.gumbelSoftmax(logits, 0.5);
    expect(soft.sum(-1).sub(1).abs().max().item()).toBeLessThan(1e-6);
    const hard = F.gumbelSoftmax(logits, { hard: true });
    expect(new Set(numbers(hard.detach().round()))).toEqual(new Set([0, 1]));
    const expected = numbers(F.softmax(tensor([0, 1, 2]).float(), 0));
    for (const [i, share] of numbers(hard.detach().mean(0)).entries())
      expect(Math.abs(share - expected[i])).toBeLessThan(0.04);
    hard
      .mul(tensor([1, 2, 3]).float())
      .sum()
      .backward();
    expect(logits.grad!.abs().max().item()).toBeGreaterThan(0);
  });
});
