/** A page for people, in one file: works without a network, light or dark as the reader prefers. */
import { escapeXml } from './xml.js';

/** The colours of pages and pictures. */
export const palette = `
  :root { color-scheme: light dark; --ink: #1f2430; --faint: #6d7686; --line: #c9d0da; --paper: #ffffff; --panel: #f6f8fa; --good: #2f7d3b; --bad: #c0392b; --forward: #e3effd; --forward-edge: #5b93d6; --update: #fdeedd; --update-edge: #dd9a4c; --input: #e7f5e6; --input-edge: #66ad62; --saved: #b04ac0; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --faint: #98a1b1; --line: #49505e; --paper: #171a21; --panel: #1f232c; --good: #79c983; --bad: #ff8a7a; --forward: #1d2f47; --forward-edge: #5b93d6; --update: #40301e; --update-edge: #dd9a4c; --input: #1f3520; --input-edge: #66ad62; --saved: #d68ae2; } }`;

const layout = `
  body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1.5rem; max-width: 88rem; }
  h1 { font-size: 1.7rem; margin: 0 0 0.2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 0.4rem; } p { margin: 0.2rem 0 0.8rem; } .faint { color: var(--faint); }
  .scroll { overflow: auto; border: 1px solid var(--line); border-radius: 8px; padding: 0.7rem; }
  pre { margin: 0; font: 12.5px/1.5 ui-monospace, monospace; } code { font-family: ui-monospace, monospace; font-size: 0.92em; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: 0.18rem 1.1rem 0.18rem 0; text-align: right; white-space: nowrap; font-weight: normal; } th { color: var(--faint); border-bottom: 1px solid var(--line); } td:first-child, th:first-child, .text td, .text th { text-align: left; } .text td { white-space: normal; vertical-align: top; }
  .good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
  .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.8rem; margin: 1.2rem 0; }
  .card { border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem 0.9rem; font-size: 0.82rem; color: var(--faint); } .card strong { display: block; font-size: 1.35rem; color: var(--ink); }`;

export interface Page {
  readonly title: string;
  /** Below the title. */
  readonly lead?: string;
  /** HTML. */
  readonly body: string;
  readonly style?: string;
}

export const pageDocument = ({ title, lead, body, style = '' }: Page): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>${palette}${layout}${style}</style>
</head>
<body>
<h1>${escapeXml(title)}</h1>
${lead === undefined ? '' : `<p class="faint">${escapeXml(lead)}</p>\n`}${body}
</body>
</html>
`;

/** Cells are HTML. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (tag: string, cells: readonly string[]): string =>
    `<tr>${cells.map(cell => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table>${row('th', head)}\n${rows.map(cells => row('td', cells)).join('\n')}</table></div>`;
}

export const kib = (bytes: number): string =>
  bytes < 10 * 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
