/** Launcher of the reference runner. */
import { runBundled } from '../support/run-bundled.mjs';

await runBundled('test/reference/main.ts');
