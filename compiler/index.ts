/**
 * `gradc/compiler`: compile functions and models in a program. The command line does the same to files.
 *
 * @module gradc/compiler
 */

export { memoryUses } from './artifact/manifest.js';
export { differentiate } from './autodiff/differentiate.js';
export { type BenchOptions, type BenchResult, benchModel } from './cli/bench-model.js';
export { type BuildOptions, type BuiltArtifact, buildArtifact, gzipSize, writeFiles } from './cli/build-artifact.js';
export type { Target } from './cli/choices.js';
export { type CompareOptions, type Comparison, compareModel, type Difference } from './cli/compare-model.js';
export { drawKernels } from './cli/inspect/kernel-picture.js';
export { drawMemory } from './cli/inspect/memory-picture.js';
export { pictureStyle } from './cli/inspect/svg.js';
export type * from './cli/json.js';
export { loadModelFile, type ModelFile } from './cli/model-file.js';
export { staleness } from './cli/stale.js';
export { escapeXml } from './cli/xml.js';
export { GradcError } from './errors.js';
export { printGraph, printKernel } from './ir/text.js';
export { type Compiled, type CompileOptions, compile, compileDefinition, Executable, trace } from './jit.js';
export type { DebugOptions } from './pass.js';
export { type Compilation, compileToProgram, emitProgram, type Source } from './pipeline.js';
export { type TracedModel, traceModel } from './trace/model.js';
