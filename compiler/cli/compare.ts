/** `gradc compare`: does the compiled model do what the eager one does, and how much faster. Exit code 1 where it does not. */
import { writeFileSync } from 'node:fs';
import { columns } from './arguments.js';
import type { Closeness } from './closeness.js';
import type { Command } from './command.js';
import type { Comparison, Difference } from './compare-model.js';
import { exitCodes } from './diagnostics.js';
import { escapeXml } from './xml.js';

export const compareCommand: Command = {
  name: 'compare',
  summary: 'eager against compiled: outputs, gradients and state after some steps',
  positionals: ['MODEL.ts'],
  options: {
    target: { doc: 'what to compare with', value: 'TARGET', choices: ['wasm'], fallback: 'wasm' },
    relaxed: { doc: 'the variant with relaxed SIMD' },
    steps: { doc: 'calls of each entry, on random inputs', value: 'N', fallback: '5' },
    rtol: { doc: 'tolerance relative to the largest element of a tensor', value: 'X', fallback: '1e-4' },
    atol: { doc: 'absolute tolerance', value: 'X', fallback: '1e-6' },
    integers: { doc: 'integer inputs are drawn from [0, N)', value: 'N', fallback: '2' },
    html: { doc: 'also write a page', value: 'FILE' },
    'no-typecheck': { doc: 'do not run the type checker and the source analysis first' },
  },
  async run(args, output) {
    const [{ loadModelFile }, { compareModel }] = await Promise.all([
      import('./model-file.js'),
      import('./compare-model.js'),
    ]);
    const { definition } = await loadModelFile(args.positionals[0], {
      checkTypes: !args.has('no-typecheck'),
      warn: output.warn,
    });
    output.progress(`comparing ${definition.name}`);
    const comparison = compareModel(definition, {
      steps: args.number('steps', 1),
      rtol: args.number('rtol', 0),
      atol: args.number('atol', 0),
      integers: args.number('integers', 1),
      relaxed: args.has('relaxed'),
    });
    const html = args.value('html');
    if (html !== null) writeFileSync(html, comparisonPage(definition.name, comparison));
    output.result(comparisonText(comparison), { name: definition.name, ...comparison });
    return comparison.agrees ? exitCodes.ok : exitCodes.checkFailed;
  },
};

const label = ({ kind, entry, name }: Difference): string =>
  entry === null ? `${kind} ${name}` : `${entry}: ${kind} ${name}`;

function comparisonText(comparison: Comparison): string {
  const { agrees, differences, timings } = comparison;
  const rows = differences.map(d => [label(d), `${d.agrees ? 'ok  ' : 'FAIL'}  ${apart(d)}, step ${d.step}`]);
  const times = timings.map(t => [
    t.entry,
    `eager ${t.eagerMs.toFixed(3)} ms, compiled ${t.compiledMs.toFixed(3)} ms: ${(t.eagerMs / t.compiledMs).toFixed(1)} times`,
  ]);
  const verdict = agrees
    ? 'all tensors agree'
    : `${differences.filter(d => !d.agrees).length} of ${differences.length} tensors differ\n${whereFrom(comparison)}`;
  return `${columns(rows)}\n${columns(times)}\n${verdict}\n`;
}

const apart = ({ absolute, relative }: Closeness): string =>
  `${absolute.toExponential(1)} absolute, ${relative.toExponential(1)} relative`;

function whereFrom({ firstDivergence: first }: Comparison): string {
  if (first === null)
    return 'no op differs when each is written out by itself: it comes from how ops are fused, or builds up over many';
  const place =
    first.site === null
      ? ''
      : ` at ${first.site.file}:${first.site.line}:${first.site.column}${first.site.module ? ` in ${first.site.module}` : ''}`;
  return `first divergent op: ${first.op} of ${first.entry}${place}, ${apart(first)}`;
}

function comparisonPage(name: string, comparison: Comparison): string {
  const { agrees, differences, timings } = comparison;
  const row = (d: Difference): string =>
    `<tr class="${d.agrees ? 'ok' : 'differs'}"><td>${escapeXml(label(d))}</td><td>${d.absolute.toExponential(2)}</td><td>${d.relative.toExponential(2)}</td><td>${d.step}</td><td>${d.agrees ? 'agrees' : 'differs'}</td></tr>`;
  const time = (t: Comparison['timings'][number]): string =>
    `<tr><td>${escapeXml(t.entry)}</td><td>${t.eagerMs.toFixed(3)}</td><td>${t.compiledMs.toFixed(3)}</td><td>${(t.eagerMs / t.compiledMs).toFixed(1)}</td></tr>`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escapeXml(name)}: eager and compiled</title>
<style>body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark; } td, th { padding: 0.2rem 0.9rem; text-align: right; } td:first-child, th:first-child { text-align: left; } .differs { color: #c0392b; font-weight: 600; }</style>
<h1>${escapeXml(name)}: ${agrees ? 'all tensors agree' : 'some tensors differ'}</h1>
<p>${agrees ? '' : escapeXml(whereFrom(comparison))}</p>
<table><tr><th>tensor</th><th>largest difference</th><th>relative</th><th>at step</th><th></th></tr>
${differences.map(row).join('\n')}
</table>
<h2>Speed</h2>
<table><tr><th>entry</th><th>eager, ms</th><th>compiled, ms</th><th>times faster</th></tr>
${timings.map(time).join('\n')}
</table>
</html>
`;
}
