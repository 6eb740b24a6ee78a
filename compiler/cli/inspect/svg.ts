/** SVG as text, and the style that pictures share. */
import { palette } from '../page.js';
import { escapeXml } from '../xml.js';

/** The colours that pictures use; a page may set them again. */
export const pictureStyle = `${palette}
  svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
  svg .small { font-size: 10.5px; fill: var(--faint); }
  svg .edge { fill: none; stroke: var(--line); stroke-width: 1.2; }
  svg .saved { fill: none; stroke: var(--saved); stroke-width: 1.1; stroke-opacity: 0.55; }
  svg .lit { stroke: var(--ink); stroke-width: 2; stroke-opacity: 1; }
  svg .code { font: 12px ui-monospace, monospace; white-space: pre; }`;

export const svg = (left: number, width: number, height: number, label: string, body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(label)}">${body}</svg>
`;

export const clip = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

/** An SVG file that brings its own style and paper. */
export const standalone = (picture: string): string =>
  picture.replace('>', `><style>${pictureStyle} svg { background: var(--paper); }</style>`);
