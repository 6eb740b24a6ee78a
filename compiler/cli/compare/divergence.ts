/**
 * Where a compiled call first goes another way: the smallest part of its graph that goes wrong by itself, the first node in
 * it whose value is wrong, the pass that spoils it, and the text that shows it again.
 */
import type { Site } from '../../errors.js';
import { type Graph, isParam, type Node, paramName, roots, topological } from '../../ir/graph.js';
import type { Variant } from '../choices.js';
import type { Distance } from './accuracy.js';
import { type Case, type CheckedValue, type CheckOptions, checkCompiled, References } from './check.js';
import { guiltyPass } from './guilty-pass.js';
import { printRepro } from './repro.js';
import { smallestFailing } from './shrink.js';
import type { GraphValues } from './values.js';

export interface Divergence extends Distance {
  readonly entry: string;
  readonly variant: Variant;
  readonly op: string;
  readonly site: Site | null;
  /**
   * The pass after which the value is wrong; null where every pass by itself is right. `trace`: what was traced is not what
   * the model does eagerly.
   */
  readonly pass: string | null;
  /** Nodes of the part that goes wrong by itself. */
  readonly nodes: number;
  /** That part as text; a file of it is what `gradc compare FILE.graph` runs. None for `trace`. */
  readonly repro: string | null;
}

export interface SearchOptions extends CheckOptions {
  readonly progress?: (text: string) => void;
}

/** A call as it went eagerly. */
export interface EagerCall extends Case {
  readonly values: GraphValues;
}

/** null where the call is right when it is made by itself: the difference has built up over several. */
export async function firstDivergence(given: EagerCall, options: SearchOptions): Promise<Divergence | null> {
  const wrong = async (part: Case): Promise<CheckedValue | undefined> =>
    (await checkCompiled(part, options)).find(value => !value.agrees);
  const fails = async (part: Case): Promise<boolean> => (await wrong(part)) !== undefined;
  options.progress?.('looking for the first divergent op');
  const untraced = new References(given, options.tolerance).judge(given.values).find(value => !value.agrees);
  if (untraced !== undefined) return divergence(given, untraced, 'trace', null, options);
  if (!(await fails(given))) return null;
  const part = await smallestFailing(given, fails);
  const value = (await wrong(part))!;
  const pass = await guiltyPass(part, options);
  const { variant, tolerance } = options;
  const { op } = nodeOf(part.graph, value);
  const repro = await printRepro(part, { variant, tolerance, op, pass }, fails);
  return divergence(part, value, pass, repro, options);
}

function divergence(
  { graph }: Case,
  value: CheckedValue,
  pass: string | null,
  repro: string | null,
  { variant }: SearchOptions,
): Divergence {
  const { op, site } = nodeOf(graph, value);
  const nodes = topological(roots(graph)).filter(n => !isParam(n)).length;
  const { absolute, relative, ulps } = value;
  return { entry: graph.name, variant, op, site, pass, nodes, repro, absolute, relative, ulps };
}

/** The node behind a value that was checked. */
function nodeOf({ results, updates }: Graph, { kind, name }: CheckedValue): Node {
  return kind === 'result'
    ? results.find(result => result.name === name)!.node
    : [...updates].find(([param]) => paramName(param) === name)![1];
}
