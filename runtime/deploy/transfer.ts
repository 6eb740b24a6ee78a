/**
 * Reading the files of an artifact: through `fs` where the URL is a file and the runtime has Node's modules, by `fetch`
 * elsewhere, told of bytes as they come. Files on a disk are read at once and not counted.
 */
import { ArtifactError } from './error.js';

/** Bytes, or where to find them: a URL, or in Node a path. */
export type Source = Uint8Array | ArrayBuffer | URL | string;

/** A file of the artifact: its URL is computed when it is asked for. */
export interface ArtifactFile {
  readonly url: () => URL;
  /** In base64. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface TransferOptions {
  /** Instead of `fetch`: to send headers, say, or to keep what comes. */
  readonly fetch?: Fetch;
  /** Told of bytes as they are fetched, in all files together. */
  readonly onProgress?: (progress: Progress) => void;
  /** Gives the loading up: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}
export type Fetch = (source: URL | string, init?: { readonly signal?: AbortSignal }) => Promise<Response>;
export interface Progress {
  readonly loaded: number;
  /** As far as known: of the artifact's own files from the start, of others when the server has answered. */
  readonly total: number;
}

/** Throws E413 where the bytes cannot be had, or are not those that the artifact was built with. */
export type Read = (source: Source | ArtifactFile) => Promise<Uint8Array>;

export function readerOf({ fetch = globalThis.fetch, onProgress, signal }: TransferOptions): Read {
  let loaded = 0;
  let total = 0;
  const contentOf = async (place: URL | string, bytes: number): Promise<ArrayBuffer | Uint8Array> => {
    const fs = globalThis.process?.getBuiltinModule?.('node:fs');
    if (fs && isFile(place)) return fs.readFileSync(place);
    total += bytes;
    const { ok, status, statusText, headers, body } = await fetch(place, { signal });
    if (!ok) throw new Error(`${status} ${statusText}`);
    if (!bytes) total += Number(headers.get('content-length'));
    const counted = new TransformStream<Uint8Array, Uint8Array>({
      transform(part, out) {
        loaded += part.length;
        total = Math.max(total, loaded);
        if (!signal?.aborted) onProgress?.({ loaded, total });
        out.enqueue(part);
      },
    });
    return new Response(body?.pipeThrough(counted)).arrayBuffer();
  };
  return async source => {
    const { url, sha256, bytes = 0 } = source as Partial<ArtifactFile>;
    const place = url?.() ?? (source as Source);
    if (isBytes(place)) return 'length' in place ? place : new Uint8Array(place);
    const content = new Uint8Array(await contentOf(place, bytes).catch(unless(`cannot read ${place}`)));
    const digest = sha256 && (await globalThis.crypto?.subtle?.digest('SHA-256', content as BufferSource));
    const found = digest && btoa(String.fromCharCode(...new Uint8Array(digest)));
    if (found && found !== sha256)
      throw new ArtifactError(
        'E413',
        `${place} is not the file that was built: its sha256 is ${found}, expected ${sha256}`,
      );
    return content;
  };
}

/** What is told of a failure: E413 and what could not be done. */
export const unless =
  (problem: string) =>
  ({ message }: Error): never => {
    throw new ArtifactError('E413', `${problem}: ${message}`);
  };

const isBytes = (source: Source): source is Uint8Array | ArrayBuffer => 'byteLength' in Object(source);
/** A path is one too; a letter before a colon is a drive. */
const isFile = (place: URL | string): boolean => !/^(?!file:)\w\w+:/.test(`${place}`);
