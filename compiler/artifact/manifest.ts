/**
 * The manifest of an artifact: what the loader needs, and what people and tools want to know about how it was made.
 */
import { createHash } from 'node:crypto';
import { describeTensor, stateHead } from '../../runtime/deploy/describe.js';
import type { EntrySlots, Feature, Manifest, TensorSlot } from '../../runtime/deploy/manifest.js';
import type { ValueChecks } from '../../runtime/deploy/value-checks.js';
import { asReal, bytesOf } from '../ir/dtype.js';
import type { KernelParam } from '../ir/kernel.js';
import { blocksOf, type EntryProgram, isLaunch, isLoop, type Program, type Slot, type Step } from '../ir/program.js';
import { version } from './version.js';

export interface FileRecord {
  readonly bytes: number;
  readonly sha256: string;
}
export interface VariantRecord {
  readonly file: string;
  /** What the engine must be able to do; `revectorize`, which cannot be asked of it, is the caller's choice. */
  readonly requires: readonly (Feature | 'revectorize')[];
}

/** `<name>.manifest.json`. */
export interface ArtifactManifest extends Manifest {
  readonly schemaVersion: 1;
  readonly gradc: string;
  /** Modules of the same program, best first. */
  readonly variants: readonly VariantRecord[];
  /** The files that hold the state, one unless it is built in shards. */
  readonly stateFiles: readonly string[];
  /** Every other file of the artifact. */
  readonly files: Readonly<Record<string, FileRecord>>;
  /** Every source file that took part, by its path from the model file. */
  readonly sources: Readonly<Record<string, FileRecord>>;
  /** Inputs, outputs and temporaries of each entry: their places over its kernels. */
  readonly memory: Readonly<Record<string, readonly MemoryUse[]>>;
  /** What calls throw by the results `check.0`, `check.1` and so on; absent where the model is built without. */
  readonly checks?: ValueChecks;
}

/** A buffer of an entry that lives from its first kernel to its last, both included. */
export interface MemoryUse {
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

const tensorSlot = ({ name, type, offset }: Slot): TensorSlot =>
  describeTensor(name, asReal(type.dtype), type.shape, offset);
const entrySlots = ({ name, inputs, outputs }: EntryProgram): EntrySlots => ({
  name,
  inputs: inputs.map(tensorSlot),
  outputs: outputs.map(tensorSlot),
});

/** The part that the loader needs. */
export function loaderManifest({ name, state, stateBytes, totalBytes, entries }: Program): Manifest {
  const slots = state.map(tensorSlot);
  const head = stateHead(slots, stateBytes);
  return { name, state: slots, stateBytes, stateHead: head, totalBytes, entries: entries.map(entrySlots) };
}

export function fileRecord(content: Uint8Array | string): FileRecord {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

export function artifactManifest(
  program: Program,
  variants: readonly VariantRecord[],
  stateFiles: readonly string[],
  files: ReadonlyMap<string, Uint8Array | string>,
  sources: ReadonlyMap<string, Uint8Array>,
  checks?: ValueChecks,
): ArtifactManifest {
  const records = (contents: ReadonlyMap<string, Uint8Array | string>): Record<string, FileRecord> =>
    Object.fromEntries([...contents].map(([path, content]) => [path, fileRecord(content)]));
  return {
    schemaVersion: 1,
    gradc: version,
    ...loaderManifest(program),
    variants,
    stateFiles,
    files: records(files),
    sources: records(sources),
    memory: Object.fromEntries(program.entries.map(entry => [entry.name, memoryUses(program, entry)])),
    checks,
  };
}

/** Indented JSON with lists of numbers and plain records on one line. */
export function manifestText(manifest: ArtifactManifest): string {
  const lists = JSON.stringify(manifest, null, 2).replace(/\[\n[\d\s,]+\]/g, list => JSON.stringify(JSON.parse(list)));
  return `${lists.replace(/\{[^{}]*\}/g, record => record.replace(/\s*\n\s*/g, ' '))}\n`;
}

/**
 * The arena as an entry uses it, read off its steps: a buffer lives from the step that writes it to the last that reads it. A
 * loop or branch is one step, and what moves in it is one buffer.
 */
export function memoryUses({ stateBytes }: Program, { steps }: EntryProgram): MemoryUse[] {
  const uses: MemoryUse[] = [];
  const current = new Map<string, number>();
  for (const [i, step] of steps.entries()) {
    for (const { offset, bytes, access } of touchedBy(step)) {
      if (offset < stateBytes) continue;
      const place = `${offset}+${bytes}`;
      const known = current.get(place);
      if (known !== undefined && (access !== 'write' || uses[known].last === i))
        uses[known] = { ...uses[known], last: i };
      else current.set(place, uses.push({ offset, bytes, first: access === 'write' ? i : 0, last: i }) - 1);
    }
  }
  return uses;
}

interface Touched {
  readonly offset: number;
  readonly bytes: number;
  readonly access: KernelParam['access'];
}

/** All that a step reads or writes, given how often the loops around it run, the outermost first. */
function touchedBy(step: Step, trips: readonly number[] = []): Touched[] {
  if (!isLaunch(step)) {
    const inside = isLoop(step) ? [...trips, typeof step.trips === 'number' ? step.trips : 1] : trips;
    return blocksOf(step).flatMap(block => block.flatMap(inner => touchedBy(inner, inside)));
  }
  return step.kernel.params.map(({ buffer, access }, i) => {
    const ways = (step.strides?.[i] ?? []).map((stride, l) => stride * Math.max(0, trips[l] - 1));
    const offset = ways.reduce((sum, way) => sum + Math.min(0, way), step.args[i]);
    return {
      offset,
      access,
      bytes: ways.reduce((sum, way) => sum + Math.abs(way), buffer.size * bytesOf(buffer.dtype)),
    };
  });
}
