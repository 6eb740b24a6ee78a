/**
 * The page: a GPT learns the text beside it, a step in each frame of the screen, and keeps writing what it would say next. All
 * computing is done by the compiled model.
 */
import { download } from '../web/download.js';
import { LossPlot } from '../web/plot.js';
import { decode, draw, encode, randomBatch, time, vocabulary } from './characters.js';
import sonnets from './sonnets.txt?raw';
import { load } from './writer.model.ts?compiled';

const stepsBetweenTexts = 20;
const lengthOfTexts = 160;
const temperature = 0.7;

const element = <E extends Element>(id: string): E => document.getElementById(id) as unknown as E;
const [text, prompt] = [element<HTMLTextAreaElement>('text'), element<HTMLInputElement>('prompt')];
const [train, status, written] = ['train', 'status', 'written'].map(element<HTMLElement>);

const writer = await load();
const plot = new LossPlot(element('plot'));
let steps = 0;
let learning = false;

text.value = sonnets;
train.addEventListener('click', () => (learning ? pause() : learn()));
prompt.addEventListener('change', write);
// `load({ state })` goes on from the file anywhere
element('save').addEventListener('click', () => download('writer.safetensors', writer.saveState()));
status.textContent = 'It has read nothing yet. Press Learn, or give it another text.';
write();
document.documentElement.dataset.ready = '';

async function learn(): Promise<void> {
  learning = true;
  train.textContent = 'Pause';
  try {
    while (learning) {
      const start = performance.now();
      const { loss } = writer.trainStep(randomBatch(encode(text.value)));
      const milliseconds = performance.now() - start;
      plot.add(loss);
      status.textContent = `Step ${++steps}, loss ${loss.toFixed(3)}, ${milliseconds.toFixed(0)} ms a step.`;
      if (steps % stepsBetweenTexts === 0) write();
      await new Promise(requestAnimationFrame);
    }
  } catch (error) {
    status.textContent = (error as Error).message;
    pause();
  }
}

function pause(): void {
  learning = false;
  train.textContent = 'Learn';
}

/** Writes on from the prompt, a character at a time: the model says what follows each place of its window. */
function write(): void {
  const tokens = [...encode(prompt.value || '\n')];
  const window = new Int32Array(time);
  for (let i = 0; i < lengthOfTexts; i++) {
    const recent = tokens.slice(-time);
    window.set(recent);
    const { logits } = writer.predict({ x: window }, { copy: false });
    const last = recent.length - 1;
    tokens.push(draw(logits.subarray(last * vocabulary, (last + 1) * vocabulary), temperature));
  }
  const given = document.createElement('b');
  given.textContent = prompt.value;
  written.replaceChildren(given, tokens.slice(prompt.value.length).map(decode).join(''));
}
