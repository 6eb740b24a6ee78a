/** `gradc build`: compile a model file and write its artifact. The compiler itself is loaded when the command runs. */
import { fileRecord } from '../artifact/manifest.js';
import { Stopped } from '../pass.js';
import { columns } from './arguments.js';
import { type NvccChoice, nvccChoices, type Target, targets } from './choices.js';
import type { Command } from './command.js';
import { debugOptions, debugSpecs } from './debug-options.js';
import { exitCodes } from './diagnostics.js';

export const buildCommand: Command = {
  name: 'build',
  summary: 'compile a model file and write its artifact',
  positionals: ['MODEL.ts'],
  options: {
    target: { doc: 'what to compile to', value: 'TARGETS', list: true, choices: targets, fallback: 'wasm' },
    out: { doc: 'the folder to write; default dist/<model>', value: 'FOLDER' },
    nvcc: { doc: 'build the CUDA library too', value: 'WHEN', choices: nvccChoices, fallback: 'auto' },
    'no-typecheck': { doc: 'do not run the type checker and the source analysis first' },
    ...debugSpecs,
  },
  async run(args, output) {
    const { buildArtifact, gzipSize, writeFiles } = await import('./build-artifact.js');
    try {
      const built = await buildArtifact(args.positionals[0], {
        targets: args.list('target') as Target[],
        nvcc: args.value('nvcc') as NvccChoice,
        checkTypes: !args.has('no-typecheck'),
        debug: debugOptions(args),
        progress: output.progress,
        warn: output.warn,
      });
      const out = args.value('out') ?? `dist/${built.traced.name}`;
      writeFiles(out, built.files);
      const files = [...built.files].map(([path, content]) => ({
        path,
        ...fileRecord(content),
        gzip: gzipSize(content),
      }));
      output.result(
        `${out}\n${columns(files.map(({ path, bytes, gzip }) => [path, `${size(bytes)}  (${size(gzip)} gzip)`]))}`,
        { name: built.traced.name, out, files },
      );
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      output.result(`stopped after ${error.pass}\n`, { stoppedAfter: error.pass });
    }
    return exitCodes.ok;
  },
};

const size = (bytes: number): string => `${(bytes / 1024).toFixed(1).padStart(8)} KiB`;
