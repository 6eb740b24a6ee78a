/**
 * Control flow in the tensor IR: nodes that run other graphs, and what their inputs and bodies mean.
 *
 *   %2 = scan(%w, %h0, %xs) {captures: 1, carries: 1, length: 8, reverse: false} with {
 *     graph step(%w: float32[4] input, %h: float32[4] state, %x: float32[4] input) {
 *       %0 = mul(%h, %w) : float32[4]
 *       %1 = add(%0, %x) : float32[4]
 *       return y = %1
 *       update %h = %1
 *     }
 *   } : bool[0]
 *   %3 = result(%2) {index: 0, dtype: "float32", shape: [4]} : float32[4]
 *   %4 = result(%2) {index: 1, dtype: "float32", shape: [8, 4]} : float32[8, 4]
 *
 * The body of a loop is a graph like any other: what is carried from step to step is its state, what is stacked are its
 * results. So whatever is known about state holds for carries too, writing new over old in place above all. A body sees
 * nothing from outside but its parameters. The node itself has the type of an empty tensor; its values, which differ in type,
 * are taken from it by `result` nodes: first the carries after the last step, then the stacked results.
 *
 *   scan    inputs [captures, first carries, tensors to slice along dim 0]; body (captures, carries, slices)
 *   while   inputs [captures, first carries]; bodies: condition (captures, carries as inputs) -> bool[], step
 *           (captures, carries)
 *   cond    inputs [predicate, operands]; bodies: then (operands), else (operands), with results of equal types
 *
 * One more node runs nothing: its values are its first inputs. Its body is their derivative, where ops do not tell it.
 *
 *   ownGradient  inputs [values, captures, arguments]; body (values, captures, gradients of the values) -> those of
 *           the arguments
 */
import type { DType } from './dtype.js';
import {
  type Attrs,
  formatType,
  type Graph,
  type Interner,
  type Node,
  type ParamRole,
  paramName,
  paramRole,
  type TensorType,
} from './graph.js';
import { type Shape, sameShape } from './shape.js';

export type ControlOp = 'scan' | 'while' | 'cond' | 'ownGradient';
const controlOps: ReadonlySet<string> = new Set<ControlOp>(['scan', 'while', 'cond', 'ownGradient']);

export const isControl = (node: Node): boolean => controlOps.has(node.op);
export const isResult = (node: Node): boolean => node.op === 'result';

/** What a node of several values has for its own type: no elements. */
export const tokenType: TensorType = Object.freeze({ dtype: 'bool', shape: Object.freeze([0]) });

/** A control node without its inputs. */
export interface Control {
  readonly op: ControlOp;
  readonly attrs: Attrs;
  readonly bodies: readonly Graph[];
}

/** How many inputs are what. */
export interface Layout {
  readonly captures: number;
  readonly carries: number;
  /** Tensors that are sliced. */
  readonly slices: number;
}

/** The parts of a loop's inputs, counted on the parameters of its (last) body. */
export function layoutOf({ op, attrs, bodies }: Control): Layout {
  if (op === 'cond') return { captures: bodies[0].params.length, carries: 0, slices: 0 };
  const [captures, carries] = [attrs.captures as number, attrs.carries as number];
  return { captures, carries, slices: bodies[bodies.length - 1].params.length - captures - carries };
}

export const scanLength = ({ attrs }: Control): number => attrs.length as number;
export const isReversed = ({ attrs }: Control): boolean => attrs.reverse as boolean;

/** The graph that makes the results: the step of a loop, either side of a branch. */
export const mainBody = ({ bodies }: Control): Graph => bodies[bodies.length - 1];

/** The parameters of a loop's step that carry values from step to step. */
export function carriesOf(control: Control): readonly Node[] {
  const { captures, carries } = layoutOf(control);
  return mainBody(control).params.slice(captures, captures + carries);
}

/** What a carry is after a step. */
export const nextCarry = (body: Graph, carry: Node): Node => body.updates.get(carry) ?? carry;

/** The type of a tensor made of `length` tensors of a type. */
export const stacked = ({ dtype, shape }: TensorType, length: number): TensorType => ({
  dtype,
  shape: [length, ...shape],
});
/** The type of one slice along dim 0. */
export const sliced = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape: shape.slice(1) });

/** The parameters of the body of an `ownGradient`. */
export function gradientLayout({ attrs, bodies: [{ params }] }: Control): GradientLayout {
  const values = attrs.values as number;
  const given = params.length - values;
  return { values: params.slice(0, values), captures: params.slice(values, given), gradients: params.slice(given) };
}
export interface GradientLayout {
  readonly values: readonly Node[];
  readonly captures: readonly Node[];
  /** One for each value. */
  readonly gradients: readonly Node[];
}

/** The types of the values, in the order in which `result` counts them. */
export function resultTypes(control: Control): TensorType[] {
  if (control.op === 'ownGradient') return gradientLayout(control).values.map(({ type }) => type);
  const results = mainBody(control).results.map(({ node }) => node.type);
  const finals = carriesOf(control).map(({ type }) => type);
  return [...finals, ...(control.op === 'scan' ? results.map(type => stacked(type, scanLength(control))) : results)];
}

/** A control node and all its values. */
export function controlNode(
  interner: Interner,
  { op, attrs, bodies }: Control,
  inputs: readonly Node[],
  site: Node['site'] = null,
): readonly Node[] {
  const node = interner.node(op, inputs, attrs, tokenType, site, bodies);
  return resultTypes({ op, attrs, bodies }).map((_, index) => resultOf(interner, node, index));
}

