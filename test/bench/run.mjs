/** Launcher of `npm run bench`. */
import { runBundled } from '../support/run-bundled.mjs';

await runBundled('test/bench/main.ts');
