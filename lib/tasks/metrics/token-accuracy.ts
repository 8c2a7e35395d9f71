/** Share of tokens that are the most likely one, given the true tokens before them; of completions, of their tokens alone. */
import { sum } from '../../numbers.js';
import type { Metric } from '../metric.js';

export const tokenAccuracy: Metric<'likelihood'> = {
  name: 'token_accuracy',
  title: 'token accuracy',
  better: 'higher',
  needs: 'likelihood',
  fits: ['texts', 'completions'],
  byDefault: ['completions'],
  score: ({ correct, counts }) => ({ value: sum(correct) / sum(counts), items: sum(counts) }),
};
