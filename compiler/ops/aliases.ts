/** Other names PyTorch has for ops. */

export { outer as ger } from './contraction.js';
export { nonzero as argwhere } from './indexing.js';
export { vstack as rowStack } from './joining.js';
export {
  abs as absolute,
  acos as arccos,
  acosh as arccosh,
  asin as arcsin,
  asinh as arcsinh,
  atan as arctan,
  atan2 as arctan2,
  atanh as arctanh,
  div as divide,
  div as trueDivide,
  ge as greaterEqual,
  gt as greater,
  le as lessEqual,
  lt as less,
  mul as multiply,
  ne as notEqual,
  neg as negative,
  sub as subtract,
  trunc as fix,
} from './pointwise.js';
export { trapz as trapezoid } from './scan.js';
export { cat as concatenate } from './shape.js';
