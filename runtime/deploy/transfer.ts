/**
 * `load` as users call it: the loader, told of bytes as they come and stopped on request. What an artifact's files come by
 * is `fetch`; files on a disk are read at once and not counted.
 */
import { type Artifact, type Fetch, type LoadOptions, loadArtifact } from './loader.js';
import type { Model } from './model.js';

export interface TransferOptions extends LoadOptions {
  /** Told of bytes as they are fetched, in all files together. */
  readonly onProgress?: (progress: Progress) => void;
  /** Gives the loading up: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}
export interface Progress {
  readonly loaded: number;
  /** As far as known: of the artifact's own files from the start, of others when the server has answered. */
  readonly total: number;
}

/** Throws what `loadArtifact` throws, and the signal's reason. Where it throws, nothing goes on that it began. */
export async function load(artifact: Artifact, options: TransferOptions = {}): Promise<Model> {
  const { signal, onProgress } = options;
  if (!signal && !onProgress) return loadArtifact(artifact, options);
  const ended = new AbortController();
  const end = (): void => ended.abort();
  signal?.addEventListener('abort', end);
  let model: Model | undefined;
  try {
    signal?.throwIfAborted();
    model = await loadArtifact(artifact, { ...options, fetch: fetchUntil(ended.signal, artifact, options) });
    signal?.throwIfAborted();
    return model;
  } catch (error) {
    end();
    model?.dispose();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

/** Fetches, and tells of every part as it comes, until the signal. */
function fetchUntil(
  signal: AbortSignal,
  { modules, state }: Artifact,
  { fetch = globalThis.fetch, onProgress }: TransferOptions,
): Fetch {
  let loaded = 0;
  let total = 0;
  return async source => {
    const own = [...modules, state].flat().find(file => `${file?.url()}` === `${source}`);
    total += own?.bytes ?? 0;
    const response = await fetch(source, { signal });
    if (!own) total += Number(response.headers.get('content-length'));
    const passing = new TransformStream<Uint8Array, Uint8Array>({
      transform(part, out) {
        loaded += part.length;
        total = Math.max(total, loaded);
        if (!signal.aborted) onProgress?.({ loaded, total });
        out.enqueue(part);
      },
    });
    return new Response(response.body?.pipeThrough(passing), response);
  };
}
