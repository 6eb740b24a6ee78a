/**
 * Parameters from which a task is learned in two steps: the gradient goes through these steps' own gradients. Finn, Abbeel and
 * Levine, "Model-agnostic meta-learning for fast adaptation of deep networks" (2017).
 */
import { autograd, defineModel, entry, input, manualSeed, nn, optim, stack, type Tensor } from 'gradc';
import * as F from 'gradc/functional';

const [tasks, examples, innerSteps, innerRate] = [4, 10, 2, 0.01];

export default defineModel('maml', () => {
  manualSeed(0);
  const net = new nn.Sequential(new nn.Linear(1, 40), new nn.ReLU(), new nn.Linear(40, 1));
  const opt = new optim.Adam(net.parameters(), { lr: 1e-3 });
  const predict = (x: Tensor, [w1, b1, w2, b2]: readonly Tensor[]): Tensor =>
    F.linear(F.relu(F.linear(x, w1, b1)), w2, b2);

  function adapted(x: Tensor, y: Tensor): readonly Tensor[] {
    let parameters: readonly Tensor[] = [...net.parameters()];
    for (let step = 0; step < innerSteps; step++) {
      const gradients = autograd.grad(F.mseLoss(predict(x, parameters), y), parameters, { createGraph: true });
      parameters = parameters.map((parameter, i) => parameter.sub(gradients[i].mul(innerRate)));
    }
    return parameters;
  }

  const examplesOfTasks = input([tasks, examples, 1]);
  return {
    state: { net, opt },
    entries: {
      metaStep: entry(
        { x: examplesOfTasks, y: examplesOfTasks, newX: examplesOfTasks, newY: examplesOfTasks },
        ({ x, y, newX, newY }) => {
          const losses = Array.from({ length: tasks }, (_, task) =>
            F.mseLoss(predict(newX.at(task), adapted(x.at(task), y.at(task))), newY.at(task)),
          );
          const loss = stack(losses).mean();
          opt.zeroGrad();
          loss.backward();
          opt.step();
          return { loss };
        },
      ),
    },
  };
});
