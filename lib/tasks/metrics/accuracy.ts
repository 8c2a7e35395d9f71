/** Share of items answered rightly: the most likely class of a trained head. */
import type { Metric } from '../metric.js';

export const accuracy: Metric<'likelihood'> = {
  name: 'accuracy',
  title: 'accuracy',
  better: 'higher',
  needs: 'likelihood',
  fits: ['classes'],
  byDefault: ['classes'],
  score: ({ correct, counts }) => {
    const right = correct.reduce((total, value) => total + value, 0);
    return { value: right / counts.length, items: counts.length };
  },
};
