/**
 * Makes CUDA C into C++ that g++ compiles with the headers beside this file: launches become calls, shared arrays are
 * poisoned at the start of each block. Knows only what generated code contains, and says so where it meets anything else.
 */

/** The index just past the parenthesis that closes the one at `open`. */
function closing(source: string, open: number): number {
  let depth = 0;
  for (let i = open; i < source.length; i++) {
    if (source[i] === '(') depth++;
    else if (source[i] === ')' && --depth === 0) return i + 1;
  }
  throw new Error('unbalanced parentheses in CUDA source');
}

/**
 * `kernel<<<grid, block, shared, stream>>>(args);` becomes
 * `cuda_host::launch(grid, block, shared, stream, "kernel", [=] { kernel(args); });`
 */
function rewriteLaunches(source: string): string {
  const launch = /(\w+)<<<(.+?)>>>\(/g;
  let out = '';
  let done = 0;
  for (let match = launch.exec(source); match !== null; match = launch.exec(source)) {
    const [text, kernel, configuration] = match;
    const open = match.index + text.length - 1;
    const end = closing(source, open);
    out += `${source.slice(done, match.index)}cuda_host::launch(${configuration}, "${kernel}", [=] { ${kernel}${source.slice(open, end)}; })`;
    done = launch.lastIndex = end;
  }
  return out + source.slice(done);
}

/** `__shared__ float tile[64];` is followed by a call that fills it with NaNs. */
const rewriteShared = (source: string): string =>
  source.replace(
    /(__shared__ [^;]*?(\w+)\[[^;]*\];)/g,
    (_, declaration, name) => `${declaration} cuda_host::freshShared(${name}, sizeof ${name});`,
  );

export const rewriteForHost = (source: string): string => rewriteShared(rewriteLaunches(source));
