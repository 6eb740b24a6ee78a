/**
 * What the user's code reads of the world while it runs: files, folders, environment variables. Node's functions are
 * wrapped for that time, for CommonJS and ES modules alike, so that data files need not be declared. What cannot be
 * told whether it changed, a network or another program, is noted as such: what depends on it is not cached.
 *
 * It is meant for a thread in which nothing else runs meanwhile.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Observation {
  /** Absolute. */
  readonly paths: ReadonlySet<string>;
  readonly environment: ReadonlySet<string>;
  /** What it did that cannot be checked again, as the rest of "it …"; null where there is nothing of the kind. */
  readonly uncheckable: string | null;
}

type Functions = Record<string, unknown>;

const reading = [
  ...['access', 'createReadStream', 'exists', 'lstat', 'open', 'opendir', 'readFile', 'readdir', 'stat'],
  ...['accessSync', 'existsSync', 'lstatSync', 'openSync', 'opendirSync', 'readFileSync', 'readdirSync', 'statSync'],
];
const opening = ['open', 'openSync'];
const runningNow = ['execFileSync', 'execSync', 'spawnSync'];

export class Observer {
  readonly #paths = new Set<string>();
  readonly #environment = new Set<string>();
  #uncheckable: string | null = null;
  #undo: (() => void)[] = [];

  /** What `run` gives; what it reads is added to the rest. */
  async during<T>(run: () => T | Promise<T>): Promise<T> {
    this.#begin();
    try {
      return await run();
    } finally {
      this.#end();
    }
  }

  get observation(): Observation {
    return { paths: this.#paths, environment: this.#environment, uncheckable: this.#uncheckable };
  }

  #begin(): void {
    for (const functions of [fs, fs.promises] as unknown as Functions[])
      this.#wrap(functions, reading, (name, [path, flags]) => {
        if (!opening.includes(name) || opensToRead(flags)) this.#path(path);
      });
    const runs = (): void => this.#cannotCheck('ran a program');
    this.#wrap(childProcess as unknown as Functions, runningNow, runs);
    this.#wrap(childProcess.ChildProcess.prototype as unknown as Functions, ['spawn'], runs);
    this.#wrap(net.Socket.prototype as unknown as Functions, ['connect'], () => this.#cannotCheck('used the network'));
    this.#watchEnvironment();
    syncBuiltinESMExports();
  }

  #end(): void {
    for (const undo of this.#undo) undo();
    this.#undo = [];
    syncBuiltinESMExports();
  }

  #path(path: unknown): void {
    if (typeof path === 'string' || Buffer.isBuffer(path)) this.#paths.add(resolve(String(path)));
    else if (path instanceof URL) this.#paths.add(fileURLToPath(path));
  }

  #cannotCheck(what: string): void {
    this.#uncheckable ??= what;
  }

  #wrap(functions: Functions, names: readonly string[], note: (name: string, args: readonly unknown[]) => void): void {
    for (const name of names) {
      const original = functions[name];
      if (typeof original !== 'function') continue;
      const wrapped = function (this: unknown, ...args: unknown[]): unknown {
        note(name, args);
        return original.apply(this, args);
      };
      functions[name] = Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
      this.#undo.push(() => {
        functions[name] = original;
      });
    }
  }

  #watchEnvironment(): void {
    const { env } = process;
    const noting =
      <Result>(act: (target: NodeJS.ProcessEnv, name: string | symbol) => Result) =>
      (target: NodeJS.ProcessEnv, name: string | symbol): Result => {
        if (typeof name === 'string') this.#environment.add(name);
        return act(target, name);
      };
    process.env = new Proxy(env, {
      get: noting((target, name) => Reflect.get(target, name)),
      has: noting(Reflect.has),
      getOwnPropertyDescriptor: noting(Reflect.getOwnPropertyDescriptor),
      set: (target, name, value) => Reflect.set(target, name, value),
      ownKeys: target => {
        this.#cannotCheck('read all environment variables');
        return Reflect.ownKeys(target);
      },
    });
    this.#undo.push(() => {
      process.env = env;
    });
  }
}

/** `r`, or nothing, as the second argument of `open`; numbers are bits of which reading sets none. */
const opensToRead = (flags: unknown): boolean =>
  typeof flags !== 'string' && typeof flags !== 'number' ? true : /^(0|rs?)$/.test(String(flags));
