/** Both IRs as text that parses back; what `inspect` shows, dumps print and pass tests are written in. */
export { type GraphTextOptions, parseGraph, printGraph, printNode } from './graph-text.js';
export { parseKernel } from './kernel-parse.js';
export { printExpr, printKernel, printStmts } from './kernel-text.js';
