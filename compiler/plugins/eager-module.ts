/**
 * What `?compiled` imports on a development server: the model itself, run op by op behind the interface of an artifact.
 * Everything of gradc is imported by name, so that the page has one copy of it, the one the model file uses.
 */
export const eagerModule = (modelFile: string): string => `
import { loadEagerly } from 'gradc/eager';
import definition from ${JSON.stringify(modelFile)};
export const load = options => loadEagerly(definition, options);
`;
