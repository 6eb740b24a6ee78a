/**
 * The service as a module Worker (Cloudflare's and those like it). Built with `files: 'import'`, the WebAssembly is a module
 * the platform has compiled before the Worker starts: nothing is fetched and no code is generated here.
 */
import { load } from '../lenet/lenet.model.ts?compiled';
import { answer } from './service.js';

const lenet = load();

export default { fetch: async (request: Request): Promise<Response> => answer(await lenet, request) };
