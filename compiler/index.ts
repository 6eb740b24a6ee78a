/**
 * `gradc/compiler`: compile functions and models in a program. The command line does the same to files.
 */
export { differentiate } from './autodiff/differentiate.js';
export { GradcError } from './errors.js';
export { printGraph, printKernel } from './ir/text.js';
export { type Compiled, compile, compileDefinition, type CompileOptions, Executable, trace } from './jit.js';
export type { DebugOptions } from './pass.js';
export { type Compilation, compileToProgram, emitProgram, type Source } from './pipeline.js';
export { traceModel, type TracedModel } from './trace/model.js';
export { memoryUses } from './artifact/manifest.js';
export { buildArtifact, type BuildOptions, type BuiltArtifact, gzipSize, type Target, writeFiles } from './cli/build-artifact.js';
export { type CompareOptions, type Comparison, compareModel, type Difference } from './cli/compare-model.js';
export { loadModelFile, type ModelFile } from './cli/model-file.js';
export { drawKernels, drawMemory, escapeXml, pictureStyle } from './cli/picture.js';
