/**
 * `measure FORMAT FILE [FILE...]`: what the first file costs its loader, in a process of its own. The other files are loaded
 * before, so that what the process keeps for good is not counted.
 */
import { readFileSync } from 'node:fs';
import { GradcError } from '../../compiler/errors.js';
import { load, loadNpy, loadNpz, loadSafetensors } from '../../runtime/index.js';
import { footprintOf } from './footprint.js';
import type { FormatName } from './loaders.js';

const loaders: Readonly<Record<FormatName, (file: Uint8Array) => unknown>> = {
  npy: loadNpy,
  npz: loadNpz,
  safetensors: loadSafetensors,
  pt: load,
  'pt-legacy': load,
};

const [format, path, ...usual] = process.argv.slice(2);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(name));
let loaded: unknown = null;
let error: unknown = null;
const attempt = (file: Uint8Array): void => {
  try {
    loaded = loaders[format as FormatName](file);
  } catch (problem) {
    error = problem;
  }
};

const file = read(path);
for (const other of usual.map(read)) for (let time = 0; time < 20; time++) attempt(other);
loaded = error = null;
const cost = footprintOf(() => attempt(file));
const outcome = error === null ? 'loaded' : error instanceof GradcError ? error.code : String(error);
// the value is kept until here: it is part of what the file costs
console.log(JSON.stringify({ ...cost, outcome, kept: loaded !== null }));
