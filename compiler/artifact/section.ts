/** Custom sections of WebAssembly modules (webassembly.github.io/spec, "Custom Section"): bytes that no engine runs. */

/** A module with one more section. */
export function withSection(module: Uint8Array, name: string, content: string): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  const body = [...leb128(encoded.length), ...encoded, ...new TextEncoder().encode(content)];
  const section = [0, ...leb128(body.length), ...body];
  const out = new Uint8Array(module.length + section.length);
  out.set(module);
  out.set(section, module.length);
  return out;
}

function leb128(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb128(value >>> 7)];
}
