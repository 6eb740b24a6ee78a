/**
 * Loads a compiled model's CUDA library (`lib<name>.so`, built from `cuda/<name>.cu`) into Node, through its C interface.
 *
 * Needs the package `koffi` beside the program. Without a driver or a GPU it throws a CudaUnavailableError that carries
 * CUDA's own code and name (35 cudaErrorInsufficientDriver, 100 cudaErrorNoDevice), so that a caller can use the WebAssembly
 * build instead.
 */

const arrays = {
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export type CudaDType = keyof typeof arrays;
export type CudaArray = InstanceType<(typeof arrays)[CudaDType]>;

/** A tensor of an entry, as the manifest of the artifact describes it. */
export interface CudaTensor {
  readonly name: string;
  readonly dtype: CudaDType;
  readonly shape: readonly number[];
}
export interface CudaDescription {
  /** The model's name, which every symbol of the library starts with. */
  readonly name: string;
  readonly entries: Readonly<
    Record<string, { readonly inputs: readonly CudaTensor[]; readonly outputs: readonly CudaTensor[] }>
  >;
}

export type CudaEntry = (inputs?: Readonly<Record<string, CudaArray>>) => Record<string, CudaArray>;

export interface CudaModel {
  readonly entries: Readonly<Record<string, CudaEntry>>;
  /** The data section of the state file; must be given once before an entry is called, if the model has state. */
  loadState(bytes: Uint8Array): void;
  saveState(): Uint8Array;
  /** Frees the device memory; the model cannot be used afterwards. */
  dispose(): void;
}

/** A CUDA function failed: `code` is the cudaError_t, `codeName` its name. */
export class CudaError extends Error {
  override name = 'CudaError';
  constructor(
    readonly code: number,
    readonly codeName: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** There is no driver, no GPU, or no `koffi`: use another build of the model. */
export class CudaUnavailableError extends CudaError {
  override name = 'CudaUnavailableError';
}

type NativeFunction = (...args: unknown[]) => unknown;

/** Names that the C interface takes for itself; an entry of that name has an underscore at its end. */
const interfaceNames = new Set(
  'abi_version probe create destroy load_state save_state sync last_error error_name input_info output_info workspace_bytes options tensor'.split(
    ' ',
  ),
);
const abiVersion = 1;

/** The C identifier that stands for a name of the model file. */
function identifier(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  return /^[A-Za-z]/.test(legal) ? legal : `v${legal}`;
}

const countOf = (tensor: CudaTensor): number => tensor.shape.reduce((product, size) => product * size, 1);

/** Checks that an input is what the entry takes, naming entry, input, what was expected and what was given. */
function checkedInput(entry: string, tensor: CudaTensor, given: CudaArray | undefined): CudaArray {
  const Expected = arrays[tensor.dtype];
  if (given instanceof Expected && given.length === countOf(tensor)) return given;
  const expected = `a ${Expected.name} of ${countOf(tensor)} elements (${tensor.dtype} of shape [${tensor.shape.join(', ')}])`;
  const what =
    given === undefined
      ? 'nothing'
      : `a ${(given as object).constructor?.name ?? typeof given} of ${given.length} elements`;
  throw new TypeError(`${entry}: input '${tensor.name}' must be ${expected}, got ${what}`);
}

async function koffi(): Promise<typeof import('koffi')> {
  try {
    return (await import('koffi')).default as unknown as typeof import('koffi');
  } catch (error) {
    throw new CudaUnavailableError(
      -1,
      'koffi',
      `the CUDA build is loaded through the package 'koffi', which is not installed: npm install koffi`,
      { cause: error },
    );
  }
}

/** The functions of one library, by their names without the model's prefix. */
class Library {
  private readonly library: import('koffi').LibraryHandle;

  constructor(
    private readonly native: typeof import('koffi'),
    path: string,
    private readonly prefix: string,
  ) {
    this.library = native.load(path);
  }

  func(name: string, result: string, args: readonly unknown[]): NativeFunction {
    return this.library.func(`${this.prefix}_${name}`, result, args as never) as NativeFunction;
  }
  out(type: string): unknown {
    return this.native.out(this.native.pointer(type));
  }
}

/** Loads a library and its state's place; throws CudaUnavailableError where CUDA cannot run. */
export async function loadCuda(
  libraryPath: string,
  description: CudaDescription,
  stateBytes: number,
): Promise<CudaModel> {
  const native = await koffi();
  const library = new Library(native, libraryPath, identifier(description.name));
  const version = library.func('abi_version', 'int', [])() as number;
  if (version !== abiVersion)
    throw new Error(
      `${libraryPath}: interface version ${version}, this loader reads ${abiVersion}; build the model again`,
    );

  const lastError = library.func('last_error', 'const char *', ['void *']);
  const errorName = library.func('error_name', 'const char *', ['int']);
  const check = (model: unknown, code: unknown, Kind: typeof CudaError = CudaError): void => {
    if (code === 0) return;
    const codeName = errorName(code) as string;
    throw new Kind(
      code as number,
      codeName,
      `${description.name}: CUDA error ${code} (${codeName}): ${lastError(model)}`,
    );
  };

  check(null, library.func('probe', 'int', [library.out('int')])([0]), CudaUnavailableError);
  const created: unknown[] = [null];
  check(null, library.func('create', 'int', ['void *', library.out('void *')])(null, created));
  const model = created[0];

  const loadState = library.func('load_state', 'int', ['void *', 'void *', 'size_t']);
  const saveState = library.func('save_state', 'int', ['void *', 'void *', 'size_t']);
  const destroy = library.func('destroy', 'int', ['void *']);

  const entryOf = (name: string, { inputs, outputs }: CudaDescription['entries'][string]): CudaEntry => {
    const symbol = identifier(name);
    const run = library.func(
      interfaceNames.has(symbol) ? `${symbol}_` : symbol,
      'int',
      Array.from({ length: 1 + inputs.length + outputs.length }, () => 'void *'),
    );
    return (given = {}) => {
      const sources = inputs.map(tensor => checkedInput(name, tensor, given[tensor.name]));
      const results = outputs.map(tensor => new arrays[tensor.dtype](countOf(tensor)));
      check(model, run(model, ...sources, ...results));
      return Object.fromEntries(outputs.map((tensor, i) => [tensor.name, results[i]]));
    };
  };

  return {
    entries: Object.fromEntries(
      Object.entries(description.entries).map(([name, entry]) => [name, entryOf(name, entry)]),
    ),
    loadState(bytes) {
      if (bytes.length !== stateBytes)
        throw new RangeError(`${description.name}: the state has ${stateBytes} bytes, got ${bytes.length}`);
      check(model, loadState(model, bytes, bytes.length));
    },
    saveState() {
      const bytes = new Uint8Array(stateBytes);
      check(model, saveState(model, bytes, bytes.length));
      return bytes;
    },
    // What it returns is the error of an earlier call, which has been thrown already.
    dispose: () => void destroy(model),
  };
}
