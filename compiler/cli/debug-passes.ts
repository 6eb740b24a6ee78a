/** Are the passes that the debugging switches name passes of gradc? A mistyped one would do nothing, and say nothing. */
import { cudaBackend } from '../../backends/cuda/backend.js';
import { wasm } from '../../backends/wasm/backend.js';
import { fail } from '../errors.js';
import type { DebugOptions } from '../pass.js';
import { graphPasses } from '../pipeline.js';
import { nearest } from './arguments.js';

/** What runs once for a whole program, and explains itself but prints nothing. */
const explaining = ['fuse', 'stream', 'order', 'plan-memory'];

/** Throws E501 for a name that is none. */
export function checkPassNames({ dump = [], skip = [], explain = [], stopAfter }: DebugOptions): void {
  const passes = [...graphPasses(null), ...wasm.schedule, ...cudaBackend.schedule].map(({ name }) => name);
  const known = [...new Set(passes)];
  check('stop-after', stopAfter === undefined ? [] : [stopAfter], known);
  check('dump', dump, [...known, 'all']);
  check('skip', skip, [...known, 'all']);
  check('explain', explain, [...known, ...explaining, 'all']);
}

function check(option: string, given: readonly string[], known: readonly string[]): void {
  const unknown = given.find(name => !known.includes(name));
  if (unknown === undefined) return;
  const near = nearest(unknown, known);
  fail('E501', {
    problem: `--${option}: there is no pass '${unknown}'`,
    hint: near === null ? `passes: ${known.join(', ')}` : `did you mean ${near}?`,
  });
}
