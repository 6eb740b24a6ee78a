/** A random program as one compiled program, with what its memory holds. */
import { defineModel, entry, input } from 'gradc';
import { evaluateConstant } from '../../../backends/js/evaluate.js';
import type { Program } from '../../../compiler/ir/program.js';
import { printGraph } from '../../../compiler/ir/text.js';
import { compileToProgram } from '../../../compiler/pipeline.js';
import { type TracedModel, traceModel } from '../../../compiler/trace/model.js';
import type { Contents } from '../team.js';
import { type RandomProgram, runEntry } from './program.js';

export function traced({ state: given, entries }: RandomProgram): TracedModel {
  const state = given.map(tensor => tensor.clone());
  return traceModel(
    defineModel('fuzz', () => ({
      state: Object.fromEntries(state.map((tensor, i) => [`state${i}`, tensor])),
      entries: Object.fromEntries(
        entries.map((drawn, e) => {
          const specs = Object.fromEntries(drawn.inputs.map(({ shape, dtype }, i) => [`v${i}`, input(shape, dtype)]));
          const run = (inputs: Record<string, Parameters<typeof runEntry>[1][number]>) =>
            Object.fromEntries(runEntry(drawn, Object.values(inputs), state).map((tensor, i) => [`out${i}`, tensor]));
          return [`run${e}`, entry(specs, run)];
        }),
      ),
    })),
  );
}

interface Compiled {
  readonly program: Program;
  readonly contents: Contents;
}
const known = new WeakMap<RandomProgram, Compiled>();

/** Before a backend has seen it. */
export function compiledProgram(random: RandomProgram): Compiled {
  const compiled = known.get(random) ?? compiledAnew(random);
  known.set(random, compiled);
  return compiled;
}

function compiledAnew(random: RandomProgram): Compiled {
  const { name, graphs, state } = traced(random);
  const inputs = random.entries.map(({ inputs }) =>
    Object.fromEntries(inputs.map((tensor, i) => [`v${i}`, tensor.contiguous().toTypedArray()])),
  );
  return {
    program: compileToProgram({ name, graphs, state }, {}, evaluateConstant).program,
    contents: {
      state: Object.fromEntries(state.map(({ name, storage }) => [name, storage.array])),
      inputs: entry => inputs[Number(entry.slice('run'.length))],
    },
  };
}

export const graphsOf = (random: RandomProgram): string =>
  traced(random)
    .graphs.map(graph => printGraph(graph))
    .join('\n');
