/** Launcher of `npm run bench`. */
import { bundle } from '../support/run-bundled.mjs';

const thread = await bundle('runtime/deploy/thread.ts');
const { runAsProgram } = await import(await bundle('test/bench/main.ts'));
await runAsProgram(process.argv.slice(2), thread);
