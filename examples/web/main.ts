/**
 * The page: what is drawn is recognised while it is being drawn; told what it was meant to be, the network goes on training in
 * the page. All computing is done by the compiled model.
 */
import { load } from '../lenet/lenet.model.ts?compiled';
import { download } from './download.js';
import { Drawing } from './drawing.js';
import { Lessons } from './lessons.js';
import { LossPlot } from './plot.js';
import { imageOf } from './strokes.js';

const stepsPerLesson = 20;
const digits = Array.from({ length: 10 }, (_, digit) => digit);

const element = <E extends Element>(id: string): E => document.getElementById(id) as unknown as E;
const [bars, answer, status] = ['bars', 'answer', 'status'].map(element<HTMLElement>);

const [lenet, known] = await Promise.all([
  load({ state: new URL('../../dist/lenet/lenet.trained.safetensors', import.meta.url) }),
  fetch(new URL('../../dist/lenet/lenet.digits.bin', import.meta.url)).then(response => response.arrayBuffer()),
]);
const lessons = new Lessons(new Uint8Array(known));
const plot = new LossPlot(element('plot'));
const drawing = new Drawing(element('drawing'), recognise);

bars.replaceChildren(
  ...digits.map(digit => {
    const button = document.createElement('button');
    button.innerHTML = `<span class="digit">${digit}</span><span class="track"><span class="bar"></span></span><span class="part"></span>`;
    button.title = `This is a ${digit}: train on it`;
    button.addEventListener('click', () => teach(digit));
    return button;
  }),
);
element('clear').addEventListener('click', clear);
// `load({ state })` goes on from the file anywhere
element('save').addEventListener('click', () => download('lenet.safetensors', lenet.saveState()));
say('Draw a digit.');
document.documentElement.dataset.ready = '';

function recognise(): void {
  const x = imageOf(drawing.strokes);
  const start = performance.now();
  const { logits } = lenet.predict({ x });
  const milliseconds = performance.now() - start;
  const parts = softmax(logits);
  const best = parts.indexOf(Math.max(...parts));
  answer.textContent = String(best);
  show(parts, best);
  say(
    `${(100 * parts[best]).toFixed(1)} % sure, in ${milliseconds.toFixed(2)} ms. Wrong, or unsure? Press the right digit.`,
  );
}

function show(parts: readonly number[], best: number): void {
  for (const [digit, row] of [...bars.children].entries()) {
    row.classList.toggle('best', digit === best);
    row.querySelector<HTMLElement>('.bar')!.style.width = `${100 * parts[digit]}%`;
    row.querySelector('.part')!.textContent = `${Math.round(100 * parts[digit])} %`;
  }
}

/** Train on the drawing as this digit, a step in each frame of the screen. */
async function teach(digit: number): Promise<void> {
  if (drawing.empty) return say('Draw something first, then say which digit it is.');
  lessons.add([...drawing.strokes], digit);
  document.body.classList.add('training');
  for (let step = 1; step <= stepsPerLesson; step++) {
    const { loss } = lenet.trainStep(lessons.batch());
    plot.add(loss);
    say(`Learning that this is a ${digit}: step ${step} of ${stepsPerLesson}, loss ${loss.toFixed(3)}`);
    await new Promise(requestAnimationFrame);
  }
  document.body.classList.remove('training');
  recognise();
  say(`Trained on ${lessons.count} drawing${lessons.count > 1 ? 's' : ''} of yours. Draw the next one.`);
}

function clear(): void {
  drawing.clear();
  answer.textContent = '';
  show(
    digits.map(() => 0),
    -1,
  );
  say('Draw a digit.');
}

function say(text: string): void {
  status.textContent = text;
}

function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, logit => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map(power => power / sum);
}
