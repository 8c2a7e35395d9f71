/** ROUGE (Lin 2004), as the package rouge-score computes it. */
import { counted, overlap } from './answers.js';
import { checkItems } from './items.js';
import { porterStem } from './porter.js';

export const kRouge = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum'] as const;
export type RougeKind = (typeof kRouge)[number];

export interface RougeScore {
  precision: number;
  recall: number;
  f: number;
}

function tokensOf(text: string, stem: boolean): string[] {
  const words = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .split(' ')
    .filter(Boolean);
  return stem ? words.map((word) => (word.length > 3 ? porterStem(word) : word)) : words;
}

function scoreOf(hits: number, predicted: number, target: number): RougeScore {
  const [precision, recall] = [hits / Math.max(predicted, 1), hits / Math.max(target, 1)];
  return { precision, recall, f: precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0 };
}

function grams(tokens: readonly string[], n: number): string[] {
  return Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n).join(' '));
}

function ofGrams(predicted: string[], target: string[], n: number): RougeScore {
  const [a, b] = [grams(predicted, n), grams(target, n)];
  return scoreOf(overlap(counted(a), counted(b)), a.length, b.length);
}

/** Lengths of longest common subsequences of all beginnings: [a + 1][b + 1]. */
function commonTable(a: readonly string[], b: readonly string[]): Int32Array[] {
  const table = Array.from({ length: a.length + 1 }, () => new Int32Array(b.length + 1));
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i]![j] = a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!);
  return table;
}

/** Places in `reference` of a longest subsequence that it has in common with `candidate`. */
function commonPlaces(reference: readonly string[], candidate: readonly string[]): number[] {
  const table = commonTable(reference, candidate);
  const places: number[] = [];
  let [i, j] = [reference.length, candidate.length];
  while (i > 0 && j > 0) {
    if (reference[i - 1] === candidate[j - 1]) {
      places.unshift(i - 1);
      i--;
      j--;
    } else if (table[i]![j - 1]! > table[i - 1]![j]!) j--;
    else i--;
  }
  return places;
}

function ofSequence(predicted: string[], target: string[]): RougeScore {
  const common = commonTable(target, predicted)[target.length]![predicted.length]!;
  return scoreOf(common, predicted.length, target.length);
}

/** Of every sentence of the target the union of what it has in common with each predicted sentence; no word counts more often than it occurs. */
function ofSummary(predicted: string[][], target: string[][]): RougeScore {
  const [m, n] = [target, predicted].map((part) => part.reduce((sum, { length }) => sum + length, 0));
  if (m === 0 || n === 0) return scoreOf(0, 0, 0);
  const left = [counted(target.flat()), counted(predicted.flat())];
  let hits = 0;
  for (const sentence of target) {
    const union = new Set(predicted.flatMap((candidate) => commonPlaces(sentence, candidate)));
    for (const word of [...union].sort((a, b) => a - b).map((place) => sentence[place]!)) {
      if (!left.every((counts) => (counts.get(word) ?? 0) > 0)) continue;
      hits++;
      for (const counts of left) counts.set(word, counts.get(word)! - 1);
    }
  }
  return scoreOf(hits, n!, m!);
}

/**
 * ROUGE of one prediction, each from 0 to 1. Sentences of rougeLsum are lines. Of several targets the best by F counts.
 * @param options.stemmer Porter's stemmer for words of more than three letters. Default false.
 */
export function rouge(
  predicted: string,
  targets: readonly string[],
  kind: RougeKind,
  options: { stemmer?: boolean } = {},
): RougeScore {
  const { stemmer = false } = options;
  checkItems([predicted], [targets]);
  const lines = (text: string) =>
    text
      .split('\n')
      .filter((line) => line.length > 0)
      .map((line) => tokensOf(line, stemmer));
  const scores = targets.map((target) => {
    if (kind === 'rougeLsum') return ofSummary(lines(predicted), lines(target));
    const [a, b] = [tokensOf(predicted, stemmer), tokensOf(target, stemmer)];
    if (kind === 'rougeL') return a.length === 0 || b.length === 0 ? scoreOf(0, 0, 0) : ofSequence(a, b);
    return ofGrams(a, b, kind === 'rouge1' ? 1 : 2);
  });
  return scores.reduce((best, score) => (score.f > best.f ? score : best));
}
