/**
 * Where a compiled call first goes another way: the smallest part of its graph that goes wrong by itself, the first node in
 * it whose value is wrong, the pass that spoils it, and the text that shows it again.
 */
import type { Site } from '../../errors.js';
import { type Graph, isParam, type Node, paramName, roots, topological } from '../../ir/graph.js';
import type { Variant } from '../choices.js';
import type { Distance } from './accuracy.js';
import { type Case, type CheckedValue, type CheckOptions, checkCompiled } from './check.js';
import { guiltyPass } from './guilty-pass.js';
import { printRepro } from './repro.js';
import { smallestFailing } from './shrink.js';

export interface Divergence extends Distance {
  readonly entry: string;
  readonly variant: Variant;
  readonly op: string;
  readonly site: Site | null;
  /** The pass after which the value is wrong; null where every pass by itself is right. */
  readonly pass: string | null;
  /** Nodes of the part that goes wrong by itself. */
  readonly nodes: number;
  /** That part as text; a file of it is what `gradc compare FILE.graph` runs. */
  readonly repro: string;
}

export interface SearchOptions extends CheckOptions {
  readonly progress?: (text: string) => void;
}

/** null where the call is right when it is made by itself: the difference has built up over several. */
export async function firstDivergence(given: Case, options: SearchOptions): Promise<Divergence | null> {
  const wrong = async (part: Case): Promise<CheckedValue | undefined> =>
    (await checkCompiled(part, options)).find(value => !value.agrees);
  const fails = async (part: Case): Promise<boolean> => (await wrong(part)) !== undefined;
  options.progress?.('looking for the first divergent op');
  if (!(await fails(given))) return null;
  const part = await smallestFailing(given, fails);
  const value = (await wrong(part))!;
  const node = nodeOf(part.graph, value);
  const pass = await guiltyPass(part, options);
  const { variant, tolerance } = options;
  const { absolute, relative, ulps } = value;
  const about = { variant, pass, op: node.op, tolerance };
  return {
    entry: given.graph.name,
    variant,
    op: node.op,
    site: node.site,
    pass,
    nodes: topological(roots(part.graph)).filter(n => !isParam(n)).length,
    repro: await printRepro(part, about, fails),
    absolute,
    relative,
    ulps,
  };
}

/** The node behind a value that was checked. */
function nodeOf({ results, updates }: Graph, { kind, name }: CheckedValue): Node {
  return kind === 'result'
    ? results.find(result => result.name === name)!.node
    : [...updates].find(([param]) => paramName(param) === name)![1];
}
