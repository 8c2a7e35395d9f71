/** Words with their times from captions: WebVTT (.vtt) and SubRip (.srt). */
import { CortuneError } from '../../errors.js';
import type { Word } from '../types.js';

const kTime = String.raw`(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})`;
const kCue = new RegExp(String.raw`^\s*${kTime}\s+-->\s+${kTime}(?:\s.*)?$`);
/** A moment within a cue, as speech recognition writes it: `one <00:00:01.500>two`. */
const kMoment = new RegExp(`<${kTime}>`, 'g');
/** Blocks of WebVTT that are no cues. */
const kOther = /^(WEBVTT|NOTE|STYLE|REGION)(\s|$)/;

interface Piece {
  text: string;
  onset: number;
  offset: number;
}

/**
 * The words of captions. Where a cue marks moments (`<00:00:01.500>`) a word begins at its mark and lasts until the next; several words between two
 * marks, or in a cue without any, share their time in proportion to their letters.
 * @throws ERR_FORMAT naming the line of a cue whose times cannot be read or run backwards.
 */
export function parseCaptions(content: string, name: string): Word[] {
  const lines = content.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  const words: Word[] = [];
  for (let at = 0; at < lines.length; at++) {
    if (kOther.test(lines[at]!)) {
      while (at + 1 < lines.length && lines[at + 1]!.trim() !== '') at++;
      continue;
    }
    if (!lines[at]!.includes('-->')) continue; // the number or name of a cue
    const { onset, offset } = cueTimes(lines[at]!, at + 1, name);
    const body: string[] = [];
    while (at + 1 < lines.length && lines[at + 1]!.trim() !== '') body.push(lines[++at]!);
    words.push(...pieces(body.join(' '), onset, offset).flatMap(wordsOf));
  }
  if (words.length === 0 && !lines.some((line) => line.includes('-->')))
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected captions with times like \`00:00:01.000 --> 00:00:02.500\`, got none.`,
    );
  return words.sort((a, b) => a.onset - b.onset);
}

function cueTimes(line: string, number: number, name: string): { onset: number; offset: number } {
  const match = kCue.exec(line);
  if (match === null)
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected times like \`00:00:01.000 --> 00:00:02.500\` in line ${number}, got \`${line.trim().slice(0, 60)}\`.`,
    );
  const onset = secondsOf(match.slice(1, 5));
  const offset = secondsOf(match.slice(5, 9));
  if (offset >= onset) return { onset, offset };
  throw new CortuneError(
    'ERR_FORMAT',
    `${name}: Expected the end of the cue in line ${number} at or after its start ${onset} s, got ${offset} s.`,
  );
}

function secondsOf([hours = '0', minutes, seconds, fraction]: (string | undefined)[]): number {
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(`${seconds}.${fraction}`);
}

/** Stretches between the marks of a cue. */
function pieces(body: string, onset: number, offset: number): Piece[] {
  const found: Piece[] = [];
  let from = onset;
  let text = '';
  let at = 0;
  for (const match of body.matchAll(kMoment)) {
    text = body.slice(at, match.index);
    const moment = Math.min(Math.max(secondsOf(match.slice(1, 5)), from), offset);
    found.push({ text, onset: from, offset: moment });
    from = moment;
    at = match.index + match[0].length;
  }
  found.push({ text: body.slice(at), onset: from, offset });
  return found;
}

const kEntities: Record<string, string> = { amp: '&', lt: '<', gt: '>', nbsp: ' ', quot: '"', lrm: '', rlm: '' };

function wordsOf({ text, onset, offset }: Piece): Word[] {
  const plain = text
    .replace(/<[^>]*>|\{\\[^}]*\}/g, '') // voices, classes, italics; positions of SubRip
    .replace(/&(\w+);/g, (whole, entity: string) => kEntities[entity] ?? whole);
  // A dash alone marks a speaker.
  const words = plain.split(/\s+/).filter((word) => word !== '' && !/^[-\u2013\u2014]+$/.test(word));
  const total = words.reduce((sum, word) => sum + word.length, 0);
  let from = onset;
  return words.map((word) => {
    const start = from;
    from += ((offset - onset) * word.length) / total;
    return { text: word, onset: start, offset: from };
  });
}
