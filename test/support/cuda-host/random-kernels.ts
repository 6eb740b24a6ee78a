/** Random kernels in the plain form: pointwise nests, rows with several reductions, sums of products. From a seed. */

import { extentOf } from '../../../backends/cuda/loops.js';
import {
  addIndex,
  alloc,
  type Buffer,
  both,
  call,
  constant,
  type Expr,
  type Iter,
  index,
  iterOf,
  type Kernel,
  load,
  makeIter,
  mulIndex,
  reduce,
  type Stmt,
  select,
  store,
  subIndex,
} from '../../../compiler/ir/kernel.js';
import type { ReduceFn, ScalarFn } from '../../../compiler/ir/scalar.js';
import { kernelOf, nest, param } from './kernels.js';
import type { Bits } from './values.js';

const zero = index(0);

export class RandomKernels {
  private reads: Buffer[] = [];

  constructor(private readonly random: Bits) {}

  next(name: string): Kernel {
    this.reads = [];
    const kinds = [() => this.pointwise(), () => this.rows(), () => this.sumOfProducts()];
    const { body, writes } = this.pick(kinds)();
    return kernelOf(name, this.reads, writes, body);
  }

  private pick<T>(choices: readonly T[]): T {
    return choices[this.random.below(choices.length)];
  }

  private chance(percent: number): boolean {
    return this.random.below(100) < percent;
  }

  private iters(prefix: string, count: number, sizes: readonly number[]): Iter[] {
    return Array.from({ length: count }, (_, d) => makeIter(`${prefix}${d}`, this.pick(sizes)));
  }

  /** A load of a new tensor over some of the counters, in any order; now and then shifted, with a guard at its edges. */
  private read(iters: readonly Iter[]): Expr {
    const own = iters.filter(() => this.chance(85)).sort(() => this.random.below(3) - 1);
    const shifted = own.length > 0 && this.chance(25) ? this.pick(own) : null;
    let guard: Expr | null = null;
    const place = own.reduce<Expr>((sum, iter) => {
      const moved = iter === shifted ? subIndex(iterOf(iter), 1) : iterOf(iter);
      if (iter === shifted) guard = both(call('ge', moved, zero), null);
      return addIndex(mulIndex(sum, iter.extent), moved);
    }, zero);
    const buffer = param(
      `x${this.reads.length}`,
      own.reduce((size, iter) => size * iter.extent, 1),
    );
    this.reads.push(buffer);
    const value = load(buffer, place);
    return guard === null ? value : select(guard, value, constant('float32', 0));
  }

  /** A continuous function of the given values, which uses some more than once. */
  private mix(values: readonly Expr[], depth: number): Expr {
    if (depth === 0) return this.chance(80) ? this.pick(values) : constant('float32', this.random.below(9) / 4 - 1);
    const inner = this.mix(values, depth - 1);
    const binary: ScalarFn = this.pick(['add', 'sub', 'mul', 'max', 'min']);
    if (this.chance(25)) return call(this.pick(['tanh', 'neg', 'abs', 'sin'] as const), inner);
    if (this.chance(15)) {
      const other = this.mix(values, depth - 1);
      return select(
        call('lt', inner, other),
        call('mul', inner, constant('float32', 0.5)),
        call('sub', inner, call('mul', other, constant('float32', 0.5))),
      );
    }
    return call(binary, inner, this.chance(30) ? inner : this.mix(values, depth - 1));
  }

  private output(iters: readonly Iter[], name: string): { buffer: Buffer; place: Expr } {
    const order = this.chance(30) ? [...iters].reverse() : iters;
    const place = order.reduce<Expr>((sum, iter) => addIndex(mulIndex(sum, iter.extent), iterOf(iter)), zero);
    return {
      buffer: param(
        name,
        iters.reduce((size, iter) => size * iter.extent, 1),
      ),
      place,
    };
  }

  private pointwise(): { body: Stmt[]; writes: Buffer[] } {
    const iters = this.iters('i', 1 + this.random.below(3), [1, 3, 4, 8, 33]);
    if (this.chance(20)) iters.splice(1, 2, makeIter('wide', 32768));
    const values = Array.from({ length: 1 + this.random.below(3) }, () => this.read(iters));
    const outputs = Array.from({ length: 1 + this.random.below(2) }, (_, o) => this.output(iters, `out${o}`));
    const stores = outputs.map(({ buffer, place }) => store(buffer, place, this.mix(values, 3)));
    return { body: nest(iters, 'parallel', stores), writes: outputs.map(({ buffer }) => buffer) };
  }

  private rows(): { body: Stmt[]; writes: Buffer[] } {
    const outer = this.iters('r', this.random.below(3), [2, 5, 9, 40]);
    const shape = this.iters('c', 1 + this.random.below(2), [3, 7, 50, 90]);
    const [total, full] = [this.output(outer, 'total'), this.output([...outer, ...shape], 'full')];
    const writesRows = this.chance(60);
    const x = this.read([...outer, ...shape]);
    const known: Expr[] = [];
    const steps: ((rest: Stmt[]) => Stmt[])[] = [];
    for (let i = 1 + this.random.below(3); i > 0; i--) {
      const acc: Buffer = { name: `acc${i}`, dtype: 'float32', size: 1, scope: 'register' };
      const fn: ReduceFn = this.pick(['add', 'max', 'min']);
      const start = fn === 'add' ? this.pick([0, 0, 1.5]) : fn === 'max' ? -Infinity : Infinity;
      const value = call('tanh', this.mix([x, ...known], 2));
      const sum = nest(shape, 'serial', [reduce(acc, zero, fn, value)]);
      steps.push(rest => [alloc(acc, [store(acc, zero, constant('float32', start)), ...sum, ...rest])]);
      known.push(
        fn === 'add' ? call('mul', load(acc, zero), constant('float32', 1 / extentOf(shape))) : load(acc, zero),
      );
    }
    const results: Stmt[] = [store(total.buffer, total.place, this.mix(known, 2))];
    if (writesRows)
      results.push(...nest(shape, 'parallel', [store(full.buffer, full.place, this.mix([x, ...known], 2))]));
    const body = nest(
      outer,
      'parallel',
      steps.reduceRight((rest, step) => step(rest), results),
    );
    return { body, writes: writesRows ? [total.buffer, full.buffer] : [total.buffer] };
  }

  private sumOfProducts(): { body: Stmt[]; writes: Buffer[] } {
    const batch = this.chance(40) ? this.iters('z', 1, [2, 3]) : [];
    const [m, n] = ['m', 'n'].map(name => this.iters(name, this.random.below(3), [2, 6, 17, 32]));
    const k = this.iters('k', 1 + this.random.below(2), [2, 5, 12, 64]);
    const outer = [...m, ...batch, ...n].sort(() => this.random.below(3) - 1);
    const [a, b] = [this.read([...batch, ...m, ...k]), this.read([...k, ...batch, ...n])];
    const acc: Buffer = { name: 'acc', dtype: 'float32', size: 1, scope: 'register' };
    const out = this.output(outer, 'out');
    const extra = this.chance(50) ? [this.read(outer)] : [];
    const product = call('mul', this.chance(30) ? call('tanh', a) : a, b);
    const result = call('add', load(acc, zero), this.mix([load(acc, zero), ...extra], 1));
    const sum = nest(k, 'serial', [reduce(acc, zero, 'add', product)]);
    const body = alloc(acc, [
      store(acc, zero, constant('float32', this.pick([0, 0, 2]))),
      ...sum,
      store(out.buffer, out.place, result),
    ]);
    return { body: nest(outer, 'parallel', [body]), writes: [out.buffer] };
  }
}
