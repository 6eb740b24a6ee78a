/**
 * Where in the user's program a call was made: the first stack frame outside gradc.
 */
import { fileURLToPath } from 'node:url';
import { setSiteFinder, type Site } from '../errors.js';

const own = new URL('../../', import.meta.url).href;
const ownFolders = ['compiler/', 'runtime/', 'backends/'].map(folder => own + folder);

let modulePath: () => string = () => '';
/** Who knows which module is running; installed by the runtime's nn. */
export function setModulePathSource(source: () => string): void {
  modulePath = source;
}

/** The place of the call into gradc that is now being executed, or null where the stack does not reach user code. */
export function captureSite(): Site | null {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  return siteOf(stack ?? '');
}

function siteOf(stack: string): Site | null {
  for (const line of stack.split('\n')) {
    const match = /\(?((?:file:\/\/)?\/[^()]*?):(\d+):(\d+)\)?$/.exec(line);
    if (!match) continue;
    const url = match[1].startsWith('file:') ? match[1] : `file://${match[1]}`;
    if (ownFolders.some(folder => url.startsWith(folder)) || url.includes('/node_modules/')) continue;
    return { file: fileURLToPath(url), line: Number(match[2]), column: Number(match[3]), module: modulePath() };
  }
  return null;
}
setSiteFinder(error => siteOf(error.stack ?? ''));
