/** `gradc inspect`: any stage of a compilation, as text, as a picture or as a page; and a timeline of its kernels. */
import { plainSumsSpec, type Stage, stages } from './choices.js';
import type { Command } from './command.js';
import { debugOptions, debugSpecs } from './debug-options.js';
import { exitCodes } from './diagnostics.js';
import { writeOutput } from './output-file.js';

export const inspectCommand: Command = {
  name: 'inspect',
  summary: 'show a stage of the compilation',
  positionals: ['MODEL.ts'],
  options: {
    stage: { doc: 'what to show', value: 'STAGE', choices: stages, fallback: 'graph' },
    entry: { doc: 'only this entry', value: 'NAME' },
    svg: { doc: 'write a picture (of one entry)', value: 'FILE' },
    html: { doc: 'write a page with the pictures of all entries', value: 'FILE' },
    trace: { doc: 'run each entry kernel by kernel and write a timeline for Perfetto', value: 'FILE' },
    revectorize: { doc: 'show the modules of build --revectorize' },
    'no-winograd': plainSumsSpec,
    integers: { doc: 'for the timeline: integer inputs are drawn from [0, N)', value: 'N', fallback: '2' },
    'no-typecheck': { doc: 'do not run the type checker and the source analysis first' },
    ...debugSpecs,
  },
  async run(args, output) {
    const [
      { checkPassNames },
      { loadModelFile },
      { traceModel },
      { compileRecorded },
      { onlyEntry, stageText },
      { moduleBackend },
    ] = await Promise.all([
      import('./debug-passes.js'),
      import('./model-file.js'),
      import('../trace/model.js'),
      import('./inspect/record.js'),
      import('./inspect/stage-text.js'),
      import('./measured-backend.js'),
    ]);
    const stage = args.value('stage') as Stage;
    const { definition, tuning } = await loadModelFile(args.positionals[0], {
      checkTypes: !args.has('no-typecheck'),
      warn: output.warn,
    });
    const traced = traceModel(definition);
    const debug = debugOptions(args);
    checkPassNames(debug);
    const options = { revectorize: args.has('revectorize'), winograd: !args.has('no-winograd') };
    const followed = options.revectorize ? null : tuning;
    const whole = compileRecorded(traced, debug, moduleBackend(followed, options), followed);
    const recorded = { ...whole, compilation: onlyEntry(whole.compilation, args.value('entry')) };
    const [svg, html, trace] = [args.value('svg'), args.value('html'), args.value('trace')];
    if (svg !== null || html !== null) {
      const { stagePage, stagePicture } = await import('./inspect/stage-pictures.js');
      const { standalone } = await import('./inspect/svg.js');
      if (svg !== null) writeOutput(svg, standalone(stagePicture(recorded, stage)));
      if (html !== null) writeOutput(html, stagePage(recorded, stage));
    }
    if (trace !== null) {
      const { timeline } = await import('./inspect/timeline.js');
      writeOutput(trace, JSON.stringify(timeline(traced, recorded.compilation, args.number('integers', 1))));
    }
    const files = [svg, html, trace].filter(file => file !== null);
    const text = files.length > 0 ? '' : stageText(recorded, stage);
    output.result(text, { name: definition.name, stage, ...(files.length > 0 ? { files } : { text }) });
    return exitCodes.ok;
  },
};
