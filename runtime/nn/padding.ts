/** Borders: [before, after] of each dim, from the last dim to the first. */
import type { Tensor } from '../../compiler/ops/tensor.js';
import * as F from '../functional.js';
import type { Size } from './convolution.js';
import { positional, settings, UnaryLayer } from './layer.js';

abstract class PadNd extends UnaryLayer {
  readonly padding: readonly number[];
  constructor(rank: number, padding: Size) {
    super();
    this.padding = typeof padding === 'number' ? new Array<number>(2 * rank).fill(padding) : padding;
  }
  override extraRepr(): string {
    return positional([this.padding]);
  }
}

abstract class ConstantPadNd extends PadNd {
  constructor(
    rank: number,
    padding: Size,
    readonly value: number,
  ) {
    super(rank, padding);
  }
  override forward(input: Tensor): Tensor {
    return F.pad(input, this.padding, 'constant', this.value);
  }
  override extraRepr(): string {
    return settings({ padding: this.padding, value: this.value });
  }
}
export class ConstantPad1d extends ConstantPadNd {
  constructor(padding: Size, value: number) {
    super(1, padding, value);
  }
}
export class ConstantPad2d extends ConstantPadNd {
  constructor(padding: Size, value: number) {
    super(2, padding, value);
  }
}
export class ConstantPad3d extends ConstantPadNd {
  constructor(padding: Size, value: number) {
    super(3, padding, value);
  }
}
export class ZeroPad2d extends ConstantPadNd {
  constructor(padding: Size) {
    super(2, padding, 0);
  }
  override extraRepr(): string {
    return positional([this.padding]);
  }
}

abstract class ReflectionPadNd extends PadNd {
  override forward(input: Tensor): Tensor {
    return F.pad(input, this.padding, 'reflect');
  }
}
export class ReflectionPad1d extends ReflectionPadNd {
  constructor(padding: Size) {
    super(1, padding);
  }
}
export class ReflectionPad2d extends ReflectionPadNd {
  constructor(padding: Size) {
    super(2, padding);
  }
}
export class ReflectionPad3d extends ReflectionPadNd {
  constructor(padding: Size) {
    super(3, padding);
  }
}

abstract class ReplicationPadNd extends PadNd {
  override forward(input: Tensor): Tensor {
    return F.pad(input, this.padding, 'replicate');
  }
}
export class ReplicationPad1d extends ReplicationPadNd {
  constructor(padding: Size) {
    super(1, padding);
  }
}
export class ReplicationPad2d extends ReplicationPadNd {
  constructor(padding: Size) {
    super(2, padding);
  }
}
export class ReplicationPad3d extends ReplicationPadNd {
  constructor(padding: Size) {
    super(3, padding);
  }
}
