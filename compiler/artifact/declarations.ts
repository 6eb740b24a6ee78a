/**
 * `<name>.d.ts`: the typed entries of an artifact, with shapes and dtypes where an editor shows them.
 */
import { tableOfReals } from '../ir/dtype.js';
import type { EntryProgram, Program, Slot } from '../ir/program.js';
import { formatShape, numel } from '../ir/shape.js';
import { version } from './version.js';

const arrays = tableOfReals({
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
});

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

/** A comment above what it speaks of; no name can end it early. */
const doc = (text: string): string => `/** ${text.replaceAll('*/', '*\\/')} */`;

/** A property name, quoted where it is no identifier. */
const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));
const capitalised = (name: string): string => name[0].toUpperCase() + name.slice(1);

function interfaceText(name: string, about: string, members: readonly string[]): string {
  const indented = members.flatMap(member => member.split('\n')).map(line => `  ${line}\n`);
  return `${doc(about)}\nexport interface ${name} {\n${indented.join('')}}\n`;
}

function tensorsText(
  name: string,
  about: string,
  slots: readonly Slot[],
  typeOf: (type: Slot['type']) => string,
): string {
  const property = (slot: Slot): string => `${doc(note(slot))}\nreadonly ${key(slot.name)}: ${typeOf(slot.type)};`;
  return interfaceText(name, about, slots.map(property));
}

function methodText({ name, inputs, outputs }: EntryProgram): string {
  const list = (slots: readonly Slot[]): string =>
    slots.map(slot => `${slot.name}: ${slot.type.dtype}${formatShape(slot.type.shape)}`).join(', ') || 'nothing';
  const prefix = capitalised(name);
  return `${doc(`(${list(inputs)}) -> (${list(outputs)})`)}
${name}(${inputs.length === 0 ? 'inputs?' : 'inputs'}: ${prefix}Inputs, options?: CallOptions): ${prefix}Outputs;`;
}

const entryTexts = ({ name, inputs, outputs }: EntryProgram): string[] => [
  tensorsText(`${capitalised(name)}Inputs`, `Inputs of \`${name}\`.`, inputs, inputType),
  tensorsText(`${capitalised(name)}Outputs`, `Outputs of \`${name}\`.`, outputs, outputType),
];

/** What an artifact's declarations begin with. */
const optionsText = (members: string): string => `export interface CallOptions {
  /** false: outputs are views of linear memory, valid until the next call of any entry. Default true. */
  readonly copy?: boolean;
}

/** Bytes, or where to find them: a URL, or in Node a path. */
export type Source = Uint8Array | ArrayBuffer | URL | string;

export interface LoadOptions {
  /** A compiled module, for contexts that may not compile one. */
  readonly module?: WebAssembly.Module;
  /** Instead of the module file beside this one. */
  readonly wasm?: Source;
  /** Instead of the state file beside this one: what \`saveState()\` gave, or any fitting safetensors files. */
  readonly state?: Source | readonly Source[];
  /**
   * How many threads run the entries, the caller's among them; 1 if absent. Where they cannot be had it is one, and
   * \`threads.reason\` of the model says why.
   */
  readonly threads?: number;
  /** Throw E415 where the threads cannot be had. */
  readonly requireThreads?: boolean;
  /** Told of bytes as they are fetched, in all files together; files on a disk are read at once and not counted. */
  readonly onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
  /** Gives the loading up: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Instead of \`fetch\`: to send headers, say, or to keep what comes. */
  readonly fetch?: (source: URL | string, init?: { readonly signal?: AbortSignal }) => Promise<Response>;
${members}}
`;

const revectorizeOption = `  /**
   * Take the modules for V8's revectorizer. Set its flag before: \`node --experimental-wasm-revectorize\`, or
   * \`v8.setFlagsFromString('--experimental-wasm-revectorize')\`. Without it they give the same values, slowly.
   */
  readonly revectorize?: boolean;
`;

/** What every model has beside its entries. */
const commonMembers = `readonly state: State;
/** The state as the bytes of a safetensors file; loading them resumes bit for bit. */
saveState(): Uint8Array;
/** Replace the state by that of a safetensors file, or several. Throws and changes nothing where it does not fit. */
loadState(files: Uint8Array | readonly Uint8Array[]): void;
/** How many threads run the entries, and why it is one where more were asked for. */
readonly threads: { readonly count: number; readonly reason?: string };
/** What it is an instance of: \`load({ module })\` makes further ones without compiling. */
readonly module?: WebAssembly.Module;
/** Let go of the memory, and of all threads. Every later call throws. */
dispose(): void;`;

const load = `/** Read the files beside this one and make a model ready to call. */
export declare function load(options?: LoadOptions): Promise<Model>;
`;

/** `revectorize`: whether there are modules for it. */
export function declarations({ name, state, entries }: Program, revectorize: boolean): string {
  const about = 'The state by name: live views of linear memory, to read and to write.';
  return [
    `// ${name}, compiled by gradc ${version}.\n`,
    optionsText(revectorize ? revectorizeOption : ''),
    tensorsText('State', about, state, type => arrays[type.dtype]),
    interfaceText('Model', `The model \`${name}\`. Its entries share one state.`, [
      ...entries.map(methodText),
      commonMembers,
    ]),
    ...entries.flatMap(entryTexts),
    load,
  ].join('\n');
}
