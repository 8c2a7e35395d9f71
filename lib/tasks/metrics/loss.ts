/** Mean loss of what is to be predicted: nats a token (completions: of their tokens), nats an answer (classes), squared error (values). */
import { sum } from '../../numbers.js';
import type { Likelihood, Metric, MetricScore } from '../metric.js';

export function meanLoss({ losses, counts }: Likelihood): MetricScore {
  return { value: sum(losses) / sum(counts), items: sum(counts) };
}

export const loss: Metric<'likelihood'> = {
  name: 'loss',
  title: 'loss',
  better: 'lower',
  needs: 'likelihood',
  fits: ['texts', 'completions', 'classes', 'values'],
  byDefault: ['texts', 'completions', 'classes', 'values'],
  score: meanLoss,
};
