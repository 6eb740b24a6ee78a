/** What the comparison asks of an engine, gradc among them. An engine runs in a process of its own. */
import type { Inputs } from '../compiled.js';
import type { PeerWorkload } from './networks.js';

export interface Engine {
  /** Name and version. */
  readonly title: string;
  /** Throws `Unsupported` where the engine cannot do it. */
  prepare(workload: PeerWorkload, inputs: Inputs): Promise<Prepared>;
}

export interface Prepared {
  /** One call as a user would make it: the output, or the loss of a training step, as numbers of JavaScript. */
  readonly run: () => Promise<ArrayLike<number>>;
  readonly dispose: () => void;
}

/** A line of the table instead of a time. */
export class Unsupported extends Error {}

export const engineNames = ['gradc', 'onnxruntime-web', 'onnxruntime-node', 'tfjs-wasm', 'jax-js'] as const;
export type EngineName = (typeof engineNames)[number];

/** Loads an engine for a number of threads; throws `Unsupported` where it has no threads here. */
export type StartEngine = (threads: number) => Promise<Engine>;
