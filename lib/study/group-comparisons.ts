/** The mean of some methods against that of others, stratum by stratum: parameter-efficient ones against full, for each model and rate. */
import { type Comparison, compareScores } from '../analysis/compare.js';
import { adjustFdr } from '../analysis/multiple.js';
import { CortuneError, expected } from '../errors.js';
import { type CompareOptions, chosenOf, targetsOf } from './comparisons.js';
import type { ResultRun, Results } from './results.js';

/** What runs may be told apart by; runs that agree in all that is asked for are one stratum, and are averaged. */
export const kAxes = ['data', 'model', 'task', 'lr', 'rank', 'seed', 'fraction'] as const;
export type CompareAxis = (typeof kAxes)[number];

export interface GroupOptions extends Omit<CompareOptions, 'baseline'> {
  /** Methods, as the study names them or as they are; of a stratum their runs are averaged, model by model, then the models. */
  of: readonly string[];
  /** Those that they are compared with. A run without a value on an axis, such as an untuned one, stands in every stratum. */
  baseline: readonly string[];
  /** Default: data and model. */
  per?: readonly CompareAxis[] | undefined;
}

export interface GroupComparison extends Comparison {
  /** Values of the axes. */
  stratum: Partial<Record<CompareAxis, string | number>>;
  /** How many runs were averaged. */
  runs: number;
  baselineRuns: number;
  /** Benjamini-Hochberg over the strata. */
  fdr: number;
}

/**
 * Paired comparisons of groups of methods, one a stratum that has runs of both.
 * @throws RangeError for an axis that is none; ERR_NOT_FOUND for a method without runs; ERR_DATA when no stratum has both.
 */
export function compareGroups(results: Results, options: GroupOptions): GroupComparison[] {
  const { of, baseline, per = ['data', 'model'], layer = 'best', ...test } = options;
  for (const axis of per) if (!kAxes.includes(axis)) throw expected('per', `some of ${kAxes.join(', ')}`, axis);
  const done = results.runs.filter((run) => run.scores);
  const [ours, theirs] = [membersOf(done, of, 'of'), membersOf(done, baseline, 'baseline')];
  const found = strataOf(ours, per).flatMap((stratum): Omit<GroupComparison, 'fdr'>[] => {
    const runs = ours.filter((run) => stands(run, stratum));
    // Features of other data or targets cannot be paired.
    const same = (run: ResultRun) =>
      run.record.data.hash === runs[0]!.record.data.hash && targetsOf(run) === targetsOf(runs[0]!);
    const [own, against] = balanced(
      runs.filter(same),
      theirs.filter((run) => stands(run, stratum) && same(run)),
    );
    if (own.length === 0 || against.length === 0) return [];
    const mean = (list: readonly ResultRun[]) => meanOfModels(list, (run) => chosenOf(run, layer));
    const compared = compareScores(mean(own), mean(against), own[0]!.scores!.targets, test);
    return [{ stratum, runs: own.length, baselineRuns: against.length, ...compared }];
  });
  if (found.length === 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected runs of ${of.join(', ')} and of ${baseline.join(', ')} that agree in ${per.join(', ')}, got none. Compare by fewer of these.`,
    );
  const fdr = adjustFdr(found.map(({ p }) => p));
  return found.map((each, i) => ({ ...each, fdr: fdr[i]! }));
}

function membersOf(runs: readonly ResultRun[], methods: readonly string[], option: string): ResultRun[] {
  const isOf = ({ record }: ResultRun, method: string) =>
    record.labels.method === method || (record.key.method === method && record.model !== null);
  for (const method of methods)
    if (!runs.some((run) => isOf(run, method))) {
      const names = [...new Set(runs.map(({ record }) => record.labels.method))].join(', ');
      throw new CortuneError('ERR_NOT_FOUND', `Expected \`${option}\` to be methods of ${names}, got \`${method}\`.`);
    }
  return runs.filter((run) => methods.some((method) => isOf(run, method)));
}

function axisValue({ record }: ResultRun, axis: CompareAxis): string | number | undefined {
  const { labels, data } = record;
  if (axis === 'data') return labels.data ?? data.name;
  if (axis === 'fraction') return labels.lr === null ? undefined : (labels.fraction ?? 1);
  return labels[axis] ?? undefined;
}

function strataOf(runs: readonly ResultRun[], per: readonly CompareAxis[]): GroupComparison['stratum'][] {
  const strata = runs.map((run) =>
    Object.fromEntries(per.map((axis) => [axis, axisValue(run, axis)]).filter(([, value]) => value !== undefined)),
  );
  return [...new Map(strata.map((stratum) => [JSON.stringify(stratum), stratum])).values()];
}

/** A run that has no value on an axis belongs to every stratum. */
function stands(run: ResultRun, stratum: GroupComparison['stratum']): boolean {
  return Object.entries(stratum).every(([axis, value]) => {
    const own = axisValue(run, axis as CompareAxis);
    return own === undefined || own === value;
  });
}

/** Runs of the models that both have, as a model that one lacks (its runs failed) would count as a difference; controls stand for every model. */
function balanced(ours: ResultRun[], theirs: ResultRun[]): [ResultRun[], ResultRun[]] {
  const models = (runs: ResultRun[]) => new Set(runs.map(({ record }) => record.labels.model));
  const [mine, others] = [models(ours), models(theirs)];
  const kept = (of: ReadonlySet<string>) => (run: ResultRun) =>
    run.record.labels.model === '' || of.has('') || of.has(run.record.labels.model);
  return [ours.filter(kept(others)), theirs.filter(kept(mine))];
}

/** Mean over models of the mean over their runs. [t] */
function meanOfModels(runs: readonly ResultRun[], scores: (run: ResultRun) => Float64Array): Float64Array {
  const models = [...new Set(runs.map(({ record }) => record.labels.model))];
  return meanScores(
    models.map((model) => meanScores(runs.filter(({ record }) => record.labels.model === model).map(scores))),
  );
}

/** [t] */
function meanScores(scores: readonly Float64Array[]): Float64Array {
  return scores[0]!.map((_, t) => scores.reduce((sum, each) => sum + each[t]!, 0) / scores.length);
}
