/** `gradc inspect`: any stage of a compilation, as text or as a picture. */

import { writeFileSync } from 'node:fs';
import { evaluateConstant } from '../../backends/js/evaluate.js';
import { type Stage, stages } from './choices.js';
import type { Command } from './command.js';
import { debugOptions, debugSpecs } from './debug-options.js';
import { exitCodes } from './diagnostics.js';

export const inspectCommand: Command = {
  name: 'inspect',
  summary: 'show a stage of the compilation',
  positionals: ['MODEL.ts'],
  options: {
    stage: { doc: 'what to show', value: 'STAGE', choices: stages, fallback: 'graph' },
    entry: { doc: 'only this entry', value: 'NAME' },
    svg: { doc: 'write a picture (stages graph to memory; one entry)', value: 'FILE' },
    html: { doc: 'write a page with the pictures of all entries', value: 'FILE' },
    'no-typecheck': { doc: 'do not run the type checker and the source analysis first' },
    ...debugSpecs,
  },
  async run(args, output) {
    const { loadModelFile } = await import('./model-file.js');
    const { compileToProgram } = await import('../pipeline.js');
    const { traceModel } = await import('../trace/model.js');
    const { onlyEntry, picture, stageText, standalone } = await import('./stages.js');
    const { pictureDocument } = await import('./picture.js');
    const stage = args.value('stage') as Stage;
    const { definition } = await loadModelFile(args.positionals[0], {
      checkTypes: !args.has('no-typecheck'),
      warn: output.warn,
    });
    const compilation = onlyEntry(
      compileToProgram(traceModel(definition), debugOptions(args), evaluateConstant),
      args.value('entry'),
    );
    const [svg, html] = [args.value('svg'), args.value('html')];
    if (svg !== null) writeFileSync(svg, standalone(picture(compilation, stage, 0).svg));
    if (html !== null) {
      const pictures = compilation.fused.map((_, i) => picture(compilation, stage, i));
      writeFileSync(html, pictureDocument(`${definition.name}: ${stage}`, pictures));
    }
    const files = [svg, html].filter(file => file !== null);
    const text = files.length > 0 ? '' : stageText(compilation, stage);
    output.result(text, { name: definition.name, stage, ...(files.length > 0 ? { files } : { text }) });
    return exitCodes.ok;
  },
};
