/**
 * A network on the nodes of a graph, whose edges are given by index. Kipf and Welling, "Semi-supervised classification with
 * graph convolutional networks" (2016).
 */
import { bool, defineModel, entry, input, int64, manualSeed, nn, ones, optim, type Tensor, where, zeros } from 'gradc';
import * as F from 'gradc/functional';

class GraphConv extends nn.Module {
  linear: nn.Linear;
  bias: nn.Parameter;
  constructor(inputs: number, outputs: number) {
    super();
    this.linear = new nn.Linear(inputs, outputs, { bias: false });
    this.bias = new nn.Parameter(zeros(outputs));
  }
  forward(x: Tensor, edges: Tensor): Tensor {
    const [from, to] = edges.unbind();
    const degree = zeros(x.size(0))
      .scatterAdd(0, to, ones(to.size(0)))
      .clamp(1);
    const weight = degree.rsqrt().at(from).mul(degree.rsqrt().at(to)).unsqueeze(1);
    const sent = this.linear.forward(x).indexSelect(0, from).mul(weight);
    return zeros(x.size(0), sent.size(1)).indexAdd(0, to, sent).add(this.bias);
  }
}

class GCN extends nn.Module {
  first = new GraphConv(5, 16);
  second = new GraphConv(16, 3);
  dropout = new nn.Dropout(0.5);
  forward(x: Tensor, edges: Tensor): Tensor {
    return this.second.forward(this.dropout.forward(F.relu(this.first.forward(x, edges))), edges);
  }
}

const unlabelled = -100;

export default defineModel('gcn', () => {
  manualSeed(0);
  const net = new GCN();
  const opt = new optim.Adam(net.parameters(), { lr: 0.01, weightDecay: 5e-4 });
  const graph = { x: input([10, 5]), edges: input([2, 30], int64) };
  return {
    state: { net, opt },
    entries: {
      trainStep: entry(
        { ...graph, label: input([10], int64), isKnown: input([10], bool) },
        ({ x, edges, label, isKnown }) => {
          const target = where(isKnown, label, unlabelled);
          const loss = F.crossEntropy(net.forward(x, edges), target, { ignoreIndex: unlabelled });
          opt.zeroGrad();
          loss.backward();
          opt.step();
          return { loss };
        },
      ),
      predict: entry(graph, ({ x, edges }) => ({ label: net.eval().forward(x, edges).argmax(1) })),
    },
  };
});
