/** BLEU of a corpus (Papineni et al. 2002), as sacrebleu computes it (Post 2018): 13a tokens, exponential smoothing. */
import { counted } from './answers.js';
import { checkItems } from './items.js';

const kEntities: [RegExp, string][] = [
  [/&quot;/g, '"'],
  [/&amp;/g, '&'],
  [/&lt;/g, '<'],
  [/&gt;/g, '>'],
];

/** Tokens of mteval's `13a`: punctuation stands alone, but for points and commas within numbers. */
export function tokenize13a(text: string): string[] {
  let line = text.trimEnd().replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  for (const [entity, character] of kEntities) line = line.replace(entity, character);
  return ` ${line} `
    .replace(/([{-~[-` -&(-+:-@/])/g, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/g, '$1 $2 ')
    .split(/\s+/u)
    .filter(Boolean);
}

const kOrder = 4;

export interface BleuScore {
  /** 0 to 100. */
  score: number;
  /** Of 1- to 4-grams, in percent. */
  precisions: number[];
  brevityPenalty: number;
  /** Tokens of the predictions, and of the references nearest in length. */
  length: number;
  referenceLength: number;
}

function grams(tokens: readonly string[]): Map<string, number> {
  const all: string[] = [];
  for (let n = 1; n <= kOrder; n++)
    for (let i = 0; i + n <= tokens.length; i++) all.push(tokens.slice(i, i + n).join(' '));
  return counted(all);
}

/** Each n-gram as often as in the reference that has it most often. */
function mostOf(references: readonly Map<string, number>[]): Map<string, number> {
  const most = new Map<string, number>();
  for (const counts of references)
    for (const [gram, count] of counts) most.set(gram, Math.max(count, most.get(gram) ?? 0));
  return most;
}

function nearest(length: number, lengths: readonly number[]): number {
  return [...lengths].sort((a, b) => Math.abs(a - length) - Math.abs(b - length) || a - b)[0]!;
}

/** Exponential smoothing: the k-th order without a match counts as 1 / 2^k matches. */
function precisionsOf(correct: readonly number[], total: readonly number[]): number[] {
  let halves = 1;
  return correct.map((hits, n) => {
    if (total[n] === 0) return 0;
    if (hits === 0) halves *= 2;
    return (100 * (hits === 0 ? 1 / halves : hits)) / total[n]!;
  });
}

/**
 * BLEU of all predictions together, each with one or several references.
 * @throws ERR_DATA naming the number of a prediction without a reference.
 * @returns 0 to 100; 0 where a prediction is too short for any 4-gram, as in sacrebleu.
 */
export function bleu(predictions: readonly string[], references: readonly (readonly string[])[]): BleuScore {
  checkItems(predictions, references);
  const [correct, total] = [new Array<number>(kOrder).fill(0), new Array<number>(kOrder).fill(0)];
  let [length, referenceLength] = [0, 0];
  for (const [i, prediction] of predictions.entries()) {
    const tokens = tokenize13a(prediction);
    const theirs = references[i]!.map(tokenize13a);
    length += tokens.length;
    referenceLength += nearest(
      tokens.length,
      theirs.map((each) => each.length),
    );
    const most = mostOf(theirs.map(grams));
    for (const [gram, count] of grams(tokens)) {
      const n = gram.split(' ').length - 1;
      total[n]! += count;
      correct[n]! += Math.min(count, most.get(gram) ?? 0);
    }
  }
  const brevityPenalty = length >= referenceLength ? 1 : length === 0 ? 0 : Math.exp(1 - referenceLength / length);
  const none = correct.every((hits) => hits === 0);
  const precisions = none ? correct.map(() => 0) : precisionsOf(correct, total);
  const logs = precisions.reduce((sum, value) => sum + (value === 0 ? Number.NEGATIVE_INFINITY : Math.log(value)), 0);
  return { score: brevityPenalty * Math.exp(logs / kOrder), precisions, brevityPenalty, length, referenceLength };
}
