/** Products of complex vectors and matrices: real products of the parts. */
import * as contraction from '../contraction.js';
import { vecdot } from '../linalg.js';
import { adjoint } from '../view.js';
import { asWritten, bilinear, rule } from './parts.js';

bilinear(contraction.batchedMatmul, 'input', 'other');
asWritten(
  contraction.matmul,
  contraction.mm,
  contraction.bmm,
  contraction.mv,
  contraction.dot,
  contraction.vdot,
  contraction.outer,
  contraction.inner,
  contraction.addmm,
  contraction.addmv,
  contraction.addr,
  contraction.baddbmm,
  contraction.addbmm,
  contraction.linear,
  contraction.bilinear,
  contraction.tensordot,
  contraction.einsum,
  contraction.kron,
  contraction.multiDot,
);
rule(vecdot, ({ x, y, dim }) => x.conj().mul(y).sum(dim));
rule(adjoint, ({ input }) => input.transpose(-2, -1).conj());
