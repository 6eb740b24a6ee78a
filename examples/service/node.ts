/**
 * The service as a Node server: `npm run service`, then
 *
 *     curl --data-binary @image.bin http://localhost:8000/predict
 *
 * The port is `PORT` or 8000. Ends on SIGINT and SIGTERM after the requests it has begun.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { load } from '../lenet/lenet.model.ts?compiled';
import { answer } from './service.js';

const lenet = await load(process.argv[2] ? { state: process.argv[2] } : {});

const server = createServer(async (incoming, outgoing) => {
  try {
    const response = await answer(lenet, requestOf(incoming));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(new Uint8Array(await response.arrayBuffer()));
  } catch (error) {
    console.error(error);
    outgoing.writeHead(500).end();
  }
});

function requestOf(incoming: IncomingMessage): Request {
  const { method = 'GET', url = '/' } = incoming;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return new Request(new URL(url, 'http://localhost'), {
    method,
    ...(hasBody && { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' }),
  } as RequestInit);
}

server.listen(Number(process.env.PORT ?? 8000), () => {
  console.log(`listening on http://localhost:${(server.address() as AddressInfo).port}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.close(() => lenet.dispose()));
