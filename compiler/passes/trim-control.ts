/**
 * Loops and branches lose what nobody takes from them and what they need not do themselves.
 *
 *   %1 = scan(%w, %n, %h, %xs) with { %a = exp(%w); update %h = add(%h, mul(%a, %x)); return z = exp(%n) }, z is not used
 *     ->  %0 = exp(%w); %1 = scan(%0, %h, %xs) with { update %h = add(%h, mul(%a, %x)) }
 *
 * Gone are results without a reader, carries that only they or the carry itself need, inputs that no body reads, and captures
 * given twice. What a step computes from captures alone is computed once, before the loop, and captured instead; views and
 * constants stay, being free. What an outer loop drops, inner ones need not compute.
 */
import {
  type Control,
  carriesOf,
  controlOf,
  isControl,
  isResult,
  layoutOf,
  mainBody,
  nextCarry,
  resultIndex,
  resultOf,
  tokenType,
} from '../ir/control.js';
import {
  type Graph,
  Interner,
  isParam,
  mapGraph,
  type Node,
  paramName,
  paramRole,
  roots,
  topological,
  usersOf,
} from '../ir/graph.js';
import { Rebuilder } from '../ir/rebuild.js';
import { isFree } from '../lowering/lower.js';
import type { Pass } from '../pass.js';

export const trimControl: Pass<Graph> = {
  name: 'trim-control',
  doc: 'Loops and branches lose dead results, carries and inputs; what does not change in a loop is computed before it.',
  run: graph => (topological(roots(graph)).some(isControl) ? trimmed(graph) : graph),
};

function trimmed(graph: Graph): Graph {
  const users = usersOf(roots(graph));
  const interner = new Interner();
  const made = new Map<Node, { readonly node: Node; readonly places: ReadonlyMap<number, number> }>();
  return mapGraph(graph, interner, (node, inputs) => {
    if (isResult(node)) {
      const { node: source, places } = made.get(node.inputs[0])!;
      return resultOf(interner, source, places.get(resultIndex(node))!);
    }
    if (!isControl(node)) return interner.like(node, inputs);
    const taken = new Set((users.get(node) ?? []).filter(isResult).map(resultIndex));
    const { call, places } = withoutDead({ control: controlOf(node), inputs }, taken);
    const inner = { ...call, control: { ...call.control, bodies: call.control.bodies.map(trimmed) } };
    const { control, inputs: left } = hoisted(withoutUnread(inner), interner);
    const replacement = interner.node(control.op, left, control.attrs, tokenType, node.site, control.bodies);
    made.set(node, { node: replacement, places });
    return replacement;
  });
}

/** A control node to be. */
interface Call {
  readonly control: Control;
  readonly inputs: readonly Node[];
}

// ── dead results and carries ───────────────────────────────────────────────────────────────────────────────────────────

/** Only the results in `taken` and the carries that it takes to compute them; `places`: where each is now. */
function withoutDead(
  { control, inputs }: Call,
  taken: ReadonlySet<number>,
): { call: Call; places: Map<number, number> } {
  const { captures, carries } = layoutOf(control);
  const results = mainBody(control).results.flatMap((_, i) => (taken.has(carries + i) ? [i] : []));
  const live = liveCarries(control, taken, results);
  const places = new Map([...live, ...results.map(i => carries + i)].map((old, i) => [old, i]));
  const keepsInput = (i: number): boolean => i < captures || i >= captures + carries || live.includes(i - captures);
  const bodies = control.bodies.map(body => ({
    ...body,
    params: body.params.filter((_, i) => keepsInput(i)),
    results: body === mainBody(control) || control.op === 'cond' ? results.map(i => body.results[i]) : body.results,
    updates: new Map([...body.updates].filter(([carry]) => keepsInput(body.params.indexOf(carry)))),
  }));
  const attrs = control.op === 'cond' ? control.attrs : { ...control.attrs, carries: live.length };
  const first = inputs.length - mainBody(control).params.length;
  return {
    call: {
      control: { ...control, attrs, bodies },
      inputs: inputs.filter((_, i) => i < first || keepsInput(i - first)),
    },
    places,
  };
}

/** Carries that are taken at the end, decide how long the loop runs, or go into what is needed. */
function liveCarries(control: Control, taken: ReadonlySet<number>, results: readonly number[]): number[] {
  const body = mainBody(control);
  const carries = carriesOf(control);
  const { captures } = layoutOf(control);
  const live = new Set(carries.flatMap((_, i) => (taken.has(i) ? [i] : [])));
  if (control.op === 'while') {
    const decisive = topological(roots(control.bodies[0])).filter(isParam).map(paramName);
    const names = control.bodies[0].params.slice(captures).map(paramName);
    for (const [i, name] of names.entries()) if (decisive.includes(name)) live.add(i);
  }
  for (let known = -1; known < live.size; ) {
    known = live.size;
    const needed = [...results.map(i => body.results[i].node), ...[...live].map(i => nextCarry(body, carries[i]))];
    const read = new Set(topological(needed));
    for (const [i, carry] of carries.entries()) if (read.has(carry)) live.add(i);
  }
  return [...live].sort((a, b) => a - b);
}

