/** The dim along which softmax and its kin go when none is given: deprecated in PyTorch, which warns and takes this one. */
const warned = new Set<string>();

export function implicitDim(op: string, ndim: number): number {
  const dim = ndim === 0 || ndim === 1 || ndim === 3 ? 0 : 1;
  if (!warned.has(op)) {
    warned.add(op);
    console.warn(`${op}: no dim was given, dim ${dim} is taken; implicit dims are deprecated, pass dim`);
  }
  return dim;
}
