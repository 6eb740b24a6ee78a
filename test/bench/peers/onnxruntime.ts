/** ONNX Runtime, as WebAssembly and natively. Neither package trains. */
import { type Engine, type StartEngine, Unsupported } from './engine.js';
import { onnxModel } from './onnx.js';
import { importPeer, requirePeer, titleOf } from './packages.js';

/** What is used of the two packages; they have one interface. */
interface Runtime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (type: string, data: unknown, shape: readonly number[]) => unknown;
}
interface Session {
  run(feeds: object): Promise<{ readonly y: { readonly data: Float32Array } }>;
  release(): Promise<void>;
}

export const startOnnxWeb: StartEngine = async threads => {
  const runtime = (await importPeer('onnxruntime-web/dist/ort.node.min.mjs')) as Runtime;
  runtime.env.wasm.numThreads = threads;
  return engine(titleOf('onnxruntime-web'), runtime, { executionProviders: ['wasm'] });
};

export const startOnnxNode: StartEngine = async threads => {
  const runtime = requirePeer('onnxruntime-node') as Runtime;
  const options = { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 };
  return engine(titleOf('onnxruntime-node'), runtime, options);
};

const engine = (title: string, runtime: Runtime, options: object): Engine => ({
  title,
  async prepare(workload, inputs) {
    if (workload.training !== null) throw new Unsupported('does not train');
    const typeOf = (name: string): 'int64' | 'float32' => (inputs[name] instanceof BigInt64Array ? 'int64' : 'float32');
    const model = onnxModel(workload, typeOf);
    const session = await runtime.InferenceSession.create(model, { ...options, graphOptimizationLevel: 'all' });
    const feeds = Object.fromEntries(
      workload.inputs.map(({ name, shape }) => [name, new runtime.Tensor(typeOf(name), inputs[name], shape)]),
    );
    return {
      run: async () => (await session.run(feeds)).y.data,
      dispose: () => void session.release(),
    };
  },
});
