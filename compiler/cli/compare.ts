/**
 * `gradc compare`: does the compiled model do what the eager one does, how much faster, and if not, where does it go wrong.
 * Exit code 1 where it does not. Given a `.graph` file that an earlier run wrote, it runs that alone.
 */
import { readFileSync } from 'node:fs';
import { fail } from '../errors.js';
import type { Arguments } from './arguments.js';
import { plainSumsSpec, revectorizeSpec, variants } from './choices.js';
import type { Command } from './command.js';
import { type ExitCode, exitCodes } from './diagnostics.js';
import type { Output } from './output.js';
import { writeOutput } from './output-file.js';

export const compareCommand: Command = {
  name: 'compare',
  summary: 'eager against compiled: outputs, gradients and state after some steps',
  positionals: ['MODEL.ts|FILE.graph'],
  options: {
    target: { doc: 'what to compare with', value: 'TARGET', choices: ['wasm'], fallback: 'wasm' },
    variant: {
      doc: 'modules to compare; default all that this engine runs',
      value: 'VARIANTS',
      list: true,
      choices: variants,
    },
    revectorize: revectorizeSpec,
    'no-winograd': plainSumsSpec,
    steps: { doc: 'calls of each entry, on random inputs', value: 'N', fallback: '5' },
    rtol: { doc: 'floor of the tolerance, relative to the largest element of a tensor', value: 'X', fallback: '1e-4' },
    atol: { doc: 'absolute floor', value: 'X', fallback: '1e-6' },
    integers: { doc: 'integer inputs are drawn from [0, N)', value: 'N', fallback: '2' },
    all: { doc: 'show every tensor, not only the least accurate' },
    check: { doc: 'for CI: also refuse an artifact that is not of these sources; no times are taken' },
    out: { doc: 'where that artifact lies; default dist/<model>', value: 'FOLDER' },
    html: { doc: 'also write a page', value: 'FILE' },
    repro: { doc: 'where it goes wrong, write what goes wrong by itself as FILE.graph', value: 'FILE' },
    'no-typecheck': { doc: 'do not run the type checker and the source analysis first' },
  },
  run: (args, output) => (args.positionals[0].endsWith('.graph') ? runRepro(args, output) : runModel(args, output)),
};

async function runModel(args: Arguments, output: Output): Promise<ExitCode> {
  const [{ loadModelFile }, { compareModel }, { isRunnable }, { comparisonPage, comparisonText }, { measuredBackend }] =
    await Promise.all([
      import('./model-file.js'),
      import('./compare-model.js'),
      import('./compare/variants.js'),
      import('./compare/report.js'),
      import('./measured-backend.js'),
    ]);
  const model = await loadModelFile(args.positionals[0], {
    checkTypes: !args.has('no-typecheck'),
    warn: output.warn,
  });
  const { definition } = model;
  if (args.has('check')) {
    const { checkFresh } = await import('./stale.js');
    checkFresh(model, args.value('out') ?? undefined);
  }
  const wanted = args.list('variant');
  const revectorize = args.has('revectorize');
  output.progress(`comparing ${definition.name}`);
  const comparison = await compareModel(definition, {
    steps: args.number('steps', 1),
    rtol: args.number('rtol', 0),
    atol: args.number('atol', 0),
    integers: args.number('integers', 1),
    variants: variants.filter(variant => (wanted.length === 0 ? isRunnable(variant) : wanted.includes(variant))),
    measure: !args.has('check'),
    backend: measuredBackend(model.tuning, {
      revectorize,
      winograd: !args.has('no-winograd'),
    }),
    progress: output.progress,
  });
  const [html, repro] = [args.value('html'), args.value('repro')];
  if (html !== null) writeOutput(html, comparisonPage(definition.name, comparison));
  const written = comparison.firstDivergence?.repro;
  if (repro !== null && written) writeOutput(repro, written);
  output.result(comparisonText(comparison, args.has('all')), { name: definition.name, revectorize, ...comparison });
  return comparison.agrees ? exitCodes.ok : exitCodes.checkFailed;
}

async function runRepro(args: Arguments, output: Output): Promise<ExitCode> {
  const [{ parseRepro }, { checkCompiled }, { reproText }] = await Promise.all([
    import('./compare/repro.js'),
    import('./compare/check.js'),
    import('./compare/report.js'),
    import('../ops/table.js'),
  ]);
  const [path] = args.positionals;
  const repro = parseRepro(readRepro(path));
  const values = await checkCompiled(repro, repro);
  output.result(reproText(values), { name: path, values });
  return values.every(({ agrees }) => agrees) ? exitCodes.ok : exitCodes.checkFailed;
}

function readRepro(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fail('E401', { problem: `there is no file ${path}`, hint: `paths count from ${process.cwd()}` });
  }
}
