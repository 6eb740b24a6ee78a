/** A live plot of the loss: every step as a dot, and a line through their running mean. */
const [width, height, margin] = [560, 220, 34];

export class LossPlot {
  readonly #losses: number[] = [];
  constructor(readonly svg: SVGSVGElement) {
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#draw();
  }

  add(loss: number): void {
    this.#losses.push(loss);
    this.#draw();
  }

  #draw(): void {
    const losses = this.#losses;
    const top = niceAbove(Math.max(1, ...losses));
    const last = Math.max(20, losses.length);
    const x = (step: number): number => margin + ((width - margin - 10) * (step + 1)) / last;
    const y = (loss: number): number => height - margin - ((height - margin - 12) * loss) / top;
    const place = (loss: number, step: number): string => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`;
    const lines = [0, 0.25, 0.5, 0.75, 1].map(part => {
      const at = y(part * top).toFixed(1);
      return `<line class="grid" x1="${margin}" x2="${width - 10}" y1="${at}" y2="${at}"/>
        <text x="${margin - 6}" y="${at}" dy="0.32em" text-anchor="end">${+(part * top).toPrecision(2)}</text>`;
    });
    const dots = losses.map((loss, step) => {
      const [cx, cy] = place(loss, step).split(',');
      return `<circle cx="${cx}" cy="${cy}" r="2.2"/>`;
    });
    this.svg.innerHTML = `${lines.join('')}
      <text x="${margin}" y="${height - 10}">steps</text>
      <text x="${width - 10}" y="${height - 10}" text-anchor="end">${losses.length}</text>
      ${dots.join('')}<polyline points="${smoothed(losses).map(place).join(' ')}"/>`;
  }
}

const niceAbove = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 5, 10].find(factor => factor * power >= value)!;
};

/** Mean of the last eight. */
const smoothed = (values: readonly number[]): number[] =>
  values.map((_, i) => {
    const window = values.slice(Math.max(0, i - 7), i + 1);
    return window.reduce((sum, value) => sum + value, 0) / window.length;
  });
