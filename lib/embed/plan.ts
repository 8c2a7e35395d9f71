/** Which tokens the model reads, and which of them each stimulus is: sequences packed without padding, spans in them. */
import { CortuneError } from '../errors.js';
import type { TextTokenizer } from '../model/tokenizer.js';
import { packIds } from '../native/pack.js';
import type { Packed } from '../native/types.js';

/** What the native extraction is given. */
export interface EmbedPlan extends Packed {
  /** `[n, 2]`: packed positions [start, end) of each stimulus. */
  spans: Int32Array;
}

/** How far a model can see. */
export interface Reach {
  tokenizer: TextTokenizer;
  /** Most tokens in one sequence, special tokens included. */
  window: number;
}

/** A stretch of one text that is a stimulus, in characters. */
interface Stretch {
  stimulus: number;
  start: number;
  end: number;
}

class Builder {
  private readonly sequences: Int32Array[] = [];
  private readonly spans: Int32Array;
  private total = 0;

  constructor(stimuli: number) {
    this.spans = new Int32Array(2 * stimuli).fill(-1);
  }

  /** Adds a sequence; returns the packed position of its first token. */
  add(ids: Int32Array): number {
    const start = this.total;
    this.sequences.push(ids);
    this.total += ids.length;
    return start;
  }

  place(stimulus: number, start: number, end: number): void {
    this.spans[2 * stimulus] = start;
    this.spans[2 * stimulus + 1] = end;
  }

  finish(): EmbedPlan {
    return { ...packIds(this.sequences), spans: this.spans };
  }
}

function refuseEmpty(texts: readonly string[]): void {
  if (texts.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one stimulus, got none.');
  const empty = texts.findIndex((text) => text.trim() === '');
  if (empty >= 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected every stimulus to have text, got an empty one at number ${empty + 1}.`,
    );
}

function tooLong(stimulus: number, tokens: number, window: number, advice: string): CortuneError {
  return new CortuneError(
    'ERR_DATA',
    `Expected stimuli of at most ${window} tokens, the model's context, got ${tokens} at number ${stimulus + 1}. ${advice}`,
  );
}

/** Every text a sequence of its own; its span is all of it, special tokens included, as transformers' tokenizers give it. */
export function planAlone(texts: readonly string[], { tokenizer, window }: Reach): EmbedPlan {
  refuseEmpty(texts);
  const builder = new Builder(texts.length);
  for (const [i, text] of texts.entries()) {
    const { ids } = tokenizer.encode(text);
    if (ids.length > window)
      throw tooLong(i, ids.length, window, 'Split it, or embed it as part of a passage (context: cumulative).');
    const start = builder.add(ids);
    builder.place(i, start, start + ids.length);
  }
  return builder.finish();
}

/** Neighbouring texts of one passage joined by spaces, with where each lies. */
function joinPassages(
  texts: readonly string[],
  passages: readonly string[] | undefined,
): { text: string; parts: Stretch[] }[] {
  const joined: { text: string; parts: Stretch[] }[] = [];
  let passage: string | undefined;
  for (const [i, piece] of texts.entries()) {
    if (joined.length === 0 || passages?.[i] !== passage) joined.push({ text: '', parts: [] });
    passage = passages?.[i];
    const current = joined[joined.length - 1]!;
    if (current.text !== '') current.text += ' ';
    const start = current.text.length;
    current.text += piece;
    current.parts.push({ stimulus: i, start, end: current.text.length });
  }
  return joined;
}

/** Tokens of a text without its special ones, those kept apart. */
interface Body {
  ids: Int32Array;
  /** [2 * ids.length] character offsets. */
  offsets: Int32Array;
  /** Special tokens before the text (a beginning-of-sequence token). */
  head: Int32Array;
}

function bodyOf(tokenizer: TextTokenizer, text: string): Body {
  const { ids, offsets } = tokenizer.encode(text);
  let first = 0;
  while (first < ids.length && offsets[2 * first]! < 0) first++;
  let end = ids.length;
  while (end > first && offsets[2 * (end - 1)]! < 0) end--;
  return { ids: ids.subarray(first, end), offsets: offsets.subarray(2 * first, 2 * end), head: ids.subarray(0, first) };
}

/**
 * Tokens [first, end) of each stretch. A token belongs to the stretch that holds its last character (a word's token may begin with the
 * space before it); a stretch inside one token has that token.
 */
function tokensOf(body: Body, parts: readonly Stretch[]): { stimulus: number; first: number; end: number }[] {
  const count = body.ids.length;
  let token = 0;
  return parts.map(({ stimulus, start, end }) => {
    while (token < count && body.offsets[2 * token + 1]! <= start) token++;
    const first = token;
    while (token < count && body.offsets[2 * token + 1]! <= end) token++;
    return { stimulus, first: Math.min(first, count - 1), end: Math.max(token, Math.min(first, count - 1) + 1) };
  });
}

/**
 * Texts in the context of their passage: one causal pass over each passage, whatever the number of its texts. A passage longer than the
 * window is read in windows that overlap by half, and each stimulus is taken from the first window that holds it, so that it has
 * at least half a window before it.
 */
export function planCumulative(
  texts: readonly string[],
  { tokenizer, window }: Reach,
  passages?: readonly string[],
): EmbedPlan {
  refuseEmpty(texts);
  const builder = new Builder(texts.length);
  for (const { text, parts } of joinPassages(texts, passages)) {
    const body = bodyOf(tokenizer, text);
    const room = window - body.head.length; // tokens of text in one window
    const stride = Math.max(1, Math.floor(room / 2));
    const starts = new Map<number, number>(); // window number -> packed position of its first text token
    for (const { stimulus, first, end } of tokensOf(body, parts)) {
      const number = Math.max(0, Math.ceil((end - room) / stride));
      const from = number * stride;
      if (first < from) throw tooLong(stimulus, end - first, stride, 'Split it into shorter stimuli.');
      let start = starts.get(number);
      if (start === undefined) {
        const piece = body.ids.subarray(from, from + room);
        const ids = new Int32Array(body.head.length + piece.length);
        ids.set(body.head);
        ids.set(piece, body.head.length);
        start = builder.add(ids) + body.head.length;
        starts.set(number, start);
      }
      builder.place(stimulus, start + first - from, start + end - from);
    }
  }
  return builder.finish();
}

/** Words of texts: what lies between white space. Gives the words and the number of the text of each. */
export function splitWords(texts: readonly string[]): { words: string[]; textOf: number[] } {
  refuseEmpty(texts);
  const words: string[] = [];
  const textOf: number[] = [];
  for (const [i, text] of texts.entries())
    for (const word of text.trim().split(/\s+/)) {
      words.push(word);
      textOf.push(i);
    }
  return { words, textOf };
}
