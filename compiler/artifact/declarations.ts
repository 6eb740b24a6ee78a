/**
 * `<name>.d.ts`: the typed entries of an artifact, with shapes and dtypes where an editor shows them.
 */
import { type InterfaceDeclaration, Project, type SourceFile } from 'ts-morph';
import type { DType } from '../ir/dtype.js';
import type { EntryProgram, Program, Slot } from '../ir/program.js';
import { formatShape, numel } from '../ir/shape.js';
import { version } from './version.js';

const arrays: Record<DType, string> = {
  bool: 'Uint8Array',
  uint8: 'Uint8Array',
  int8: 'Int8Array',
  int16: 'Int16Array',
  int32: 'Int32Array',
  int64: 'BigInt64Array',
  float16: 'Uint16Array',
  bfloat16: 'Uint16Array',
  float32: 'Float32Array',
  float64: 'Float64Array',
};

const inputType = ({ dtype, shape }: Slot['type']): string => {
  const element = dtype === 'int64' ? 'number | bigint' : dtype === 'bool' ? 'number | boolean' : 'number';
  const array = `${arrays[dtype]}${dtype === 'int64' ? ' | Int32Array' : ''} | readonly (${element})[]`;
  return shape.length === 0 ? `${array} | ${element}` : array;
};
const outputType = ({ dtype, shape }: Slot['type']): string => (shape.length === 0 ? 'number' : arrays[dtype]);

const note = ({ type }: Slot): string => {
  const elements = type.shape.length === 0 ? 'a scalar' : `${numel(type.shape)} elements, row-major`;
  const bits = type.dtype.endsWith('float16') ? ', as bits' : type.dtype === 'bool' ? ', 0 or 1' : '';
  return `${type.dtype}${formatShape(type.shape)}: ${elements}${bits}`;
};

/** A property name, quoted where it is no identifier. */
const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));
const capitalised = (name: string): string => name[0].toUpperCase() + name.slice(1);

function addTensors(
  file: SourceFile,
  name: string,
  doc: string,
  slots: readonly Slot[],
  type: (type: Slot['type']) => string,
): string {
  file.addInterface({
    name,
    isExported: true,
    docs: [doc],
    properties: slots.map(slot => ({
      name: key(slot.name),
      type: type(slot.type),
      isReadonly: true,
      docs: [note(slot)],
    })),
  });
  return name;
}

function addEntry(file: SourceFile, model: InterfaceDeclaration, entry: EntryProgram): void {
  const prefix = capitalised(entry.name);
  const inputs = addTensors(file, `${prefix}Inputs`, `Inputs of \`${entry.name}\`.`, entry.inputs, inputType);
  const outputs = addTensors(file, `${prefix}Outputs`, `Outputs of \`${entry.name}\`.`, entry.outputs, outputType);
  const list = (slots: readonly Slot[]): string =>
    slots.map(slot => `${slot.name}: ${slot.type.dtype}${formatShape(slot.type.shape)}`).join(', ') || 'nothing';
  model.addMethod({
    name: entry.name,
    parameters: [
      { name: 'inputs', type: inputs },
      { name: 'options', type: 'CallOptions', hasQuestionToken: true },
    ],
    returnType: outputs,
    docs: [`(${list(entry.inputs)}) -> (${list(entry.outputs)})`],
  });
}

export function declarations(program: Program): string {
  const project = new Project({
    useInMemoryFileSystem: true,
    manipulationSettings: { indentationText: '  ' as never },
  });
  const file = project.createSourceFile('model.d.ts');
  file.addInterface({
    name: 'CallOptions',
    isExported: true,
    properties: [
      {
        name: 'copy',
        type: 'boolean',
        isReadonly: true,
        hasQuestionToken: true,
        docs: ['false: outputs are views of linear memory, valid until the next call of any entry. Default true.'],
      },
    ],
  });
  file.addTypeAlias({
    name: 'Source',
    isExported: true,
    type: 'Uint8Array | ArrayBuffer | URL | string',
    docs: ['Bytes, or where to find them: a URL, or in Node a path.'],
  });
  file.addInterface({
    name: 'LoadOptions',
    isExported: true,
    properties: [
      {
        name: 'module',
        type: 'WebAssembly.Module',
        isReadonly: true,
        hasQuestionToken: true,
        docs: ['A compiled module, for contexts that may not compile one.'],
      },
      {
        name: 'wasm',
        type: 'Source',
        isReadonly: true,
        hasQuestionToken: true,
        docs: ['Instead of the module file beside this one.'],
      },
      {
        name: 'state',
        type: 'Source',
        isReadonly: true,
        hasQuestionToken: true,
        docs: ['Instead of the state file beside this one: what `saveState()` gave, or any fitting safetensors file.'],
      },
    ],
  });
  const state = addTensors(
    file,
    'State',
    'The state by name: live views of linear memory, to read and to write.',
    program.state,
    type => arrays[type.dtype],
  );
  const model = file.addInterface({
    name: 'Model',
    isExported: true,
    docs: [`The model \`${program.name}\`. Its entries share one state.`],
  });
  for (const entry of program.entries) addEntry(file, model, entry);
  model.addProperty({ name: 'state', type: state, isReadonly: true });
  model.addMethod({
    name: 'saveState',
    returnType: 'Uint8Array',
    docs: ['The state as the bytes of a safetensors file; loading them resumes bit for bit.'],
  });
  model.addMethod({
    name: 'loadState',
    parameters: [{ name: 'file', type: 'Uint8Array' }],
    returnType: 'void',
    docs: ['Replace the state by that of a safetensors file. Throws and changes nothing where it does not fit.'],
  });
  model.addMethod({ name: 'dispose', returnType: 'void', docs: ['Let go of the memory. Every later call throws.'] });
  file.addFunction({
    name: 'load',
    isExported: true,
    hasDeclareKeyword: true,
    parameters: [{ name: 'options', type: 'LoadOptions', hasQuestionToken: true }],
    returnType: 'Promise<Model>',
    docs: ['Read the files beside this one and make a model ready to call.'],
  });
  file.insertText(0, `// ${program.name}, compiled by gradc ${version}.\n\n`);
  file.formatText({ indentSize: 2 });
  return file.getFullText();
}