/** One value of a control node. */
export function resultOf(interner: Interner, node: Node, index: number): Node {
  const type = resultTypes(controlOf(node))[index];
  return interner.node('result', [node], { index, dtype: type.dtype, shape: type.shape }, type, node.site);
}
export const resultIndex = (node: Node): number => node.attrs.index as number;
/** The type of a `result` node, which its attrs tell because the empty type of its input does not. */
export const resultType = ({ dtype, shape }: Attrs): TensorType => ({ dtype: dtype as DType, shape: shape as Shape });

/** A node as a control node. */
export const controlOf = ({ op, attrs, bodies }: Node): Control => ({ op: op as ControlOp, attrs, bodies });

// ── what is legal ──────────────────────────────────────────────────────────────────────────────────────────────────────

const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);

/** What is wrong between a control node, its inputs and its bodies. The bodies themselves are checked as graphs. */
export function controlProblems(node: Node): string[] {
  const wantedBodies = node.op === 'scan' || node.op === 'ownGradient' ? 1 : 2;
  if (node.bodies.length !== wantedBodies) return [`${node.op} has ${node.bodies.length} bodies, not ${wantedBodies}`];
  const control = controlOf(node);
  switch (control.op) {
    case 'scan':
      return loopProblems(node, control);
    case 'while':
      return [...loopProblems(node, control), ...conditionProblems(node, control)];
    case 'cond':
      return branchProblems(node, control);
    case 'ownGradient':
      return gradientProblems(node, control);
    default:
      return control.op satisfies never;
  }
}

export function resultProblems(node: Node): string[] {
  const [source] = node.inputs;
  if (node.inputs.length !== 1 || !isControl(source)) return ['result takes one node of several values'];
  const types = resultTypes(controlOf(source));
  const index = resultIndex(node);
  if (!(index in types)) return [`result ${index} of a ${source.op} that has ${types.length}`];
  return sameType(types[index], node.type)
    ? []
    : [`result ${index} of ${source.op} is ${formatType(types[index])}, not ${formatType(node.type)}`];
}

function loopProblems({ inputs }: Node, control: Control): string[] {
  const { captures, carries, slices } = layoutOf(control);
  const body = mainBody(control);
  if (slices < 0 || (slices > 0 && control.op === 'while'))
    return [`${control.op} has a body of ${body.params.length} parameters`];
  const length = control.op === 'scan' ? scanLength(control) : 0;
  const wanted = body.params.map(({ type }, i) => (i < captures + carries ? type : stacked(type, length)));
  const isCarry = (i: number): boolean => i >= captures && i < captures + carries;
  return [
    ...signatureProblems(control.op, inputs, body, wanted, i => (isCarry(i) ? 'state' : 'input')),
    ...(control.op === 'while' && body.results.length > 0 ? ['the step of a while has results'] : []),
  ];
}

function conditionProblems({ inputs }: Node, { bodies: [condition, step] }: Control): string[] {
  const { results, updates } = condition;
  const wanted = step.params.map(({ type }) => type);
  const decides = results.length === 1 && sameType(results[0].node.type, { dtype: 'bool', shape: [] });
  return [
    ...signatureProblems('while', inputs, condition, wanted, () => 'input'),
    ...(decides && updates.size === 0 ? [] : ['the condition of a while is not one bool[]']),
  ];
}

function branchProblems({ inputs: [predicate, ...operands] }: Node, { bodies }: Control): string[] {
  const problems = sameType(predicate.type, { dtype: 'bool', shape: [] })
    ? []
    : [`cond on a ${formatType(predicate.type)}`];
  const types = operands.map(({ type }) => type);
  for (const body of bodies) {
    problems.push(...signatureProblems('cond', operands, body, types, () => 'input'));
    if (body.updates.size > 0) problems.push(`${body.name}: a side of a cond has updates`);
  }
  const [yes, no] = bodies.map(body => body.results.map(({ node }) => formatType(node.type)).join(', '));
  return yes === no ? problems : [...problems, `the sides of a cond give (${yes}) and (${no})`];
}

function gradientProblems({ inputs }: Node, control: Control): string[] {
  const { values, captures, gradients } = gradientLayout(control);
  const { results, updates } = mainBody(control);
  const wanted = [...values, ...captures, ...results.map(({ node }) => node)].map(({ type }) => formatType(type));
  const given = inputs.map(({ type }) => formatType(type));
  return [
    ...(given.join() === wanted.join() ? [] : [`ownGradient takes (${wanted}), but is given (${given})`]),
    ...(values.every((value, i) => sameType(value.type, gradients[i].type))
      ? []
      : ['an ownGradient whose values and their gradients differ in type']),
    ...(updates.size === 0 ? [] : ['the body of an ownGradient has updates']),
  ];
}

function signatureProblems(
  op: string,
  inputs: readonly Node[],
  body: Graph,
  wanted: readonly TensorType[],
  roleAt: (i: number) => ParamRole,
): string[] {
  if (inputs.length !== body.params.length)
    return [`${op} has ${inputs.length} inputs, but its body ${body.name} has ${body.params.length} parameters`];
  return body.params.flatMap((param, i) => [
    ...(sameType(inputs[i].type, wanted[i])
      ? []
      : [
          `${op}: '${paramName(param)}' needs a ${formatType(wanted[i])}, but input ${i} is ${formatType(inputs[i].type)}`,
        ]),
    ...(paramRole(param) === roleAt(i) ? [] : [`${op}: '${paramName(param)}' is an ${paramRole(param)} of the body`]),
  ]);
}