// ── inputs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Without captures and slices that no body reads or that are there already. */
function withoutUnread({ control, inputs }: Call): Call {
  const { captures, carries } = layoutOf(control);
  const read = new Set(control.bodies.flatMap(body => topological(roots(body)).filter(isParam)));
  const first = inputs.length - mainBody(control).params.length;
  const part = (i: number): string => (i < captures ? 'capture' : i < captures + carries ? 'carry' : 'slice');
  const sameAs = mainBody(control).params.map((_, i) =>
    part(i) === 'carry'
      ? i
      : inputs.slice(first).findIndex((input, j) => input === inputs[first + i] && part(j) === part(i)),
  );
  const isRead = (i: number): boolean => control.bodies.some(body => read.has(body.params[i]));
  const keeps = (i: number): boolean =>
    part(i) === 'carry' || (sameAs[i] === i && sameAs.some((same, j) => same === i && isRead(j)));
  const bodies = control.bodies.map(body => {
    const interner = new Interner();
    const kept = body.params.map((param, i) =>
      keeps(i) ? interner.param(paramName(param), paramRole(param), param.type, param.site) : null,
    );
    const image = new Map(body.params.map((param, i) => [param, kept[sameAs[i]]]));
    return remade(
      body,
      new Rebuilder(interner, node => image.get(node) ?? null),
      kept.filter(param => param !== null),
    );
  });
  const lost = mainBody(control).params.filter((_, i) => i < captures && !keeps(i)).length;
  const attrs = control.op === 'cond' ? control.attrs : { ...control.attrs, captures: captures - lost };
  return { control: { ...control, attrs, bodies }, inputs: inputs.filter((_, i) => i < first || keeps(i - first)) };
}

/** A body over other parameters. */
const remade = ({ name, results, updates }: Graph, made: Rebuilder, params: readonly Node[]): Graph => ({
  name,
  params,
  results: results.map(result => ({ ...result, node: made.node(result.node) })),
  updates: new Map([...updates].map(([carry, next]) => [made.node(carry), made.node(next)])),
});

// ── what does not change in a loop ─────────────────────────────────────────────────────────────────────────────────────

/** What steps compute from captures alone becomes a capture; `outside` makes it before the loop. */
function hoisted(call: Call, outside: Interner): Call {
  if (call.control.op === 'cond') return call;
  const { captures } = layoutOf(call.control);
  const steps = call.control.bodies.map(body => invariants(body, captures));
  if (steps.every(found => found.length === 0)) return call;
  const moved: Node[] = [];
  const places = call.control.bodies.map((body, b) => {
    const image = new Map(body.params.map((param, i) => [param, call.inputs[i]]));
    const made = new Rebuilder(outside, node => image.get(node) ?? null);
    return steps[b].map(node => {
      const value = made.node(node);
      if (!moved.includes(value)) moved.push(value);
      return moved.indexOf(value);
    });
  });
  const names = freeNames(call.control.bodies, captures, moved.length);
  const bodies = call.control.bodies.map((body, b) => {
    const interner = new Interner();
    const params = body.params.map(param => interner.param(paramName(param), paramRole(param), param.type, param.site));
    const added = moved.map((value, i) => interner.param(names[i], 'input', value.type, value.site));
    const image = new Map([
      ...body.params.map((param, i) => [param, params[i]] as const),
      ...steps[b].map((node, i) => [node, added[places[b][i]]] as const),
    ]);
    return remade(body, new Rebuilder(interner, node => image.get(node) ?? null), [
      ...params.slice(0, captures),
      ...added,
      ...params.slice(captures),
    ]);
  });
  const inputs = [...call.inputs.slice(0, captures), ...moved, ...call.inputs.slice(captures)];
  const attrs = { ...call.control.attrs, captures: captures + moved.length };
  return withoutUnread({ control: { ...call.control, attrs, bodies }, inputs });
}

/** Names that no parameter has, not of what an earlier run moved out either. */
function freeNames(bodies: readonly Graph[], first: number, count: number): string[] {
  const taken = new Set(bodies.flatMap(({ params }) => params.map(paramName)));
  const names: string[] = [];
  for (let i = first; names.length < count; i++) if (!taken.has(`before.${i}`)) names.push(`before.${i}`);
  return names;
}

/** The last nodes of a body that depend on captures alone and cost something. */
function invariants(body: Graph, captures: number): Node[] {
  const rootNodes = roots(body);
  const varying = new Set<Node>(body.params.slice(captures));
  const order = topological(rootNodes);
  for (const node of order) if (node.inputs.some(input => varying.has(input))) varying.add(node);
  const users = usersOf(rootNodes);
  const isConstant = (node: Node): boolean => !varying.has(node) && !isParam(node);
  const isMoved = (node: Node): boolean => isConstant(node) && !isControl(node) && !isFree(node);
  const isLast = (node: Node): boolean =>
    rootNodes.includes(node) || users.get(node)!.some(user => !isConstant(user) || !leadsOut(user, users, isMoved));
  return order.filter(node => isMoved(node) && isLast(node));
}

/** Is a free node only a step on the way to something that moves? */
function leadsOut(node: Node, users: ReadonlyMap<Node, Node[]>, isMoved: (node: Node) => boolean): boolean {
  if (isMoved(node)) return true;
  const readers = users.get(node)!;
  return readers.length > 0 && readers.every(reader => leadsOut(reader, users, isMoved));
}
