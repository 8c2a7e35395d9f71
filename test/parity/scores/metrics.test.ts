/** Metrics of texts equal rouge-score, sacrebleu, SQuAD's script and bert-score. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../lib/model/load.js';
import { exactMatch, tokenF1 } from '../../../lib/tasks/scores/answers.js';
import { bertScore } from '../../../lib/tasks/scores/bert-score.js';
import { bleu } from '../../../lib/tasks/scores/bleu.js';
import { chrf } from '../../../lib/tasks/scores/chrf.js';
import { porterStem } from '../../../lib/tasks/scores/porter.js';
import { kRouge, type RougeKind, rouge } from '../../../lib/tasks/scores/rouge.js';
import { tinyModel } from '../../helpers/tiny-models.js';

interface Corpus {
  items: number[];
  references: number;
  bleu: number;
  precisions: number[];
  bp: number;
  length: number;
  referenceLength: number;
  chrf: number;
  'chrf++': number;
}
const kGolden = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../fixtures/metrics/golden.json', import.meta.url)), 'utf8'),
) as {
  predictions: string[];
  references: string[][];
  squad: { exact: number[]; f1: number[] };
  rouge: Record<RougeKind, [number, number, number]>[];
  rougeStemmed: Record<RougeKind, [number, number, number]>[];
  stems: Record<string, string>;
  corpora: Corpus[];
  bert: {
    items: number[];
    layer: number;
    idf: boolean;
    baseline: [number, number, number] | null;
    precision: number[];
    recall: number[];
    f: number[];
  }[];
};
const { predictions, references } = kGolden;

// Counts and a few divisions in float64 here and there: equal but for their order.
const kDigits = 12;

describe('answers', () => {
  it.each(predictions.map((_, i) => i))('are judged as by SQuAD: item %i', (i) => {
    expect(exactMatch(predictions[i]!, references[i]!)).toBe(kGolden.squad.exact[i]);
    expect(tokenF1(predictions[i]!, references[i]!)).toBeCloseTo(kGolden.squad.f1[i]!, kDigits);
  });
});

describe('rouge', () => {
  it.each([false, true])('is that of rouge-score, stemmed: %s', (stemmer) => {
    const golden = stemmer ? kGolden.rougeStemmed : kGolden.rouge;
    for (const [i, prediction] of predictions.entries())
      for (const kind of kRouge) {
        const { precision, recall, f } = rouge(prediction, references[i]!, kind, { stemmer });
        for (const [k, value] of [precision, recall, f].entries())
          expect(value, `${kind} of item ${i}`).toBeCloseTo(golden[i]![kind][k]!, kDigits);
      }
  });

  it('stems words as NLTK', () => {
    const stems = Object.fromEntries(Object.keys(kGolden.stems).map((word) => [word, porterStem(word)]));
    expect(stems).toEqual(kGolden.stems);
  });
});

describe.each(kGolden.corpora)('the corpus of items $items with $references references', (corpus) => {
  const own = corpus.items.map((i) => predictions[i]!);
  const theirs = corpus.items.map((i) => references[i]!.slice(0, corpus.references));

  it('has the BLEU of sacrebleu', () => {
    const found = bleu(own, theirs);
    expect(found.score).toBeCloseTo(corpus.bleu, 10);
    for (const [n, precision] of corpus.precisions.entries()) expect(found.precisions[n]).toBeCloseTo(precision, 10);
    expect(found.brevityPenalty).toBeCloseTo(corpus.bp, kDigits);
    expect([found.length, found.referenceLength]).toEqual([corpus.length, corpus.referenceLength]);
  });

  it('has the chrF of sacrebleu', () => {
    expect(chrf(own, theirs)).toBeCloseTo(corpus.chrf, 10);
    expect(chrf(own, theirs, { words: 2 })).toBeCloseTo(corpus['chrf++'], 10);
  });
});

describe('BERTScore', () => {
  // Cosines of float32 states that agree to 1.2e-5 of their RMS; rescaling divides by 1 - baseline, 0.6 at least.
  const kClose = 4e-5;

  it.each(kGolden.bert)('of layer $layer, idf $idf, baseline $baseline is that of bert-score', async (golden) => {
    using model = await loadModel(tinyModel('bert'));
    const [own, theirs] = [golden.items.map((i) => predictions[i]!), golden.items.map((i) => references[i]!)];
    const { layer, idf, baseline } = golden;
    const found = await bertScore(model, own, theirs, { layer, idf, ...(baseline && { baseline }) });
    for (const part of ['precision', 'recall', 'f'] as const)
      for (const [i, value] of golden[part].entries())
        expect(Math.abs(found[part][i]! - value), `${part} of item ${i}`).toBeLessThan(kClose);
  });

  it('needs an encoder, and a layer it has', async () => {
    using causal = await loadModel(tinyModel('gpt2'));
    await expect(bertScore(causal, ['a'], [['b']])).rejects.toThrow('Expected a BERT-family encoder for BERTScore');
    using model = await loadModel(tinyModel('bert'));
    await expect(bertScore(model, ['a'], [['b']], { layer: 9 })).rejects.toThrow('Expected `layer` to be an integer');
  });
});

it('says which prediction has no reference', () => {
  expect(() => bleu(['a', 'b'], [['a'], []])).toThrow(
    'Expected a reference of every prediction, got none at number 2.',
  );
  expect(() => chrf(['a', 'b'], [['a']])).toThrow('Expected references of each of the 2 predictions, got those of 1.');
  expect(() => bleu([], [])).toThrow('Expected at least one prediction, got none.');
});
