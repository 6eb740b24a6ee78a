/**
 * Reading IR text: a cursor over tokens that knows its line and column, so that every complaint names its place.
 */
import { fail } from '../errors.js';

/** Words, strings, numbers (with an optional type suffix, as in `1_f32`), and the operators of both IRs, longest first. */
const tokenPattern =
  /\s+|#[^\n]*|([A-Za-z_][\w.$]*|"(?:[^"\\]|\\.)*")|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:_[a-z]\w*)?)|(<<|>>|\/\/|[<>=!&|*+]=|[-+*/%&|^~<>?:=()[\]{},])/y;

export interface Token {
  readonly text: string;
  /** Offset in the source text. */
  readonly start: number;
}

export class Cursor {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(
    readonly source: string,
    /** The line of the whole text at which `source` starts. */
    readonly firstLine = 1,
  ) {
    this.#tokens = this.#split();
  }

  #split(): Token[] {
    const tokens: Token[] = [];
    for (let at = 0; at < this.source.length; ) {
      tokenPattern.lastIndex = at;
      const match = tokenPattern.exec(this.source);
      if (match === null) this.complain(`a character that has no meaning here: '${this.source[at]}'`, at);
      if (match[1] ?? match[2] ?? match[3]) tokens.push({ text: match[0], start: at });
      at = tokenPattern.lastIndex;
    }
    return tokens;
  }

  /** The coming token without taking it; the empty string at the end. */
  peek(ahead = 0): string {
    return this.#tokens[this.#next + ahead]?.text ?? '';
  }
  get done(): boolean {
    return this.#next >= this.#tokens.length;
  }
  /** Take the coming token. */
  take(): string {
    const token = this.#tokens[this.#next];
    if (token === undefined) this.complain('the text ends too early');
    this.#next++;
    return token.text;
  }
  /** Take the coming token if it is `text`. */
  accept(text: string): boolean {
    if (this.peek() !== text) return false;
    this.#next++;
    return true;
  }
  expect(text: string): void {
    if (!this.accept(text)) this.complain(`expected '${text}' but found ${this.found()}`);
  }
  found(): string {
    return this.done ? 'the end' : `'${this.peek()}'`;
  }

  /** Items separated by commas up to the closing token, which is taken. */
  list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.accept(close)) return items;
    do items.push(item());
    while (this.accept(','));
    this.expect(close);
    return items;
  }

  integer(): number {
    const text = this.take();
    if (!/^\d+$/.test(text)) this.reject(`expected a whole number but found '${text}'`);
    return Number(text);
  }

  /** The rest of the line after the last token taken, where it is a comment; else null. */
  comment(): string | null {
    const last = this.#tokens[this.#next - 1];
    const rest = this.source.slice(last === undefined ? 0 : last.start + last.text.length).match(/^[^\n]*/)![0];
    return /^\s*#\s?(.*)$/.exec(rest)?.[1] ?? null;
  }

  /** Complain about the token just taken. */
  reject(problem: string): never {
    return this.complain(problem, this.#tokens[this.#next - 1]?.start);
  }

  complain(problem: string, at = this.#tokens[this.#next]?.start ?? this.source.length): never {
    const before = this.source.slice(0, at).split('\n');
    const place = `line ${this.firstLine + before.length - 1}, column ${before[before.length - 1].length + 1}`;
    return fail('E401', { problem: `IR text, ${place}: ${problem}` });
  }
}

/** A name as it stands in IR text: bare where it reads as one word, else quoted. */
export const quoteName = (name: string): string => (/^[A-Za-z_][\w.$]*$/.test(name) ? name : JSON.stringify(name));
export const unquoteName = (text: string): string => (text.startsWith('"') ? (JSON.parse(text) as string) : text);
