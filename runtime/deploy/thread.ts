/**
 * A thread of a team (`team.ts`), all but the caller's. This is the artifact's `<name>.threads.js`, which runs as a module
 * worker of the web or as a worker of Node, and imports nothing.
 */
import type { MessagePort } from 'node:worker_threads';
import { join, type Part } from './part.js';
import { tellTrouble } from './trouble.js';

/** What it answers: null when it is ready, or what went wrong. */
export type Answer = string | null;

/** It takes part until the team is no more. */
function takePart(part: Part, answer: (answer: Answer) => void): void {
  let team: ReturnType<typeof join> | null = null;
  try {
    team = join(part);
    answer(null);
    team.work();
  } catch (error) {
    tellTrouble(part.trouble, part.thread, error);
    team?.disband();
    answer(String(error));
  }
}

const port: MessagePort | null | undefined = globalThis.process?.getBuiltinModule?.('node:worker_threads').parentPort;
if (port && typeof globalThis.postMessage !== 'function') {
  port.on('message', (part: Part) => takePart(part, answer => port.postMessage(answer)));
} else {
  globalThis.onmessage = ({ data }) => takePart(data, answer => globalThis.postMessage(answer));
}
