/** Programs as text, for the report of a failure. */
import { numbersIn } from '../op-samples.js';
import type { Block, RandomEntry, RandomProgram, Source } from './program.js';

export function describeProgram({ state, entries }: RandomProgram): string {
  const states = state.map((tensor, i) => `v${i} = state ${tensor.dtype}[${tensor.shape}]`);
  return [...states, ...entries.flatMap(entryLines)].join('\n');
}

function entryLines(entry: RandomEntry, i: number): string[] {
  const first = entry.given - entry.inputs.length;
  const inputs = entry.inputs.map(
    (tensor, at) =>
      `v${first + at} = input ${tensor.dtype}[${tensor.shape}] ${JSON.stringify(numbersIn(tensor).slice(0, 12))}`,
  );
  const updates = entry.updates.map(update => `v${update.state} <- v${update.value}`);
  const derivatives = ['', ' and gradients', ' and gradients, and gradients of those'][entry.derivatives];
  return [
    `entry ${i}:`,
    ...inputs,
    ...stepLines(entry, 'v'),
    ...updates,
    `return ${entry.results.map(result => `v${result}`).join(', ')}${derivatives}`,
  ];
}

const stepLines = ({ given, steps }: Block, prefix: string): string[] =>
  steps.flatMap((step, i) => [
    `${prefix}${given + i} = ${step.kind.text(step.sources.map(source => sourceText(source, prefix)))}`,
    ...step.bodies.flatMap((body, b) => bodyLines(body, `${prefix}${given + i}.${b}.`)).map(line => `  ${line}`),
  ]);

/** Inside, the values given are those of the sources. */
const bodyLines = (body: Block, prefix: string): string[] => [
  `given ${prefix}0 … ${prefix}${body.given - 1}`,
  ...stepLines(body, prefix),
  `gives ${body.results.map(result => `${prefix}${result}`).join(', ')}`,
];

const sourceText = ({ value, as }: Source, prefix: string): string =>
  as === null ? `${prefix}${value}` : `${prefix}${value} as ${as.dtype}[${as.shape}] in [${as.low}, ${as.high})`;
