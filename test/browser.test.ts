/**
 * Compiled models in a browser: the page of examples/web built for production under a sub-path recognises a digit that is
 * drawn with the mouse and trains on it; and the artifact runs in workers of both kinds. Screenshots stay in a folder of the
 * system's temporary files, which is printed.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vite } from 'gradc/plugin';
import { build, createServer, type InlineConfig, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolve } from '../vitest.config.js';
import { Chromium, findChromium, type Page } from './support/chromium.js';
import { isolation, type StaticServer, serve } from './support/static-server.js';

const program = findChromium();
const repository = fileURLToPath(new URL('..', import.meta.url));
const base = '/some/where/';
const screenshots = join(tmpdir(), 'gradc-screenshots');

describe.skipIf(program === null)(`in a browser${program === null ? ': no chromium found' : ''}`, () => {
  let browser: Chromium;
  let folder: string;
  const servers: StaticServer[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gradc-browser-'));
    mkdirSync(screenshots, { recursive: true });
    browser = new Chromium(program!);
  });
  afterAll(async () => {
    await browser.close();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });

  /** Build for production, serve under the sub-path, open. */
  async function open(name: string, config: InlineConfig, headers: Record<string, string> = {}): Promise<Page> {
    const outDir = join(folder, name);
    await build({
      ...config,
      configFile: false,
      logLevel: 'warn',
      base,
      build: { ...config.build, outDir, emptyOutDir: true },
    });
    const server = await serve(outDir, base, headers);
    servers.push(server);
    return browser.open(server.origin + base);
  }

  test('a page recognises what is drawn and learns from it', async () => {
    const { default: config } = await import('../examples/web/vite.config.js');
    const types = fileURLToPath(new URL('../examples/web/models.d.ts', import.meta.url));
    const committed = readFileSync(types, 'utf8');
    const page = await open('web', config);
    expect(readFileSync(types, 'utf8'), 'the declarations were written anew: commit them').toBe(committed);
    await page.until("document.querySelector('[data-ready]')");
    const canvas = await page.evaluate<{ x: number; y: number; width: number }>(
      "document.getElementById('drawing').getBoundingClientRect().toJSON()",
    );
    const drag = (figure: readonly (readonly [x: number, y: number])[]): Promise<void> =>
      page.drag(figure.map(([x, y]) => [canvas.x + x * canvas.width, canvas.y + y * canvas.width]));
    const text = (id: string): Promise<string> => page.evaluate(`document.getElementById('${id}').textContent`);
    const losses = (): Promise<number[]> =>
      page.evaluate("[...document.querySelectorAll('#plot circle')].map(dot => -dot.getAttribute('cy'))");

    for (const [digit, figure] of Object.entries(figures)) {
      await drag(figure);
      expect(await text('answer'), `drawn: ${digit}`).toBe(digit);
      await page.screenshot(join(screenshots, `recognised-${digit}.png`));
      await page.evaluate("document.getElementById('clear').click()");
    }

    // a figure that is no digit, which the page is told to take for a 4
    await drag(house);
    await page.evaluate("document.querySelectorAll('#bars button')[4].click()");
    await page.until("document.querySelectorAll('#plot circle').length === 20");
    await page.until("!document.body.classList.contains('training')");
    await page.screenshot(join(screenshots, 'trained.png'));
    const [first, last] = [(await losses()).slice(0, 5), (await losses()).slice(-5)].map(mean);
    expect(last).toBeLessThan(first);
    expect(await text('answer')).toBe('4');
    expect(page.errors).toEqual([]);
    console.log(`screenshots in ${screenshots}`);
  });

  test('a page learns to write', async () => {
    const { default: config } = await import('../examples/writer/vite.config.js');
    const types = fileURLToPath(new URL('../examples/writer/models.d.ts', import.meta.url));
    const committed = readFileSync(types, 'utf8');
    const page = await open('writer', config);
    expect(readFileSync(types, 'utf8'), 'the declarations were written anew: commit them').toBe(committed);
    await page.until("document.querySelector('[data-ready]')");
    const written = (): Promise<string> => page.evaluate("document.getElementById('written').textContent");
    expect(await written()).toMatch(/^Shall I /);
    const before = await written();
    await page.evaluate("document.getElementById('train').click()");
    await page.until("document.querySelectorAll('#plot circle').length >= 60", 60);
    await page.evaluate("document.getElementById('train').click()");
    await page.screenshot(join(screenshots, 'writer.png'));
    const losses = (await page.evaluate<number[]>(
      "[...document.querySelectorAll('#plot circle')].map(dot => -dot.getAttribute('cy'))",
    )) as number[];
    const height = (values: readonly number[]): number => mean(values) + 186;
    expect(height(losses.slice(-5))).toBeLessThan(0.75 * height(losses.slice(0, 5)));
    // untrained, it writes any of the 96 characters alike; after 60 steps it knows which are common, spaces above all
    const commonness = (text: string): number => (text.slice(8).match(/[ aeiotn\n]/g) ?? []).length / (text.length - 8);
    expect(commonness(before)).toBeLessThan(0.3);
    expect(commonness(await written())).toBeGreaterThan(0.4);
    expect(page.errors).toEqual([]);
  });

  test.each(['es', 'iife'] as const)('the artifact runs in a worker (%s)', async format => {
    const page = await open(`worker-${format}`, {
      root: fileURLToPath(new URL('bundlers/workers', import.meta.url)),
      plugins: [vite({ checkTypes: false })],
      worker: { format },
      build: { target: 'es2022' },
    });
    await page.until('globalThis.answer');
    expect(page.errors).toEqual([]);
    expect(await page.evaluate('globalThis.answer.before')).toEqual([2, 4, 6]);
    expect(await page.evaluate('globalThis.answer.after[0]')).toBeCloseTo(5, 0);
  });

  describe('on several threads', () => {
    const config: InlineConfig = {
      root: fileURLToPath(new URL('bundlers/threads', import.meta.url)),
      plugins: [vite({ checkTypes: false, threads: true })],
      build: { target: 'es2022' },
    };

    test('a page that is cross-origin isolated trains as on one', async () => {
      const page = await open('threads', config, isolation);
      await page.until('globalThis.answer', 40);
      expect(page.errors).toEqual([]);
      const { threads, losses, equal } = await page.evaluate<ThreadsAnswer>('globalThis.answer');
      expect(threads).toEqual([{ count: 1 }, { count: 2 }]);
      expect(losses[1]).toEqual(losses[0]);
      expect(losses[0][2]).toBeLessThan(losses[0][0]);
      expect(equal).toBe(true);
    });

    test('another page has one, and says why', async () => {
      const page = await open('no-threads', config);
      await page.until('globalThis.answer', 40);
      const { threads, equal } = await page.evaluate<ThreadsAnswer>('globalThis.answer');
      expect(threads[1].count).toBe(1);
      expect(threads[1].reason).toMatch(/^the page is not cross-origin isolated, which takes the headers /);
      expect(equal).toBe(true);
    });
  });

  describe('with a development server', () => {
    let model: string;
    let server: ViteDevServer;
    beforeAll(async () => {
      const root = join(folder, 'development');
      model = join(root, 'project', 'slope.model.ts');
      cpSync(fileURLToPath(new URL('bundlers', import.meta.url)), root, { recursive: true });
      writeFileSync(join(root, 'package.json'), '{}');
      server = await createServer({
        root,
        configFile: false,
        logLevel: 'warn',
        server: { host: '127.0.0.1', port: 0, fs: { allow: [repository, root] } },
        resolve,
        plugins: [vite({ checkTypes: false })],
      });
      await server.listen();
    });
    afterAll(() => server.close());

    test('the model runs op by op behind the same interface, compiled where that is asked for, and changes with its file', async () => {
      const page = await browser.open(`${server.resolvedUrls!.local[0]}development/index.html`);
      await page.until('globalThis.answer', 40);
      expect(page.errors).toEqual([]);
      const { starts, losses, slopes, predicted } = await page.evaluate<DevelopmentAnswer>('globalThis.answer');
      expect(starts).toEqual([2, 2]);
      for (const [i, loss] of losses[0].entries()) expect(losses[1][i]).toBeCloseTo(loss, 5);
      expect(slopes[0]).toBeCloseTo(slopes[1], 6);
      expect(slopes[2]).toBe(slopes[1]);
      expect(predicted).toEqual([1, 2, 3].map(x => Math.fround(x * slopes[1])));

      writeFileSync(model, readFileSync(model, 'utf8').replace('full([1], 2,', 'full([1], 3,'));
      await page.until('globalThis.answer?.starts.every(start => start === 3)', 40);
    });
  });
});

