/** Starts the worker and keeps what it says. */
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
worker.onmessage = ({ data }) => {
  globalThis.answer = data;
};
worker.onerror = ({ message }) => console.error(message);
