/** Launcher of `npm run bench:peers`. */
import { bundle } from '../../support/run-bundled.mjs';

const bundles = {
  program: await bundle('test/bench/peers/serve.ts'),
  thread: await bundle('runtime/deploy/thread.ts'),
};
const { runAsProgram } = await import(await bundle('test/bench/peers/main.ts'));
await runAsProgram(process.argv.slice(2), bundles);
