/**
 * `gradc/client`: types for imports of compiled models whose entries are not known. For those that are, see the option
 * `types` of `gradc/plugin`; use one or the other.
 */
declare module '*.model.ts?compiled' {
  export const load: (
    options?: import('gradc/deploy').LoadOptions & { readonly revectorize?: boolean },
  ) => Promise<import('gradc/deploy').Model>;
}
declare module '*.model.ts?compiled&force' {
  export { load } from '*.model.ts?compiled';
}
