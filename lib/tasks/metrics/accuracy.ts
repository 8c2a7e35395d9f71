/** Share of items answered rightly: the most likely class of a trained head. */
import { sum } from '../../numbers.js';
import type { Metric } from '../metric.js';

export const accuracy: Metric<'likelihood'> = {
  name: 'accuracy',
  title: 'accuracy',
  better: 'higher',
  needs: 'likelihood',
  fits: ['classes'],
  byDefault: ['classes'],
  score: ({ correct, counts }) => ({ value: sum(correct) / counts.length, items: counts.length }),
};
