/** Telling how far a run is: one line that rewrites itself on a terminal, a few plain lines elsewhere. */
const watched = process.stdout.isTTY === true;
const bar = (part: number): string => `${'━'.repeat(Math.round(part * 24))}${'╌'.repeat(24 - Math.round(part * 24))}`;

export class Progress {
  #shown = 0;

  constructor(
    private readonly title: string,
    private readonly total: number,
  ) {}

  /** Call as often as you like. */
  at(done: number, detail: () => string): void {
    if (!watched || (performance.now() - this.#shown < 80 && done < this.total)) return;
    this.#shown = performance.now();
    process.stdout.write(`\r\x1b[K${this.title} ${bar(done / this.total)} ${done}/${this.total}  ${detail()}`);
  }

  end(summary: string): void {
    process.stdout.write(`${watched ? '\r\x1b[K' : ''}${this.title}: ${summary}\n`);
  }
}
