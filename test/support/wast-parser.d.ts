/** The part of @webassemblyjs/wast-parser, which comes without types, that the tests use. */
declare module '@webassemblyjs/wast-parser' {
  export function parse(source: string): { readonly type: string };
}