/** What `bundlers/threads/main.js` says of one thread and of two. */
interface ThreadsAnswer {
  readonly threads: readonly { readonly count: number; readonly reason?: string }[];
  readonly losses: readonly (readonly number[])[];
  readonly equal: boolean;
}

/** What `bundlers/development/main.js` says of the eager model, the compiled one, and an eager one with the state of that. */
interface DevelopmentAnswer {
  readonly starts: number[];
  readonly losses: number[][];
  readonly slopes: number[];
  readonly predicted: number[];
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Lines as a hand would draw them, in parts of the canvas. */
const arc = (x: number, y: number, rx: number, ry: number, from: number, to: number): [number, number][] =>
  Array.from({ length: 25 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / 24) * Math.PI) / 180;
    return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
  });
const figures: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>> = {
  0: arc(0.5, 0.5, 0.2, 0.32, -90, 270),
  2: [...arc(0.5, 0.34, 0.18, 0.16, -170, 40), [0.34, 0.8], [0.72, 0.8]],
  3: [...arc(0.46, 0.33, 0.17, 0.16, -150, 90), ...arc(0.46, 0.66, 0.2, 0.17, -90, 150)],
  7: [
    [0.28, 0.22],
    [0.5, 0.22],
    [0.72, 0.22],
    [0.6, 0.5],
    [0.48, 0.82],
  ],
};
const house: readonly (readonly [x: number, y: number])[] = [
  [0.25, 0.8],
  [0.25, 0.45],
  [0.5, 0.2],
  [0.75, 0.45],
  [0.75, 0.8],
  [0.25, 0.8],
  [0.75, 0.45],
  [0.25, 0.45],
  [0.75, 0.8],
];
