/** exp of the mean loss a token. */
import type { Metric } from '../metric.js';
import { meanLoss } from './loss.js';

export const perplexity: Metric<'likelihood'> = {
  name: 'perplexity',
  title: 'perplexity',
  better: 'lower',
  needs: 'likelihood',
  fits: ['texts', 'completions'],
  byDefault: ['texts'],
  score: (evidence) => {
    const { value, items } = meanLoss(evidence);
    return { value: Math.exp(value), items };
  },
};
