/**
 * `npm run bench -- --startup`: whole processes, from their start to their end. An empty one, and one that loads the built
 * LeNet and calls it once. They take turns, so that what else the machine does falls on both. Needs `npm run build`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './median.js';

export interface Startup {
  readonly what: string;
  readonly medianMs: number;
  readonly minMs: number;
}

const repository = fileURLToPath(new URL('../..', import.meta.url));
const processes = 25;

const programs = {
  'an empty module': '',
  'LeNet loaded and called once': `import { load } from './lenet.js';
    const { logits } = (await load()).predict({ x: new Float32Array(1024).fill(0.5) });
    if (!logits.every(Number.isFinite)) process.exit(1);`,
};

export function measureStartup(): Startup[] {
  const folder = mkdtempSync(join(tmpdir(), 'gradc-startup-'));
  try {
    run(['dist/compiler/cli/main.js', 'build', 'examples/lenet/lenet.model.ts', '--target', 'wasm', '--out', folder]);
    const files = Object.entries(programs).map(([what, source], i) => {
      const file = join(folder, `process-${i}.mjs`);
      writeFileSync(file, source);
      return { what, file, times: [] as number[] };
    });
    for (let i = 0; i < processes; i++)
      for (const { file, times } of files) {
        const start = performance.now();
        run([file]);
        times.push(performance.now() - start);
      }
    return files.map(({ what, times }) => ({ what, medianMs: median(times), minMs: Math.min(...times) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: repository, encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr}`);
}
