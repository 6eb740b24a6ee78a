/**
 * From a finished FunctionCode to a function of a binaryen module: values used once are nested into their users, the
 * others become locals.
 */
import binaryen from 'binaryen';
import { invariant } from '../../compiler/errors.js';
import { type FunctionCode, type Item, isRepeated, type Scope, type Value } from './code.js';
import { BARRIER, BEGIN_TURNS, TAKE_TURN } from './globals.js';
import { type Instruction, RELAXED_MADD, type ValType } from './instruction.js';

const types: Record<ValType, number> = {
  i32: binaryen.i32,
  i64: binaryen.i64,
  f32: binaryen.f32,
  f64: binaryen.f64,
  v128: binaryen.v128,
};
const typeOf = (type: ValType): number => types[type];

type Builder = (...operands: unknown[]) => number;

/** The builder function of an instruction: `f32.add` is `module.f32.add`, `i32.trunc_s_sat.f32` one level deeper. */
function builderOf(module: binaryen.Module, name: string): Builder {
  let at: unknown = module;
  for (const part of name.split('.')) at = (at as Record<string, unknown>)[part];
  invariant(typeof at === 'function', () => `binaryen has no instruction ${name}`);
  return at as Builder;
}

function instruct(module: binaryen.Module, { name, memory, lane, mask }: Instruction, args: readonly number[]): number {
  if (name === RELAXED_MADD) return relaxedMadd(module, args);
  const build = builderOf(module, name);
  if (memory) return build(memory.offset, memory.align, ...args);
  if (lane !== undefined) return build(args[0], lane, ...args.slice(1));
  return mask ? build(...args, mask) : build(...args);
}

/** Relaxed SIMD has no builder of its own in binaryen's interface, only the general one for three operands. */
function relaxedMadd(module: binaryen.Module, [a, b, c]: readonly number[]): number {
  const raw = binaryen as unknown as {
    _BinaryenSIMDTernary(module: number, op: number, a: number, b: number, c: number): number;
  };
  return raw._BinaryenSIMDTernary((module as unknown as { ptr: number }).ptr, binaryen.RelaxedMaddVecF32x4, a, b, c);
}

/** Adds the finished function to a module, and tells how many locals it has. */
export function buildFunction(module: binaryen.Module, name: string, code: FunctionCode, result: Value | null): number {
  return new FunctionBuilder(module, code).build(name, result);
}

class FunctionBuilder {
  private readonly vars: number[] = [];
  /** Locals of the values that are kept. */
  private readonly kept = new Map<Value, number>();
  private labels = 0;

  constructor(
    private readonly module: binaryen.Module,
    private readonly code: FunctionCode,
  ) {
    for (const variable of code.variables.slice(code.params.length)) this.vars.push(typeOf(variable.type));
  }

  build(name: string, result: Value | null): number {
    const body = this.items(this.code.root.items);
    if (result !== null) body.push(this.value(result));
    const params = binaryen.createType(this.code.params.map(typeOf));
    const type = result === null ? binaryen.none : typeOf(result.type);
    this.module.addFunction(name, params, type, this.vars, this.module.block(null, body, type));
    return this.vars.length;
  }

  private items(items: readonly Item[]): number[] {
    return items.flatMap(item => this.item(item));
  }

  private item(item: Item): number[] {
    const { module } = this;
    switch (item.kind) {
      case 'value':
        return isKept(item.value) ? [this.keep(item.value)] : [];
      case 'set':
        return [module.local.set(item.variable.index, this.value(item.value))];
      case 'effect':
        return [
          instruct(
            module,
            item.instruction,
            item.args.map(arg => this.value(arg)),
          ),
        ];
      case 'loop':
        return this.loop(item);
      case 'turns':
        return this.turns(item);
      case 'if':
        return [
          module.if(
            this.value(item.cond),
            this.block(item.then),
            item.otherwise.items.length > 0 ? this.block(item.otherwise) : undefined,
          ),
        ];
      case 'barrier':
        return [module.call(BARRIER, [], binaryen.none)];
      default:
        return item satisfies never;
    }
  }

  private loop({ counter, first, bound, guarded, body, step }: Extract<Item, { kind: 'loop' }>): number[] {
    const { module } = this;
    const label = `loop${this.labels++}`;
    const next = module.i32.add(module.local.get(counter.index, binaryen.i32), module.i32.const(1));
    const again = module.br_if(
      label,
      module.i32.lt_s(module.local.tee(counter.index, next, binaryen.i32), this.value(bound)),
    );
    const loop = module.loop(label, module.block(null, [...this.items(body.items), ...this.items(step.items), again]));
    const start = module.local.set(counter.index, this.value(first));
    if (!guarded) return [start, loop];
    return [start, module.if(module.i32.gt_s(this.value(bound), this.value(first)), loop)];
  }

  private turns({ counter, turns, body }: Extract<Item, { kind: 'turns' }>): number[] {
    const { module } = this;
    const label = `turns${this.labels++}`;
    const all = (): number => module.i32.const(turns);
    const taken = module.local.tee(counter.index, module.call(TAKE_TURN, [all()], binaryen.i32), binaryen.i32);
    const run = module.block(null, [...this.items(body.items), module.br(label)]);
    return [
      module.call(BEGIN_TURNS, [all()], binaryen.none),
      module.loop(label, module.if(module.i32.ge_s(taken, module.i32.const(0)), run)),
    ];
  }

  private block(scope: Scope): number {
    return this.module.block(null, this.items(scope.items));
  }

  private keep(value: Value): number {
    const expression = this.compute(value);
    const local = this.code.variables.length + this.kept.size;
    this.kept.set(value, local);
    this.vars.push(typeOf(value.type));
    return this.module.local.set(local, expression);
  }

  private value(value: Value): number {
    const local = this.kept.get(value);
    return local === undefined ? this.compute(value) : this.module.local.get(local, typeOf(value.type));
  }

  private compute(value: Value): number {
    const { module } = this;
    const { form } = value;
    switch (form.kind) {
      case 'const':
        return builderOf(module, `${value.type}.const`)(form.value);
      case 'variable':
        return module.local.get(form.variable.index, typeOf(form.variable.type));
      case 'global':
        return module.global.get(form.name, typeOf(value.type));
      case 'vector':
        return module.v128.const(form.bytes);
      case 'call':
        return module.call(
          form.name,
          form.args.map(arg => this.value(arg)),
          typeOf(value.type),
        );
      case 'choose':
        return this.choose(value, form);
      case 'op':
        return instruct(
          module,
          form.instruction,
          form.args.map(arg => this.value(arg)),
        );
      default:
        return form satisfies never;
    }
  }

  private choose(value: Value, { cond, yes, no }: Extract<Value['form'], { kind: 'choose' }>): number {
    const type = typeOf(value.type);
    const arm = (scope: Scope, result: Value): number =>
      this.module.block(null, [...this.items(scope.items), this.value(result)], type);
    return this.module.if(this.value(cond), arm(yes.scope, yes.result), arm(no.scope, no.result));
  }
}

/** Values used more than once, or from further inside, are kept in a local; unused ones are not computed at all. */
function isKept(value: Value): boolean {
  return !isRepeated(value) && (value.uses > 1 || (value.uses === 1 && value.usedInside));
}
