/** Where each token stands in the text: token strings aligned with the normalised text they were made from. */
import { prepend, type Unit } from './normalize.js';

/** [start, end) in the original text, UTF-16 units. */
export type Span = [number, number];

/** How token strings spell the text: bytes in GPT-2's alphabet, text with ▁ for spaces, or words with ## inside. */
export type Spelling = 'bytes' | 'metaspace' | 'wordpiece';

export interface AlignOptions {
  spelling: Spelling;
  /** What stands before the first character of a section when it is not there already: a space, ▁ or nothing. */
  prefix: string;
  /** Tokens that stand for their own text, whatever the spelling. */
  isLiteral(token: string): boolean;
  unknown: string | undefined;
  /** Neighbouring unknown characters are one unknown token. */
  fuseUnknown: boolean;
  /** WordPiece: starts tokens inside words. */
  continuing: string;
}

/** GPT-2's byte alphabet: printable Latin-1 letters stand for themselves, the other bytes for U+0100 and on. */
export const kByteLetters: readonly string[] = (() => {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

const kEncoder = new TextEncoder();

/** A letter of a token's spelling, and the unit it belongs to. */
interface Letter {
  text: string;
  unit: number;
}

/** Tokens taken off a section's units one by one, from the left. */
class Walker {
  private readonly options: AlignOptions;
  private readonly units: Unit[];
  private readonly letters: Letter[];
  private at = 0;

  constructor(units: Unit[], options: AlignOptions) {
    this.options = options;
    this.units = options.prefix && units[0]?.text !== options.prefix ? prepend(options.prefix, units) : units;
    this.letters = this.units.flatMap(({ text }, unit) =>
      options.spelling === 'bytes'
        ? Array.from(kEncoder.encode(text), (byte) => ({ text: kByteLetters[byte]!, unit }))
        : [{ text, unit }],
    );
  }

  /** Nothing but spaces is left. */
  get finished(): boolean {
    return this.letters.slice(this.at).every((letter) => isSpace(letter.text));
  }

  /** The span of `token`, which `next` follows. */
  take(token: string, next: string | undefined): Span {
    if (token !== this.options.unknown && this.options.isLiteral(token)) return this.literal(token);
    if (this.options.spelling === 'wordpiece') return this.wordPiece(token);
    const byte = this.options.spelling === 'metaspace' ? /^<0x([0-9A-F]{2})>$/.exec(token) : null;
    if (byte) return this.byte();
    if (token === this.options.unknown) return this.unknownRun(next);
    return this.spelled([...token]);
  }

  private span(first: number, last: number): Span {
    const from = this.units[this.letters[first]?.unit ?? -1];
    const to = this.units[this.letters[Math.max(first, last)]?.unit ?? -1];
    const end = this.units.at(-1)?.end ?? 0;
    return from && to ? [from.start, to.end] : [end, end];
  }

  /** `letters` as they stand; what the tokenizer dropped before them is skipped. */
  private spelled(letters: string[]): Span {
    const first = this.find(letters);
    this.at = Math.min(first + letters.length, this.letters.length);
    this.pending = 0;
    return this.span(first, this.at - 1);
  }

  private find(letters: string[]): number {
    for (let start = this.at; start + letters.length <= this.letters.length; start++)
      if (letters.every((letter, i) => this.letters[start + i]!.text === letter)) return start;
    return this.at;
  }

  private literal(token: string): Span {
    const letters = [...token].flatMap((point) =>
      this.options.spelling === 'bytes' ? Array.from(kEncoder.encode(point), (byte) => kByteLetters[byte]!) : [point],
    );
    return this.spelled(letters);
  }

  /** Bytes of the current character still to come as byte tokens. */
  private pending = 0;

  private byte(): Span {
    const letter = this.letters[this.at];
    if (!letter) return this.span(this.letters.length, 0);
    if (this.pending === 0) this.pending = kEncoder.encode(letter.text).length;
    const span = this.span(this.at, this.at);
    if (--this.pending === 0) this.at++;
    return span;
  }

  /** One unknown token stands for one character, or, fused, for the run up to where the next token is found. */
  private unknownRun(next: string | undefined): Span {
    const first = this.at++;
    const stop = next && [...next][0];
    if (this.options.fuseUnknown)
      while (this.at < this.letters.length && this.letters[this.at]!.text !== stop) this.at++;
    return this.span(first, this.at - 1);
  }

  private wordPiece(token: string): Span {
    const { continuing, unknown } = this.options;
    if (token !== unknown && continuing && token.startsWith(continuing) && this.inWord())
      return this.spelled([...token.slice(continuing.length)]);
    this.skipSpace();
    if (token !== unknown) return this.spelled([...token]);
    const first = this.at++;
    if (!isPunctuation(this.letters[first]?.text ?? ''))
      while (this.inWord() && !isPunctuation(this.letters[this.at]!.text)) this.at++;
    return this.span(first, this.at - 1);
  }

  private inWord(): boolean {
    const letter = this.letters[this.at];
    return letter !== undefined && !isSpace(letter.text);
  }
  private skipSpace(): void {
    while (this.at < this.letters.length && !this.inWord()) this.at++;
  }
}

function isSpace(point: string): boolean {
  return /\s/u.test(point);
}
function isPunctuation(point: string): boolean {
  return /[\p{P}!-/:-@[-`{-~]/u.test(point);
}

/**
 * Spans of the tokens of one section, in order: `tokens` from `from` on, up to the literal `stop` that ends the section. `units` are the
 * section's, normalised; ▁ already stands for spaces.
 */
export function alignTokens(
  units: Unit[],
  tokens: string[],
  from: number,
  stop: string | undefined,
  options: AlignOptions,
): Span[] {
  const walker = new Walker(units, options);
  const spans: Span[] = [];
  for (const [i, token] of tokens.slice(from).entries()) {
    // The text may hold the unknown token literally: only what is left of the section tells the two apart.
    if (token === stop && (token !== options.unknown || walker.finished)) break;
    spans.push(walker.take(token, tokens[from + i + 1]));
  }
  return spans;
}

/** The index `count` code points after `index` (before, when negative), within the text. */
function step(text: string, index: number, count: number): number {
  let at = index;
  for (let left = Math.abs(count); left > 0; left--) {
    const point = count > 0 ? text.codePointAt(at) : text.codePointAt(at - 2);
    at += Math.sign(count) * (point !== undefined && point > 0xffff ? 2 : 1);
  }
  return Math.min(Math.max(at, 0), text.length);
}

/**
 * Takes the spaces at both ends of byte-level tokens off their spans, as the reference's `trim_offsets` does. With `prefixSpace`, the
 * space that was put before the text is not taken off a second time.
 */
export function trimSpaces(text: string, tokens: string[], spans: Span[], prefixSpace: boolean): void {
  const space = kByteLetters[32]!;
  for (const [i, token] of tokens.entries()) {
    const span = spans[i]!;
    let leading = 0;
    while (leading < token.length && token[leading] === space) leading++;
    let trailing = 0;
    while (trailing < token.length && token[token.length - 1 - trailing] === space) trailing++;
    if (leading > 0 && prefixSpace && (i === 0 || span[0] === 0)) leading--;
    span[0] = Math.min(step(text, span[0], leading), span[1]);
    span[1] = Math.max(step(text, span[1], -trailing), span[0]);
  }
}
