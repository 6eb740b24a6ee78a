/** W311: the clock, read while tracing. */
import { defineModel, entry, input } from 'gradc';

export default defineModel('clock', () => ({
  state: {},
  entries: {
    run: entry({ x: input([4]) }, ({ x }) => {
      const begun = performance.now();
      const y = x.softmax(0);
      console.log(performance.now() - begun, Date.now(), new Date(), new Date(0));
      return { y };
    }),
  },
}));
