/** Praat TextGrid files, long and short text form: tiers of labelled intervals or points. */
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../../errors.js';
import { lineAt } from './bytes.js';

/** A labelled stretch of time, in seconds; for a point, start and end are the same. */
export interface Interval {
  start: number;
  end: number;
  text: string;
}

export interface Tier {
  name: string;
  kind: 'IntervalTier' | 'TextTier';
  intervals: Interval[];
}

type Token = { kind: 'text' | 'number' | 'flag'; value: string; at: number };

/**
 * Praat reads a text file by its free-standing values only: quoted texts ("" is a quote), numbers and <flags>. Words, `=`, and
 * numbers in brackets are comments, which is why the long and the short form hold the same thing.
 */
const kToken = /"((?:[^"]|"")*)"|<(\w+)>|(?<!\S)([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?=\s|$)|(?<!\S)![^\n]*/g;

class Reader {
  private readonly tokens: Token[] = [];
  private next = 0;

  constructor(
    private readonly content: string,
    private readonly name: string,
  ) {
    for (const match of content.matchAll(kToken)) {
      const [, text, flag, number] = match;
      const at = match.index;
      if (text !== undefined) this.tokens.push({ kind: 'text', value: text.replaceAll('""', '"'), at });
      else if (flag !== undefined) this.tokens.push({ kind: 'flag', value: flag, at });
      else if (number !== undefined) this.tokens.push({ kind: 'number', value: number, at });
    }
  }

  get left(): number {
    return this.tokens.length - this.next;
  }

  take(kind: Token['kind'], what: string): string {
    const token = this.tokens[this.next++];
    if (token?.kind === kind) return token.value;
    const got = token
      ? `\`${token.value.slice(0, 40)}\` in line ${lineAt(this.content, token.at)}`
      : 'the end of the file';
    return this.fail(`Expected ${what}, got ${got}`);
  }

  number(what: string): number {
    return Number(this.take('number', what));
  }

  /** A count that the rest of the file can hold, so that a lying one ends here. */
  count(what: string, tokensEach: number): number {
    const count = this.number(what);
    if (Number.isInteger(count) && count >= 0 && count * tokensEach <= this.left) return count;
    return this.fail(`Expected ${what} to be a count that the file holds, got ${count}`);
  }

  fail(message: string): never {
    throw new CortuneError('ERR_FORMAT', `${this.name}: ${message}. Save it again from Praat as a text file.`);
  }
}

/** Parses a TextGrid. @throws ERR_FORMAT naming the line. */
export function parseTextGrid(content: string, name: string): Tier[] {
  const reader = new Reader(content, name);
  const first = content.trimStart().slice(0, 40);
  if (!/ooTextFile/.test(first))
    reader.fail(`Expected a Praat text file ("ooTextFile"), got \`${first.split('\n')[0]}\``);
  reader.take('text', '"ooTextFile"');
  const object = reader.take('text', '"TextGrid"');
  if (object !== 'TextGrid') reader.fail(`Expected the object class "TextGrid", got "${object}"`);
  reader.number('the start of the grid');
  reader.number('the end of the grid');
  if (reader.take('flag', '<exists> or <absent>') !== 'exists') return [];
  const tiers = reader.count('the number of tiers', 5);
  return Array.from({ length: tiers }, (_, i) => parseTier(reader, i + 1));
}

function parseTier(reader: Reader, number: number): Tier {
  const kind = reader.take('text', `the class of tier ${number}`);
  if (kind !== 'IntervalTier' && kind !== 'TextTier')
    return reader.fail(`Expected tier ${number} to be an "IntervalTier" or a "TextTier", got "${kind}"`);
  const name = reader.take('text', `the name of tier ${number}`);
  reader.number(`the start of tier ${number}`);
  reader.number(`the end of tier ${number}`);
  const count = reader.count(`the size of tier ${number}`, kind === 'IntervalTier' ? 3 : 2);
  const intervals: Interval[] = [];
  for (let i = 1; i <= count; i++) {
    const what = `of item ${i} of tier \`${name}\``;
    const start = reader.number(`the time ${what}`);
    const end = kind === 'IntervalTier' ? reader.number(`the end ${what}`) : start;
    const text = reader.take('text', `the text ${what}`);
    if (end < start) reader.fail(`Expected the end ${what} to be at or after its start ${start}, got ${end}`);
    intervals.push({ start, end, text });
  }
  return { name, kind, intervals };
}

/** The tier of this name; the only one when there is one and no name is given. @throws ERR_DATA with the names there are. */
export function tierNamed(tiers: Tier[], wanted: string | undefined, name: string): Tier {
  const found = wanted === undefined && tiers.length === 1 ? tiers[0] : tiers.find((tier) => tier.name === wanted);
  if (found) return found;
  const names = tiers.map((tier) => tier.name);
  const hint = wanted !== undefined && names.length > 0 ? ` (did you mean \`${closest(wanted, names)}\`?)` : '';
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected ${wanted === undefined ? 'a `tier` to be named' : `a tier \`${wanted}\``}${hint}, it has ${names.map((one) => `\`${one}\``).join(', ') || 'none'}.`,
  );
}
