/** Where the engines are installed: beside this file, not among the project's dependencies. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const folder = new URL('.', import.meta.url);
const addressOf = (path: string): URL => new URL(`node_modules/${path}`, folder);

export const installCommand = 'npm install --prefix test/bench/peers';

export const isInstalled = (): boolean => existsSync(addressOf(''));

/** `name version`, as installed. */
export function titleOf(packageName: string): string {
  const { name, version } = JSON.parse(readFileSync(addressOf(`${packageName}/package.json`), 'utf8'));
  return `${name} ${version}`;
}

export const requirePeer = createRequire(new URL('package.json', folder));
/** An ES module by its path below `node_modules`. */
export const importPeer = (path: string): Promise<unknown> => import(addressOf(path).href);
export const folderOf = (path: string): string => addressOf(path).pathname;
