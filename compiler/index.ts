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
