/** Exact match and token F1 of answers, as SQuAD's evaluation script (Rajpurkar et al. 2016, arXiv:1606.05250). */

/** Python's `string.punctuation`. */
const kPunctuation = /[!-/:-@[-`{-~]/g;
const kArticles = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** Lower case, without punctuation, articles and surplus white space. */
export function normalizeAnswer(text: string): string {
  return text.toLowerCase().replace(kPunctuation, '').replace(kArticles, ' ').split(/\s+/u).filter(Boolean).join(' ');
}

/** 1 where the answer is one of the gold answers after normalisation, else 0. */
export function exactMatch(answer: string, golds: readonly string[]): number {
  const own = normalizeAnswer(answer);
  return golds.some((gold) => normalizeAnswer(gold) === own) ? 1 : 0;
}

/** How often each occurs. */
export function counted<T>(items: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** What two counts have in common. */
export function overlap<T>(a: ReadonlyMap<T, number>, b: ReadonlyMap<T, number>): number {
  let sum = 0;
  for (const [item, count] of a) sum += Math.min(count, b.get(item) ?? 0);
  return sum;
}

function f1Of(answer: string, gold: string): number {
  const [own, theirs] = [answer, gold].map((text) => normalizeAnswer(text).split(' ').filter(Boolean));
  const same = overlap(counted(own!), counted(theirs!));
  if (same === 0) return 0;
  const [precision, recall] = [same / own!.length, same / theirs!.length];
  return (2 * precision * recall) / (precision + recall);
}

/** The best F1 of the words of the answer against those of one gold answer, 0 to 1. */
export function tokenF1(answer: string, golds: readonly string[]): number {
  return golds.reduce((best, gold) => Math.max(best, f1Of(answer, gold)), 0);
}
