/** chrF of a corpus (Popovic 2015), as sacrebleu computes it: character n-grams up to 6 without white space, beta 2. */
import { counted, overlap } from './answers.js';
import { checkItems } from './items.js';

export interface ChrfOptions {
  /** Longest n-grams of characters. Default 6. */
  characters?: number;
  /** Longest n-grams of words; 2 makes chrF++. Default 0. */
  words?: number;
  /** How much recall counts against precision. Default 2. */
  beta?: number;
}

/** n-grams of the prediction, of the reference, of both: order after order. */
type Statistics = [predicted: number, reference: number, common: number][];

function grams(parts: readonly string[], n: number, glue: string): Map<string, number> {
  const all: string[] = [];
  for (let i = 0; i + n <= parts.length; i++) all.push(parts.slice(i, i + n).join(glue));
  return counted(all);
}

const kMarks = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');

/** A mark at one end of a word stands alone. */
function wordsOf(text: string): string[] {
  return text
    .split(/\s+/u)
    .filter(Boolean)
    .flatMap((word) => {
      const letters = [...word];
      if (letters.length === 1) return [word];
      if (kMarks.has(letters.at(-1)!)) return [letters.slice(0, -1).join(''), letters.at(-1)!];
      if (kMarks.has(letters[0]!)) return [letters[0]!, letters.slice(1).join('')];
      return [word];
    });
}

function allGrams(text: string, characters: number, words: number): Map<string, number>[] {
  const letters = [...text.replace(/\s+/gu, '')];
  const marked = words > 0 ? wordsOf(text) : [];
  return [
    ...Array.from({ length: characters }, (_, n) => grams(letters, n + 1, '')),
    ...Array.from({ length: words }, (_, n) => grams(marked, n + 1, ' ')),
  ];
}

function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

/** An order without n-grams in the prediction or the reference is left out. */
function fScore(statistics: Statistics, beta: number): number {
  const factor = beta ** 2;
  let [precision, recall, orders] = [0, 0, 0];
  for (const [predicted, reference, common] of statistics) {
    if (predicted === 0 || reference === 0) continue;
    precision += common / predicted;
    recall += common / reference;
    orders++;
  }
  if (orders === 0 || precision + recall === 0) return 0;
  precision /= orders;
  recall /= orders;
  return (100 * (1 + factor) * precision * recall) / (factor * precision + recall);
}

/**
 * chrF of all predictions together, 0 to 100; of several references of a prediction the one with the best score counts.
 * @throws ERR_DATA naming the number of a prediction without a reference.
 */
export function chrf(
  predictions: readonly string[],
  references: readonly (readonly string[])[],
  options: ChrfOptions = {},
): number {
  const { characters = 6, words = 0, beta = 2 } = options;
  checkItems(predictions, references);
  const sum: Statistics = Array.from({ length: characters + words }, () => [0, 0, 0]);
  for (const [i, prediction] of predictions.entries()) {
    const own = allGrams(prediction, characters, words);
    let best: { score: number; statistics: Statistics } | undefined;
    for (const reference of references[i]!) {
      const theirs = allGrams(reference, characters, words);
      // Grams of a prediction count only where the reference has some of that order.
      const statistics: Statistics = own.map((counts, n) => [
        theirs[n]!.size > 0 ? total(counts) : 0,
        total(theirs[n]!),
        overlap(counts, theirs[n]!),
      ]);
      const score = fScore(statistics, beta);
      if (!best || score > best.score) best = { score, statistics };
    }
    for (const [n, values] of best!.statistics.entries()) for (const k of [0, 1, 2] as const) sum[n]![k] += values[k];
  }
  return fScore(sum, beta);
}
