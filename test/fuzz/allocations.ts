/**
 * Counts the memory that typed arrays take. The constructors are replaced by proxies, so whatever is to be watched must be
 * imported after this file.
 */
const names = [
  'Uint8Array',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'BigInt64Array',
  'Float32Array',
  'Float64Array',
] as const;

let counted = 0;
const isView = (source: unknown): boolean => source instanceof ArrayBuffer;

for (const name of names) {
  globalThis[name] = new Proxy(globalThis[name], {
    construct(target, args, newTarget) {
      const array = Reflect.construct(target, args, newTarget) as Uint8Array;
      if (!isView(args[0])) counted += array.byteLength;
      return array;
    },
  }) as never;
}

const shared = Object.getPrototypeOf(Uint8Array.prototype) as { slice: Uint8Array['slice'] };
const { slice } = shared;
shared.slice = function (this: Uint8Array, ...range) {
  const copy = slice.apply(this, range);
  counted += copy.byteLength;
  return copy;
};

/** Bytes allocated since the last call. */
export function takeCount(): number {
  const count = counted;
  counted = 0;
  return count;
}
