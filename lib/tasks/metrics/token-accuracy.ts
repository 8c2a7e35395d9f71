/** Share of tokens that are the most likely one, given the true tokens before them; of completions, of their tokens alone. */
import type { Metric } from '../metric.js';

export const tokenAccuracy: Metric<'likelihood'> = {
  name: 'token_accuracy',
  title: 'token accuracy',
  better: 'higher',
  needs: 'likelihood',
  fits: ['texts', 'completions'],
  byDefault: ['completions'],
  score: ({ correct, counts }) => {
    const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
    return { value: sum(correct) / sum(counts), items: sum(counts) };
  },
};
