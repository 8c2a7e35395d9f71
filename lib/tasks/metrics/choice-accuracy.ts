/** Share of items whose right completion is the most likely of its choices: the one whose tokens have the lowest sum of losses. */
import type { Metric } from '../metric.js';

export const choiceAccuracy: Metric<'choices'> = {
  name: 'accuracy',
  title: 'accuracy',
  better: 'higher',
  needs: 'choices',
  fits: ['completions'],
  byDefault: ['completions'],
  score: (items) => {
    // Of equal losses the first counts, so that a model that cannot tell choices apart is not always right.
    const right = items.filter(({ losses, right }) => losses.indexOf(Math.min(...losses)) === right).length;
    return {
      value: items.some(({ losses }) => losses.some(Number.isNaN)) ? Number.NaN : right / items.length,
      items: items.length,
    };
  },
};
