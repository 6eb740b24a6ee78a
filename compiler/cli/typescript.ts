/**
 * TypeScript, for the checks: ts-morph's, by `require`. `import` would search the nine megabytes of it for the names of
 * its exports first, a quarter of the time that loading takes.
 */
import morph = require('ts-morph');

export import ts = morph.ts;
export const { Project } = morph;
