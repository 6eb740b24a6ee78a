/** Evaluating expression trees: calls by PyTorch's name through the adapter, operators and indexing through Python's rules. */

import { type DType, isDType } from '../../compiler/ir/dtype.js';
import { Tensor } from '../../compiler/ops/tensor.js';
import { Unsupported } from '../support/python/errors.js';
import type { CompareOp } from '../support/python/syntax.js';
import { Dict, ellipsis, noKwargs, PyFloat, Slice, Tuple, type Value } from '../support/python/values.js';
import type { TorchAdapter } from '../support/torch-adapter.js';
import { TorchDtype } from '../support/torch-adapter-values.js';
import type { TreeNode } from './cases.js';

type Fields = { readonly [key: string]: TreeNode };
const binary: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  truediv: '/',
  floordiv: '//',
  mod: '%',
  pow: '**',
  matmul: '@',
  and: '&',
  or: '|',
  xor: '^',
  lshift: '<<',
  rshift: '>>',
};
const comparisons: Readonly<Record<string, CompareOp>> = { lt: '<', le: '<=', gt: '>', ge: '>=', eq: '==', ne: '!=' };
const specialNumbers: Readonly<Record<string, number>> = { inf: Infinity, '-inf': -Infinity, nan: Number.NaN };

/** The value of a tree; `names` are what `ref` nodes mean. */
export function evaluateTree(torch: TorchAdapter, node: TreeNode, names: ReadonlyMap<string, Value>): Value {
  const evaluate = (child: TreeNode): Value => evaluateTree(torch, child, names);
  if (node === null || typeof node === 'boolean') return node;
  if (typeof node === 'number') return Number.isInteger(node) ? node : new PyFloat(node);
  if (typeof node === 'string') return node in specialNumbers ? new PyFloat(specialNumbers[node]) : node;
  if (Array.isArray(node)) return (node as readonly TreeNode[]).map(evaluate);
  const fields = node as Fields;
  if ('ref' in fields) return reference(names, String(fields.ref));
  if ('float' in fields) return new PyFloat(Number(fields.float));
  if ('dtype' in fields) return dtype(String(fields.dtype));
  if ('dict' in fields)
    return new Dict(Object.entries(fields.dict as Fields).map(([key, value]) => [key, evaluate(value)] as const));
  if (fields.op === 'call') return call(torch, fields, evaluate);
  if ('op' in fields) return operation(torch, String(fields.op), fields.args as Fields, evaluate);
  if ('py' in fields) return torch.python.evaluate(String(fields.py));
  throw new Unsupported(`expression node ${JSON.stringify(node).slice(0, 80)}`);
}

/**
 * Arguments as they were written. Positional ones whose names the recorder did not know are called by their place, and
 * JSON puts such names first: the known names fill the places that are left.
 */
function argumentsOf(args: Fields, first: string | null): { positional: string[]; named: string[] } {
  const names = Object.keys(args).filter(name => name !== first);
  const places = names.filter(name => /^\d+$/.test(name)).map(Number);
  const known = names.filter(name => !/^\d+$/.test(name));
  const positional = Array.from({ length: Math.max(-1, ...places) + 1 }, (_, place) =>
    places.includes(place) ? String(place) : known.shift()!,
  );
  return { positional: first === null ? positional : [first, ...positional], named: known };
}

function reference(names: ReadonlyMap<string, Value>, name: string): Value {
  if (!names.has(name)) throw new Unsupported(`reference to ${name}, which is no input`);
  return names.get(name);
}

function dtype(name: string): TorchDtype {
  if (!isDType(name)) throw new Unsupported(`dtype ${name}`);
  return new TorchDtype(name as DType);
}

function call(torch: TorchAdapter, fields: Fields, evaluate: (node: TreeNode) => Value): Value {
  const args = (fields.args as readonly TreeNode[]).flatMap(argument => {
    const star = typeof argument === 'object' && argument !== null && 'star' in argument;
    return star ? [...torch.python.iterate(evaluate((argument as Fields).star))] : [evaluate(argument)];
  });
  const kwargs = Object.entries((fields.kwargs as Fields | undefined) ?? {}).map(
    ([name, value]) => [name, evaluate(value)] as const,
  );
  return torch.python.call(evaluate(fields.fn), args, new Map(kwargs));
}

function operation(torch: TorchAdapter, op: string, args: Fields, evaluate: (node: TreeNode) => Value): Value {
  const { python } = torch;
  const name = op.slice(op.lastIndexOf('.') + 1);
  if (op === 'Tensor.__getitem__')
    return python.getitem(evaluate(args.self), indexOf(args.index as readonly TreeNode[], evaluate));
  if (op === 'builtin.bool') return python.truth(evaluate(args.self));
  if (op.startsWith('operator.')) {
    const self = evaluate(args.self);
    if (name === 'neg' || name === 'invert') return python.unary(name === 'neg' ? '-' : '~', self);
    const other = evaluate(args.other);
    if (name in comparisons) return python.compare(comparisons[name], self, other);
    if (name in binary) return python.binary(binary[name], self, other);
    throw new Unsupported(op);
  }
  const isMethod = op.startsWith('Tensor.') && 'self' in args;
  const { positional, named } = argumentsOf(args, isMethod && /\d/.test(Object.keys(args).join()) ? 'self' : null);
  const kwargs = new Map(named.map(key => [key, evaluate(args[key])] as const));
  if (op.startsWith('builtin.'))
    return python.call(
      python.evaluate(name),
      [...positional, ...named].map(key => evaluate(args[key])),
      noKwargs,
    );
  if (isMethod) {
    const self = evaluate(args.self);
    if (!(self instanceof Tensor)) return memberOf(torch, self, name, args, evaluate);
    if (Object.keys(args).length === 1 && torch.isAttribute(name)) return python.getattr(self, name);
  }
  return torch.call(
    op,
    positional.map(key => evaluate(args[key])),
    kwargs,
  );
}

/** An attribute of what is no tensor, or a call of its method: trees do not tell the two apart. */
function memberOf(
  torch: TorchAdapter,
  self: Value,
  name: string,
  args: Fields,
  evaluate: (node: TreeNode) => Value,
): Value {
  const member = torch.python.getattr(self, name);
  if (!torch.python.isCallable(member)) return member;
  const { self: _, ...rest } = args;
  const { positional, named } = argumentsOf(rest, null);
  const kwargs = new Map(named.map(key => [key, evaluate(rest[key])] as const));
  return torch.python.call(
    member,
    positional.map(key => evaluate(rest[key])),
    kwargs,
  );
}

function indexOf(entries: readonly TreeNode[], evaluate: (node: TreeNode) => Value): Value {
  const items = entries.map(entry => {
    const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Fields;
    if ('slice' in fields) {
      const [start, stop, step] = (fields.slice as readonly TreeNode[]).map(evaluate);
      return new Slice(start, stop, step);
    }
    if ('ellipsis' in fields) return ellipsis;
    if ('newaxis' in fields) return null;
    return evaluate('list' in fields ? fields.list : entry);
  });
  return items.length === 1 ? items[0] : new Tuple(items);
}
