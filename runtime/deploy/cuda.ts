/**
 * Loads the CUDA build of a model (`lib<name>.so`, made from `cuda/<name>.cu`) into Node, through its C interface: the same
 * calls as the WebAssembly build.
 *
 * Needs the package `koffi` beside the program. Without a driver or a GPU it throws a CudaUnavailableError that carries
 * CUDA's own code and name (35 cudaErrorInsufficientDriver, 100 cudaErrorNoDevice), so that a caller can use the other build:
 *
 *   const lenet = await loadCuda('dist/lenet/cuda/liblenet.so', manifest, stateFile).catch(() => load());
 */
import { viewOf } from './element.js';
import { ArtifactError } from './error.js';
import type { EntrySlots, Manifest, TensorSlot } from './manifest.js';
import { type InputValue, type Model, readOutput, writeInputs } from './model.js';
import { decodeState, encodeState, type StateFiles } from './state-file.js';

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

/**
 * A CUDA model and its mirror in host memory, where inputs and outputs have the places the manifest gives them. State lives
 * on the device.
 */
export interface CudaEngine {
  readonly memory: ArrayBuffer;
  /** Send the entry's inputs, run it, fetch its outputs. */
  run(entry: EntrySlots): void;
  /** Send the mirror's state, or fetch it. */
  sendState(): void;
  fetchState(): void;
  /** Free the device memory. Every later call throws E414. */
  dispose(): void;
}

/** A model over a CUDA library; `state` gives copies. Throws CudaUnavailableError where CUDA cannot run, E412 for the state. */
export async function loadCuda(libraryPath: string, manifest: Manifest, state: StateFiles): Promise<Model> {
  const engine = await openCuda(libraryPath, manifest);
  const bytes = new Uint8Array(engine.memory);
  const loadState = (files: StateFiles): void => {
    decodeState(manifest, files, bytes);
    engine.sendState();
  };
  loadState(state);
  const model: Record<string, unknown> = {
    get state() {
      engine.fetchState();
      return Object.fromEntries(manifest.state.map(slot => [slot.name, viewOf(slot, engine.memory).slice()]));
    },
    saveState: () => {
      engine.fetchState();
      return encodeState(manifest, bytes);
    },
    loadState,
    threads: { count: 1 },
    dispose: () => engine.dispose(),
  };
  for (const entry of manifest.entries) {
    model[entry.name] = (inputs: Record<string, InputValue>) => {
      writeInputs(entry, inputs, engine.memory);
      engine.run(entry);
      return Object.fromEntries(entry.outputs.map(slot => [slot.name, readOutput(slot, engine.memory, true)]));
    };
  }
  return model as Model;
}

// ── the C interface ────────────────────────────────────────────────────────────────────────────────────────────────────

type Koffi = typeof import('koffi');
type NativeFunction = (...args: unknown[]) => unknown;

const abiVersion = 1;

/** The C identifier that stands for a name of the model file. */
function identifier(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  return /^[A-Za-z]/.test(legal) ? legal : `v${legal}`;
}

async function importKoffi(): Promise<Koffi> {
  try {
    return (await import('koffi')).default as unknown as Koffi;
  } catch (cause) {
    const message = "the CUDA build is loaded through the package 'koffi', which is not installed: npm install koffi";
    throw new CudaUnavailableError(-1, 'koffi', message, { cause });
  }
}

/** A library and one model of it on the first GPU. Throws CudaUnavailableError where CUDA cannot run. */
export async function openCuda(libraryPath: string, manifest: Manifest): Promise<CudaEngine> {
  const koffi = await importKoffi();
  const library = koffi.load(libraryPath);
  const prefix = identifier(manifest.name);
  const func = (name: string, result: string, ...args: unknown[]): NativeFunction =>
    library.func(`${prefix}_${name}`, result, args as never) as NativeFunction;

  const version = func('abi_version', 'int')();
  if (version !== abiVersion) {
    const problem = `${libraryPath} has the interface version ${version}, this loader reads ${abiVersion}`;
    throw new ArtifactError('E413', `${problem}; build the model again`);
  }
  const lastError = func('last_error', 'const char *', 'void *');
  const errorName = func('error_name', 'const char *', 'int');
  const check = (model: unknown, code: unknown, Kind: typeof CudaError = CudaError): void => {
    if (code === 0) return;
    const [codeName, message] = [errorName(code), lastError(model)];
    throw new Kind(Number(code), String(codeName), `${manifest.name}: CUDA error ${code} (${codeName}): ${message}`);
  };

  const devices = [0];
  check(null, func('probe', 'int', koffi.out(koffi.pointer('int')))(devices), CudaUnavailableError);
  const created: unknown[] = [null];
  check(null, func('create', 'int', 'void *', koffi.out(koffi.pointer('void *')))(null, created));

  const run = func('run', 'int', 'void *', 'int', 'void *', 'void *');
  const loadState = func('load_state', 'int', 'void *', 'void *', 'size_t');
  const saveState = func('save_state', 'int', 'void *', 'void *', 'size_t');
  const destroy = func('destroy', 'int', 'void *');

  const memory = new ArrayBuffer(Math.max(manifest.totalBytes, 1));
  const state = new Uint8Array(memory, 0, manifest.stateBytes);
  const start = koffi.address(memory);
  const addresses = (slots: readonly TensorSlot[]): BigUint64Array =>
    BigUint64Array.from(slots, slot => start + BigInt(slot.offset));
  const tables = manifest.entries.map(({ inputs, outputs }) => [addresses(inputs), addresses(outputs)] as const);

  let model = created[0];
  const live = (): unknown => {
    if (model === null) throw new ArtifactError('E414', `model '${manifest.name}' has been disposed of`);
    return model;
  };
  return {
    memory,
    run(entry) {
      const number = manifest.entries.indexOf(entry);
      check(live(), run(live(), number, ...tables[number]));
    },
    sendState: () => check(live(), loadState(live(), state, state.length)),
    fetchState: () => check(live(), saveState(live(), state, state.length)),
    dispose() {
      // What destroy returns is the error of an earlier call, which has been thrown already.
      if (model !== null) destroy(model);
      model = null;
    },
  };
}
