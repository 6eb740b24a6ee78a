/** Program text, coloured: loop IR, WebAssembly and CUDA, as HTML and as a picture. */
import { escapeXml } from '../xml.js';
import { svg } from './svg.js';

export const listingStyle = `
  .k { color: var(--forward-edge); fill: var(--forward-edge); } .n { color: var(--update-edge); fill: var(--update-edge); } .c { color: var(--faint); fill: var(--faint); } .s { color: var(--input-edge); fill: var(--input-edge); }
  details { border: 1px solid var(--line); border-radius: 8px; margin: 0.4rem 0; padding: 0.3rem 0.8rem; } summary { cursor: pointer; } details pre { overflow-x: auto; padding: 0.4rem 0; }`;

/** Comments, strings, numbers, and words that mean something in one of the languages. */
const token =
  /(?<c>\/\/[^\n]*|\/\*[\s\S]*?\*\/|;;[^\n]*|#[^\n]*)|(?<s>"[^"\n]*")|(?<n>\b\d(?:[eE][-+]|[\w.])*)|(?<k>\b(?:kernel|for|parallel|reduce|store|alloc|if|else|in|select|barrier|graph|return|update|void|const|float|int|unsigned|bool|static|inline|__global__|__device__|__shared__|__restrict__|__launch_bounds__|extern|struct|template|typename|module|func|param|local|result|memory|export|import|block|loop|br|br_if|call|global|data|(?:[if](?:32|64)|v128|[if]\d+x\d+)\.[\w.]+)\b)/g;

export function colored(text: string, tag: 'span' | 'tspan'): string {
  let html = '';
  let end = 0;
  for (const match of text.matchAll(token)) {
    const kind = Object.entries(match.groups!).find(([, value]) => value !== undefined)![0];
    html += `${escapeXml(text.slice(end, match.index))}<${tag} class="${kind}">${escapeXml(match[0])}</${tag}>`;
    end = match.index + match[0].length;
  }
  return html + escapeXml(text.slice(end));
}

/** Parts with headings that fold; open where there are few. */
export function listingHtml(parts: readonly { readonly title: string; readonly text: string }[]): string {
  const open = parts.length <= 3 ? ' open' : '';
  return parts
    .map(
      ({ title, text }) =>
        `<details${open}><summary><code>${escapeXml(title)}</code></summary><pre>${colored(text, 'span')}</pre></details>`,
    )
    .join('\n');
}

const lineHeight = 16;
const characterWidth = 7.22;

/** The text as a picture of itself, with a rule at each level of indentation. */
export function drawListing(name: string, text: string): string {
  const lines = text.trimEnd().split('\n');
  const indents = lines.map(line => (line.trim() === '' ? 0 : line.length - line.trimStart().length));
  const x = (indent: number): string => (12 + indent * characterWidth).toFixed(1);
  const width = 24 + characterWidth * lines.reduce((most, line) => Math.max(most, line.length), 0);
  const rules = lines.flatMap((_, i) =>
    Array.from({ length: indents[i] >> 1 }, (_, level) => `M${x(2 * level)} ${8 + i * lineHeight}v${lineHeight}`),
  );
  const texts = lines.map(
    (line, i) =>
      `<text class="code" x="${x(indents[i])}" y="${20 + i * lineHeight}">${colored(line.trimStart(), 'tspan')}</text>`,
  );
  const body = `<path d="${rules.join('')}" stroke="var(--line)" stroke-width="0.7"/>\n${texts.join('\n')}`;
  return svg(0, Math.ceil(width), 30 + lines.length * lineHeight, name, body);
}
