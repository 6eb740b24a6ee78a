/** Is there a model file where the user says? */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, parse } from 'node:path';
import { fail } from '../errors.js';
import { nearest } from './arguments.js';

/** Throws E401 where a path does not lead to a file of TypeScript or JavaScript. */
export function checkModelPath(path: string): void {
  if (!existsSync(path)) {
    const meant = fileMeant(path);
    fail('E401', {
      problem: `there is no file ${path}`,
      hint: meant === null ? `paths count from ${process.cwd()}` : `did you mean ${meant}?`,
    });
  }
  if (statSync(path).isDirectory()) {
    const models = sourcesIn(path).filter(name => /\.model\.\w+$/.test(name));
    fail('E401', {
      problem: `${path} is a folder, and a model file is wanted`,
      hint: models.length === 0 ? 'name the file' : `name one of ${models.map(name => join(path, name)).join(', ')}`,
    });
  }
  if (!isSource(path))
    fail('E401', {
      problem: `${path} is no TypeScript`,
      hint: 'a model file is a module that exports a model, as lenet.model.ts',
    });
}

const isSource = (name: string): boolean => /(?<!\.d)\.[cm]?[jt]sx?$/.test(name);

function sourcesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(isSource);
  } catch {
    return [];
  }
}

/** A file of nearly that name, or of one that goes on as it begins: `lenet` is lenet.model.ts. */
function fileMeant(path: string): string | null {
  const names = sourcesIn(dirname(path));
  const { name: stem } = parse(path);
  const meant = names.find(name => name.startsWith(`${stem}.`)) ?? nearest(basename(path), names);
  return meant && join(dirname(path), meant);
}
