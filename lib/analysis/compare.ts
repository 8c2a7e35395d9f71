/** Comparing runs of a study: the same subjects or regions under two ways of tuning. */

import { CortuneError } from '../errors.js';
import { meanOfKnown } from '../numbers.js';
import { bootstrapMean, type EffectSizes, effectSizes, signFlipTest, wilcoxon } from './paired.js';
import type { Interval } from './resample.js';

/** What is compared of one run. Arrays are row-major. */
export interface ComparedRun {
  layers: readonly number[];
  targets: readonly { name: string; subject: string; roi: string }[];
  /** Number of outer folds. */
  folds: number;
  /** `[L, F, t]`: held-out r of each fold. */
  foldR: ArrayLike<number>;
}

/** How the layer of each run is chosen: the best by the other folds, or a number. */
export type LayerChoice = 'best' | number;

/**
 * The r of every target, [t]: of one layer, or of the layer that is best (mean over targets) in the other folds, fold by fold, so that
 * the choice does not flatter the score; means over folds.
 * @throws ERR_DATA when the layer was not scored.
 */
export function chosenScores(run: ComparedRun, choice: LayerChoice): Float64Array {
  const t = run.targets.length;
  const L = run.layers.length;
  const at = (l: number, f: number, c: number) => run.foldR[(l * run.folds + f) * t + c]!;
  const layerOf = (fold: number): number => {
    if (choice !== 'best') {
      const l = run.layers.indexOf(choice);
      if (l < 0)
        throw new CortuneError('ERR_DATA', `Expected layer ${choice} among those scored: ${run.layers.join(', ')}.`);
      return l;
    }
    let [best, most] = [0, Number.NEGATIVE_INFINITY];
    for (let l = 0; l < L; l++) {
      const others: number[] = [];
      for (let f = 0; f < run.folds; f++)
        if (f !== fold || run.folds === 1) for (let c = 0; c < t; c++) others.push(at(l, f, c));
      const mean = meanOfKnown(others);
      if (mean > most) [best, most] = [l, mean];
    }
    return best;
  };
  const layers = Array.from({ length: run.folds }, (_, f) => layerOf(f));
  return Float64Array.from({ length: t }, (_, c) => meanOfKnown(layers.map((l, f) => at(l, f, c))));
}

export interface Comparison {
  /** What the pairs are. */
  over: 'subjects' | 'targets';
  /** Mean score of the run and of the baseline. */
  score: number;
  baseline: number;
  /** Interval of the mean difference over pairs. */
  difference: Interval;
  effect: EffectSizes;
  /** Sign-flip permutation of the mean over regions. */
  p: number;
  wilcoxon: number;
  /** Of each region, when the pairs are subjects: p corrected for all regions together. */
  regions: { roi: string; difference: number; t: number; p: number; fdr: number; pMax: number }[];
}

/**
 * Compares a run with a baseline by paired differences. With several subjects the pairs are subjects (their means over regions, and
 * every region by itself); otherwise the pairs are targets, which share stimuli and are no independent sample of anything: such p-values
 * say that regions agree, and not that other people would.
 *
 * @param run and baseline scores [t] of the same targets, as chosenScores gives them.
 */
export function compareScores(
  run: Float64Array,
  baseline: Float64Array,
  targets: ComparedRun['targets'],
  options: { permutations?: number | undefined; seed?: number | undefined; level?: number | undefined } = {},
): Comparison {
  const { permutations, seed, level } = options;
  const people = [...new Set(targets.map(({ subject }) => subject))].filter((subject) => subject !== 'mean');
  const over = people.length > 1 ? 'subjects' : 'targets';
  const regions = [...new Set(targets.map(({ roi }) => roi))];
  const members = new Map<string, number[]>();
  for (const [t, { subject, roi }] of targets.entries()) {
    const key = `${subject}\0${roi}`;
    const list = members.get(key);
    if (list) list.push(t);
    else members.set(key, [t]);
  }
  // A region may have several targets: its voxels.
  const of = (values: Float64Array, subject: string, roi: string) =>
    meanOfKnown((members.get(`${subject}\0${roi}`) ?? []).map((t) => values[t]!));
  const rows =
    over === 'subjects'
      ? people
          .map((subject) => regions.map((roi) => of(run, subject, roi) - of(baseline, subject, roi)))
          .filter((row) => row.every(Number.isFinite))
      : targets.map((_, c) => [run[c]! - baseline[c]!]).filter(([value]) => Number.isFinite(value));
  if (rows.length < 2)
    throw new CortuneError('ERR_DATA', `Expected at least 2 ${over} with scores in both runs, got ${rows.length}.`);
  const means = rows.map((row) => meanOfKnown(row));
  const test = signFlipTest(
    rows.map((row, i) => [means[i]!, ...(over === 'subjects' ? row : [])]),
    { permutations, seed },
  );
  // The mean over regions is a question of its own, not one more region.
  const single = over === 'subjects' ? signFlipTest(rows, { permutations, seed }) : undefined;
  const included = targets.map((target) => over === 'targets' || target.subject !== 'mean');
  return {
    over,
    score: meanOfKnown([...run].filter((_, c) => included[c])),
    baseline: meanOfKnown([...baseline].filter((_, c) => included[c])),
    difference: bootstrapMean(means, { seed, level }),
    effect: effectSizes(means),
    p: test.p[0]!,
    wilcoxon: wilcoxon(means).p,
    regions: (single ? regions : []).map((roi, c) => ({
      roi,
      difference: single!.mean[c]!,
      t: single!.t[c]!,
      p: single!.p[c]!,
      fdr: single!.fdr[c]!,
      pMax: single!.pMax[c]!,
    })),
  };
}
