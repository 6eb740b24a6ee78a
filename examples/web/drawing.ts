/** A canvas one draws on with mouse, pen or finger, and the lines that were drawn. */
import type { Point, Stroke } from './strokes.js';

export class Drawing {
  #strokes: Point[][] = [];
  readonly #context: CanvasRenderingContext2D;

  /** `changed` is called after every movement of the pen. */
  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly changed: () => void,
  ) {
    this.#context = canvas.getContext('2d')!;
    canvas.addEventListener('pointerdown', event => {
      canvas.setPointerCapture(event.pointerId);
      this.#strokes.push([]);
      this.#extend(event);
    });
    canvas.addEventListener('pointermove', event => {
      if (canvas.hasPointerCapture(event.pointerId)) this.#extend(event);
    });
  }

  get strokes(): readonly Stroke[] {
    return this.#strokes;
  }
  get empty(): boolean {
    return this.#strokes.length === 0;
  }

  clear(): void {
    this.#strokes = [];
    this.#paint();
  }

  #extend(event: PointerEvent): void {
    const { width, height, left, top } = this.canvas.getBoundingClientRect();
    const scale = [this.canvas.width / width, this.canvas.height / height];
    this.#strokes.at(-1)!.push([(event.clientX - left) * scale[0], (event.clientY - top) * scale[1]]);
    this.#paint();
    this.changed();
  }

  #paint(): void {
    const { width, height } = this.canvas;
    const context = this.#context;
    context.clearRect(0, 0, width, height);
    context.lineWidth = width / 14;
    context.lineCap = context.lineJoin = 'round';
    context.strokeStyle = getComputedStyle(this.canvas).color;
    context.beginPath();
    for (const [start, ...rest] of this.#strokes) {
      context.moveTo(...start);
      for (const point of rest.length > 0 ? rest : [start]) context.lineTo(...point);
    }
    context.stroke();
  }
}
