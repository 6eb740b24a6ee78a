/**
 * LeNet behind HTTP, in the terms of Fetch, so that the same function answers in Node, in Workers, in Deno and in Bun.
 *
 *     POST /predict    images of 28x28 bytes, one after the other  ->  a digit and its probability for each
 *     POST /train      64 records of a label and 28x28 bytes       ->  the loss; every later answer comes of the trained state
 *     GET  /state      the state, as safetensors
 */
import { fromBytes, side } from '../lenet/image.js';
import type { Model } from '../lenet/lenet.model.ts?compiled';

const imageBytes = side ** 2;
const recordBytes = 1 + imageBytes;
const batchSize = 64;
/** What one request may ask for: 1,024 images. */
const mostBytes = 1024 * imageBytes;

type Answer = (lenet: Model, body: Uint8Array) => Response;
const routes: Readonly<Record<string, Answer>> = {
  'POST /predict': (lenet, body) => {
    if (body.length === 0 || body.length % imageBytes !== 0)
      return refused(400, `expected images of ${imageBytes} bytes each, given ${body.length} bytes`);
    return Response.json(predict(lenet, body));
  },
  'POST /train': (lenet, body) => {
    if (body.length !== batchSize * recordBytes)
      return refused(400, `expected ${batchSize} records of ${recordBytes} bytes, given ${body.length} bytes`);
    const labels = Int32Array.from({ length: batchSize }, (_, i) => body[i * recordBytes]);
    const wrong = labels.findIndex(label => label > 9);
    if (wrong >= 0) return refused(400, `expected labels from 0 to 9, record ${wrong} has ${labels[wrong]}`);
    return Response.json(train(lenet, body, labels));
  },
  'GET /state': lenet =>
    new Response(new Uint8Array(lenet.saveState()), { headers: { 'content-type': 'application/octet-stream' } }),
};

/** Answer one request. What is wrong with one is told as `{ error }`, with the status of its kind. */
export async function answer(lenet: Model, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const route = routes[`${request.method} ${pathname}`];
  if (route === undefined)
    return refused(404, `no ${request.method} ${pathname}; there are ${Object.keys(routes).join(', ')}`);
  const body = await bodyOf(request);
  if (body === null) return refused(413, `at most ${mostBytes} bytes in one request`);
  return route(lenet, body);
}

const refused = (status: number, error: string): Response => Response.json({ error }, { status });

/** The body, or null where it is longer than a request may be: no more than that is ever read. */
async function bodyOf(request: Request): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const reader = request.body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > mostBytes) {
      await reader.cancel();
      return null;
    }
    parts.push(value);
  }
  const body = new Uint8Array(length);
  let start = 0;
  for (const part of parts) {
    body.set(part, start);
    start += part.length;
  }
  return body;
}

function predict(lenet: Model, body: Uint8Array): { digit: number; probability: number }[] {
  const answers = [];
  for (let start = 0; start < body.length; start += imageBytes) {
    const { logits } = lenet.predict({ x: fromBytes(body.subarray(start, start + imageBytes)) }, { copy: false });
    const digit = logits.indexOf(Math.max(...logits));
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[digit]), 0);
    answers.push({ digit, probability: 1 / sum });
  }
  return answers;
}

function train(lenet: Model, body: Uint8Array, y: Int32Array): { loss: number } {
  const images = new Uint8Array(batchSize * imageBytes);
  for (let i = 0; i < batchSize; i++)
    images.set(body.subarray(i * recordBytes + 1, (i + 1) * recordBytes), i * imageBytes);
  return lenet.trainStep({ x: fromBytes(images), y });
}
