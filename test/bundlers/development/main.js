/** The same model in both forms a development server gives, and how they agree on state. */
import { load } from '../project/slope.model.ts?compiled';
import { load as loadCompiled } from '../project/slope.model.ts?compiled&force';

const x = [1, 2, 3];
const y = [5, 10, 15];
const [eager, compiled] = await Promise.all([load(), loadCompiled()]);
const starts = [eager, compiled].map(model => model.state.slope[0]);
const train = model => Array.from({ length: 5 }, () => model.trainStep({ x, y }).loss);
const losses = [train(eager), train(compiled)];
const resumed = await load({ state: compiled.saveState() });
globalThis.answer = {
  starts,
  losses,
  slopes: [eager, compiled, resumed].map(model => model.state.slope[0]),
  predicted: Array.from(resumed.predict({ x }).y),
};
