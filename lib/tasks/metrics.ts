/** All metrics of task quality. A new one is a file in lib/tasks/metrics and a row here. */
import { expected } from '../errors.js';
import type { Evidence, Metric, TaskKind } from './metric.js';
import { accuracy } from './metrics/accuracy.js';
import { choiceAccuracy } from './metrics/choice-accuracy.js';
import { loss } from './metrics/loss.js';
import { perplexity } from './metrics/perplexity.js';
import { tokenAccuracy } from './metrics/token-accuracy.js';
import { kWritten } from './metrics/written.js';

/** In the order in which tables show them. One name may stand for several, of different kinds of tasks. */
const kAll = [loss, perplexity, accuracy, choiceAccuracy, tokenAccuracy, ...kWritten];
export const kMetrics: readonly Metric[] = kAll as unknown as Metric[];
export const kMetricNames = [...new Set(kMetrics.map(({ name }) => name))] as [string, ...string[]];

/** Is more of a metric better? */
export function isHigherBetter(name: string): boolean {
  return kMetrics.find((metric) => metric.name === name)?.better === 'higher';
}

/**
 * The metrics that are asked for, or those by default, of a kind of task for which there is this evidence.
 * @throws RangeError for a name that is none, or one that does not fit.
 */
export function metricsFor(
  kind: TaskKind,
  there: readonly (keyof Evidence)[],
  asked: readonly string[] | undefined,
): Metric[] {
  const fit = kMetrics.filter(({ fits, needs }) => fits.includes(kind) && there.includes(needs));
  if (asked === undefined) return fit.filter(({ byDefault }) => byDefault.includes(kind));
  const names = fit.map(({ name }) => name).join(', ');
  const why = kind === 'completions' && !there.includes('choices') ? ' without `choices`' : '';
  return asked.map((name) => {
    const metric = fit.find((each) => each.name === name);
    if (!metric) throw expected('metrics', `some of ${names} for ${kind}${why}`, name);
    return metric;
  });
}
