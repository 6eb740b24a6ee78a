/** Silenced one by one: a comment names the code, on the line or above it. */
import { defineModel, entry, input } from 'gradc';

export default defineModel('allowed', () => {
  let traced = 0;
  return {
    state: {},
    entries: {
      run: entry({ x: input([4]) }, ({ x }) => {
        traced++; // counts how often it is traced: gradc-allow E316
        // gradc-allow W311: for the log
        console.log(traced, Date.now());
        return { y: x };
      }),
    },
  };
});
