/**
 * `gradc/deploy`: loading compiled models without the compiler. The JavaScript of every artifact contains this code already;
 * import it only to load modules and manifests by hand.
 *
 * @module gradc/deploy
 */
export { CudaError, CudaUnavailableError, loadCuda } from './cuda.js';
export type { TypedArray } from './element.js';
export { ArtifactError } from './error.js';
export { hasFeature } from './features.js';
export { type Artifact, type LoadOptions, load as loadArtifact, type ModuleVariant } from './loader.js';
export type { ElementType, EntrySlots, Feature, Manifest, TensorSlot } from './manifest.js';
export {
  type CallOptions,
  type Entry,
  type InputValue,
  instantiate,
  type Model,
  type ModelState,
  type OutputValue,
} from './model.js';
export { decodeState, encodeState, type StateFiles } from './state-file.js';
export type { ArtifactFile, Fetch, Progress, Source } from './transfer.js';
export { type Refusal, type ValueChecks, withValueChecks } from './value-checks.js';
