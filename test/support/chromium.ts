/**
 * A headless Chromium, driven by its DevTools protocol (chromedevtools.github.io/devtools-protocol) over a pipe: messages of
 * JSON, each ended by a zero byte, on file descriptors 3 and 4. Needs no package and no port.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** The browser's program: `CHROMIUM` in the environment, or what is in the PATH; null where there is none. */
export function findChromium(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const places = [process.env.CHROMIUM, ...folders.flatMap(folder => names.map(name => join(folder, name)))];
  return places.find(place => place !== undefined && isExecutable(place)) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the protocol's results have a type for each method
type Result = any;
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Result;
  readonly result?: Result;
  readonly error?: { readonly message: string };
}
interface Waiting {
  readonly done: (result: Result) => void;
  readonly failed: (error: Error) => void;
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile = mkdtempSync(join(tmpdir(), 'gradc-chromium-'));
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(message: Message) => void>();
  #rest = '';
  #sent = 0;

  constructor(program: string) {
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    this.#process = spawn(program, [...flags, '--remote-debugging-pipe', `--user-data-dir=${this.#profile}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const output = this.#process.stdio[4] as Readable;
    output.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    this.#process.on('exit', code => {
      for (const { failed } of this.#waiting.values()) failed(new Error(`Chromium ended with ${code}`));
    });
  }

  #receive(text: string): void {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop()!;
    for (const message of messages.map(line => JSON.parse(line) as Message)) {
      const waiting = this.#waiting.get(message.id ?? -1);
      this.#waiting.delete(message.id ?? -1);
      if (message.error) waiting?.failed(new Error(message.error.message));
      else waiting?.done(message.result);
      for (const listener of this.#listeners) listener(message);
    }
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Result> {
    const id = ++this.#sent;
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((done, failed) => this.#waiting.set(id, { done, failed }));
  }

  /** A new page at this address, of this size. */
  async open(url: string, width = 1000, height = 860): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page((method, params) => this.send(method, params, sessionId));
    this.#listeners.add(({ method, params }) => page.hear(method, params));
    await page.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    await page.start(url);
    return page;
  }

  async close(): Promise<void> {
    const ended = new Promise(done => this.#process.once('exit', done));
    await this.send('Browser.close').catch(() => {});
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Page {
  /** Errors that nobody caught and that were logged. */
  readonly errors: string[] = [];
  constructor(readonly send: (method: string, params?: object) => Promise<Result>) {}

  hear(method: string | undefined, params: Result): void {
    if (method === 'Runtime.exceptionThrown')
      this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.level === 'error')
      this.errors.push(`${params.entry.text} ${params.entry.url ?? ''}`);
  }

  async start(url: string): Promise<void> {
    for (const domain of ['Page', 'Runtime', 'Log']) await this.send(`${domain}.enable`);
    await this.send('Page.navigate', { url });
  }

  /** The value of an expression in the page; promises are awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Wait until an expression is true in the page. Throws after `seconds`, with the page's errors. */
  async until(expression: string, seconds = 20): Promise<void> {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; ) {
      if (await this.evaluate<boolean>(`Boolean(${expression})`)) return;
      await new Promise(done => setTimeout(done, 50));
    }
    throw new Error(`${expression} has not come true in ${seconds} s; errors of the page: ${this.errors.join('; ')}`);
  }

  /** Press the mouse at the first point, move along the others, let go at the last. */
  async drag(points: readonly (readonly [x: number, y: number])[]): Promise<void> {
    const mouse = (type: string, [x, y]: readonly [number, number]): Promise<Result> =>
      this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', buttons: 1, clickCount: 1 });
    await mouse('mousePressed', points[0]);
    for (const point of points.slice(1)) await mouse('mouseMoved', point);
    await mouse('mouseReleased', points.at(-1)!);
  }

  async screenshot(file: string): Promise<void> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }
}
