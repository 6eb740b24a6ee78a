/**
 * The user's file, line and column of a call, and the module it was made in.
 *
 * A stack is captured when a node or an error is made, which is cheap; it becomes text, through source maps, only when
 * somebody asks for the place. The first frame outside gradc's own folders and Node's is the user's.
 */
import { type Site, setSiteFinder } from '../errors.js';

/** Frames kept: enough to climb from the deepest derivative rule to the user's `backward()`. */
const depth = 50;

let modulePath: () => string = () => '';
/** Where the path of the module whose `forward` is running comes from; installed by `runtime/nn`. */
export function setModulePathSource(source: () => string): void {
  modulePath = source;
}

class CapturedSite implements Site {
  readonly module = modulePath();
  #stack: Error | null;
  #place: Place = nowhere;

  constructor(stack: Error) {
    this.#stack = stack;
  }

  get file(): string {
    return this.#resolve().file;
  }
  get line(): number {
    return this.#resolve().line;
  }
  get column(): number {
    return this.#resolve().column;
  }
  toJSON(): Site {
    return { file: this.file, line: this.line, column: this.column, module: this.module };
  }

  #resolve(): Place {
    if (this.#stack !== null) {
      this.#place = placeOf(this.#stack) ?? nowhere;
      this.#stack = null;
    }
    return this.#place;
  }
}

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}
const nowhere: Place = { file: '<unknown>', line: 0, column: 0 };

function captureStack(): Error {
  const usual = Error.stackTraceLimit;
  Error.stackTraceLimit = depth;
  const stack = new Error();
  Error.stackTraceLimit = usual;
  return stack;
}

/** The place of the call being traced; resolved when it is read. */
export const captureSite = (): Site => new CapturedSite(captureStack());

/** `at name (file:line:column)` or `at file:line:column`, where file may be a path or a URL. */
const frame = /^\s+at (?:.*?\()?((?:file:\/\/|node:|[a-z]:[\\/]|\/)[^()]*?|[^\s():]+):(\d+):(\d+)\)?$/i;

/** gradc's own folders, `compiler`, `runtime` and `backends`: beside this file, and where source maps say they came from. */
const root = pathOf(new URL('../../', import.meta.url).href);
const own = [root, root.replace(/dist\/$/, '')].flatMap(folder =>
  ['compiler/', 'runtime/', 'backends/'].map(name => folder + name),
);

function pathOf(url: string): string {
  if (!url.startsWith('file:')) return url;
  const path = decodeURIComponent(new URL(url).pathname);
  return /^\/[a-z]:/i.test(path) ? path.slice(1) : path;
}

/** The first frame of a stack text that is neither gradc's nor the platform's. */
function userPlace(stack: string): (Place & { readonly innermost: boolean }) | null {
  let innermost = true;
  for (const text of stack.split('\n')) {
    const match = frame.exec(text);
    if (match === null) continue;
    const path = pathOf(match[1]);
    if (!path.startsWith('node:') && !own.some(folder => path.startsWith(folder))) {
      return { file: relativeToHere(path), line: Number(match[2]), column: Number(match[3]), innermost };
    }
    innermost = false;
  }
  return null;
}

/** Where the user's program was when an error arose; `innermost`: it threw it itself, not through a call into gradc. */
export const placeOf = (error: Error): (Place & { readonly innermost: boolean }) | null => userPlace(error.stack ?? '');

function relativeToHere(path: string): string {
  const here = `${globalThis.process?.cwd() ?? ''}/`;
  return here.length > 1 && path.startsWith(here) ? path.slice(here.length) : path;
}

setSiteFinder(() => {
  const site = captureSite();
  return site.line === 0 ? null : site;
});
