/** Metrics of what is written after prompts, against the answers that count as right. */

import type { Evidence, Metric } from '../metric.js';
import { exactMatch, tokenF1 } from '../scores/answers.js';
import { bleu } from '../scores/bleu.js';
import { chrf } from '../scores/chrf.js';
import { kRouge, rouge } from '../scores/rouge.js';

type Texts = Evidence['texts'];

function metric(name: string, title: string, score: (evidence: Texts) => number): Metric<'texts'> {
  return {
    ...{ name, title, better: 'higher', needs: 'texts', fits: ['completions'] },
    byDefault: [],
    score: (evidence) => ({ value: score(evidence), items: evidence.texts.length }),
  };
}

const mean =
  (score: (text: string, references: readonly string[]) => number) =>
  ({ texts, references }: Texts) =>
    texts.reduce((sum, text, i) => sum + score(text, references[i]!), 0) / texts.length;

/** Shares of 1, but BLEU and chrF, which go to 100 as sacrebleu gives them. */
export const kWritten: readonly Metric<'texts'>[] = [
  metric('exact_match', 'exact match', mean(exactMatch)),
  metric('f1', 'token F1', mean(tokenF1)),
  ...kRouge.map((kind) =>
    metric(
      kind,
      kind.replace('rouge', 'ROUGE-'),
      mean((text, references) => rouge(text, references, kind).f),
    ),
  ),
  metric('bleu', 'BLEU', ({ texts, references }) => bleu(texts, references).score),
  metric('chrf', 'chrF', ({ texts, references }) => chrf(texts, references)),
];
