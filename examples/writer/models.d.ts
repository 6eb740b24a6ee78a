/** Types of the compiled models, written by gradc. */

declare module '*/writer.model.ts?compiled' {
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
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "net.tok.weight": Float32Array;
    /** float32[64, 96]: 6144 elements, row-major */
    readonly "net.pos.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.0.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.0.ln1.bias": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "net.blocks.0.qkv.weight": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "net.blocks.0.qkv.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "net.blocks.0.proj.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.0.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.0.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.0.ln2.bias": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "net.blocks.0.fc1.weight": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "net.blocks.0.fc1.bias": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "net.blocks.0.fc2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.0.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.1.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.1.ln1.bias": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "net.blocks.1.qkv.weight": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "net.blocks.1.qkv.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "net.blocks.1.proj.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.1.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.1.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.1.ln2.bias": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "net.blocks.1.fc1.weight": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "net.blocks.1.fc1.bias": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "net.blocks.1.fc2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.1.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.2.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.2.ln1.bias": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "net.blocks.2.qkv.weight": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "net.blocks.2.qkv.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "net.blocks.2.proj.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.2.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.2.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.2.ln2.bias": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "net.blocks.2.fc1.weight": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "net.blocks.2.fc1.bias": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "net.blocks.2.fc2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.blocks.2.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.lnf.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "net.lnf.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "net.head.weight": Float32Array;
    /** float64[]: a scalar */
    readonly "opt.lr": Float64Array;
    /** float64[]: a scalar */
    readonly "opt.step": Float64Array;
    /** float64[]: a scalar */
    readonly "opt.beta1_power": Float64Array;
    /** float64[]: a scalar */
    readonly "opt.beta2_power": Float64Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg.net.tok.weight": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg_sq.net.tok.weight": Float32Array;
    /** float32[64, 96]: 6144 elements, row-major */
    readonly "opt.exp_avg.net.pos.weight": Float32Array;
    /** float32[64, 96]: 6144 elements, row-major */
    readonly "opt.exp_avg_sq.net.pos.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.ln1.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.ln1.bias": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.qkv.weight": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.qkv.weight": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.qkv.bias": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.qkv.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.proj.weight": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.proj.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.ln2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.ln2.bias": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.fc1.weight": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.fc1.weight": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.fc1.bias": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.fc1.bias": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.fc2.weight": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.fc2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.0.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.0.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.ln1.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.ln1.bias": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.qkv.weight": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.qkv.weight": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.qkv.bias": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.qkv.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.proj.weight": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.proj.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.ln2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.ln2.bias": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.fc1.weight": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.fc1.weight": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.fc1.bias": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.fc1.bias": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.fc2.weight": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.fc2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.1.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.1.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.ln1.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.ln1.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.ln1.bias": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.qkv.weight": Float32Array;
    /** float32[288, 96]: 27648 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.qkv.weight": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.qkv.bias": Float32Array;
    /** float32[288]: 288 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.qkv.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.proj.weight": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.proj.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.proj.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.ln2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.ln2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.ln2.bias": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.fc1.weight": Float32Array;
    /** float32[384, 96]: 36864 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.fc1.weight": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.fc1.bias": Float32Array;
    /** float32[384]: 384 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.fc1.bias": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.fc2.weight": Float32Array;
    /** float32[96, 384]: 36864 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.fc2.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.blocks.2.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.blocks.2.fc2.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.lnf.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.lnf.weight": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg.net.lnf.bias": Float32Array;
    /** float32[96]: 96 elements, row-major */
    readonly "opt.exp_avg_sq.net.lnf.bias": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg.net.head.weight": Float32Array;
    /** float32[96, 96]: 9216 elements, row-major */
    readonly "opt.exp_avg_sq.net.head.weight": Float32Array;
  }

  /** The model `writer`. Its entries share one state. */
  export interface Model {
    /** (x: int64[1, 64]) -> (logits: float32[64, 96]) */
    predict(inputs: PredictInputs, options?: CallOptions): PredictOutputs;
    /** (x: int64[16, 64], y: int64[16, 64]) -> (loss: float32[]) */
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
    /** int64[1, 64]: 64 elements, row-major */
    readonly x: BigInt64Array | Int32Array | readonly (number | bigint)[];
  }

  /** Outputs of `predict`. */
  export interface PredictOutputs {
    /** float32[64, 96]: 6144 elements, row-major */
    readonly logits: Float32Array;
  }

  /** Inputs of `trainStep`. */
  export interface TrainStepInputs {
    /** int64[16, 64]: 1024 elements, row-major */
    readonly x: BigInt64Array | Int32Array | readonly (number | bigint)[];
    /** int64[16, 64]: 1024 elements, row-major */
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
