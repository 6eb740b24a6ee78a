/** Types of the compiled models, written by gradc. */

declare module '*/lenet.model.ts?compiled' {
  export interface CallOptions {
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
    /** Instead of the state file beside this one: what `saveState()` gave, or any fitting safetensors files. */
    readonly state?: Source | readonly Source[];
    /**
     * How many threads run the entries, the caller's among them; 1 if absent. Where they cannot be had it is one, and
     * `threads.reason` of the model says why.
     */
    readonly threads?: number;
    /** Throw E415 where the threads cannot be had. */
    readonly requireThreads?: boolean;
    /** Told of bytes as they are fetched, in all files together; files on a disk are read at once and not counted. */
    readonly onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
    /** Gives the loading up: it rejects with the signal's reason. */
    readonly signal?: AbortSignal;
    /** Instead of `fetch`: to send headers, say, or to keep what comes. */
    readonly fetch?: (source: URL | string, init?: { readonly signal?: AbortSignal }) => Promise<Response>;
  }

  /** The state by name: live views of linear memory, to read and to write. */
  export interface State {
    /** float32[6, 1, 5, 5]: 150 elements, row-major */
    readonly "net.conv1.weight": Float32Array;
    /** float32[6]: 6 elements, row-major */
    readonly "net.conv1.bias": Float32Array;
    /** float32[16, 6, 5, 5]: 2400 elements, row-major */
    readonly "net.conv2.weight": Float32Array;
    /** float32[16]: 16 elements, row-major */
    readonly "net.conv2.bias": Float32Array;
    /** float32[120, 400]: 48000 elements, row-major */
    readonly "net.fc1.weight": Float32Array;
    /** float32[120]: 120 elements, row-major */
    readonly "net.fc1.bias": Float32Array;
    /** float32[84, 120]: 10080 elements, row-major */
    readonly "net.fc2.weight": Float32Array;
    /** float32[84]: 84 elements, row-major */
    readonly "net.fc2.bias": Float32Array;
    /** float32[10, 84]: 840 elements, row-major */
    readonly "net.fc3.weight": Float32Array;
    /** float32[10]: 10 elements, row-major */
    readonly "net.fc3.bias": Float32Array;
    /** float64[]: a scalar */
    readonly "opt.lr": Float64Array;
    /** float32[6, 1, 5, 5]: 150 elements, row-major */
    readonly "opt.momentum_buffer.net.conv1.weight": Float32Array;
    /** float32[6]: 6 elements, row-major */
    readonly "opt.momentum_buffer.net.conv1.bias": Float32Array;
    /** float32[16, 6, 5, 5]: 2400 elements, row-major */
    readonly "opt.momentum_buffer.net.conv2.weight": Float32Array;
    /** float32[16]: 16 elements, row-major */
    readonly "opt.momentum_buffer.net.conv2.bias": Float32Array;
    /** float32[120, 400]: 48000 elements, row-major */
    readonly "opt.momentum_buffer.net.fc1.weight": Float32Array;
    /** float32[120]: 120 elements, row-major */
    readonly "opt.momentum_buffer.net.fc1.bias": Float32Array;
    /** float32[84, 120]: 10080 elements, row-major */
    readonly "opt.momentum_buffer.net.fc2.weight": Float32Array;
    /** float32[84]: 84 elements, row-major */
    readonly "opt.momentum_buffer.net.fc2.bias": Float32Array;
    /** float32[10, 84]: 840 elements, row-major */
    readonly "opt.momentum_buffer.net.fc3.weight": Float32Array;
    /** float32[10]: 10 elements, row-major */
    readonly "opt.momentum_buffer.net.fc3.bias": Float32Array;
  }

  /** The model `lenet`. Its entries share one state. */
  export interface Model {
    /** (x: float32[1, 1, 32, 32]) -> (logits: float32[1, 10]) */
    predict(inputs: PredictInputs, options?: CallOptions): PredictOutputs;
    /** (x: float32[64, 1, 32, 32], y: int64[64]) -> (loss: float32[]) */
    trainStep(inputs: TrainStepInputs, options?: CallOptions): TrainStepOutputs;
    readonly state: State;
    /** The state as the bytes of a safetensors file; loading them resumes bit for bit. */
    saveState(): Uint8Array;
    /** Replace the state by that of a safetensors file, or several. Throws and changes nothing where it does not fit. */
    loadState(files: Uint8Array | readonly Uint8Array[]): void;
    /** How many threads run the entries, and why it is one where more were asked for. */
    readonly threads: { readonly count: number; readonly reason?: string };
    /** What it is an instance of: `load({ module })` makes further ones without compiling. */
    readonly module?: WebAssembly.Module;
    /** Let go of the memory, and of all threads. Every later call throws. */
    dispose(): void;
  }

  /** Inputs of `predict`. */
  export interface PredictInputs {
    /** float32[1, 1, 32, 32]: 1024 elements, row-major */
    readonly x: Float32Array | readonly (number)[];
  }

  /** Outputs of `predict`. */
  export interface PredictOutputs {
    /** float32[1, 10]: 10 elements, row-major */
    readonly logits: Float32Array;
  }

  /** Inputs of `trainStep`. */
  export interface TrainStepInputs {
    /** float32[64, 1, 32, 32]: 65536 elements, row-major */
    readonly x: Float32Array | readonly (number)[];
    /** int64[64]: 64 elements, row-major */
    readonly y: BigInt64Array | Int32Array | readonly (number | bigint)[];
  }

  /** Outputs of `trainStep`. */
  export interface TrainStepOutputs {
    /** float32[]: a scalar */
    readonly loss: number;
  }

  /** Read the files beside this one and make a model ready to call. */
  export function load(options?: LoadOptions): Promise<Model>;
}
