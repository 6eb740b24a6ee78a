/**
 * When a call is to wait no longer for a thread that does not come: where that thread has ended, which Node can tell, and
 * where it has done nothing for so long that it will not.
 *
 * A thread that gets on takes turns of a divided loop. One turn may take long, so a call waits ten times as long as it ran
 * before, and a minute more. The seconds are counted, not read from a clock, which goes on while the machine sleeps.
 */
const MINUTE = 60;
const TIMES = 10;

export class Lateness {
  #began = 0;
  readonly #waits = new Map<number, { progress: number; ran: number; seconds: number }>();

  constructor(private readonly isGone: (thread: number) => boolean) {}

  callBegins(): void {
    this.#began = performance.now();
  }

  /** To be told about once a second. Throws where there is no more hope. */
  late(thread: number, progress: number): void {
    if (this.isGone(thread)) throw new Error(`thread ${thread} has ended, for which it waited`);
    let wait = this.#waits.get(thread);
    if (wait?.progress !== progress) {
      wait = { progress, ran: (performance.now() - this.#began) / 1000, seconds: 0 };
      this.#waits.set(thread, wait);
    }
    if (++wait.seconds > MINUTE + TIMES * wait.ran)
      throw new Error(`thread ${thread} has done nothing for ${wait.seconds} seconds, for which it waited`);
  }
}
