/** From raw scores of every layer, fold and target to a table, and what a reader should be warned of. */

/** Raw scores, row-major [L, F, t]. */
export interface FoldScores {
  layers: number;
  folds: number;
  targets: number;
  /** Held-out Pearson r. NaN: the target is constant in the training or test rows, or the prediction is. */
  r: Float64Array;
  /** Held-out R2 as scikit-learn's r2_score (around the mean of the test rows). NaN for a constant target. */
  r2: Float64Array;
  /** The chosen alpha. NaN for a target that is constant in the training rows. */
  alpha: Float64Array;
  /** When asked for. */
  spearman?: Float64Array;
  explained?: Float64Array;
  /** With fixed selection [L, t]: mean over folds of the held-out mean squared error at the chosen alpha (himalaya's cv_scores_, negated). */
  error?: Float64Array;
}

/** One target in one layer: means over folds. */
export interface TargetScore {
  name: string;
  /** Mean over folds of the held-out Pearson r; folds without one (NaN) are passed over, NaN when none has one. */
  r: number;
  /** Mean over folds of the held-out R2, likewise. */
  r2: number;
  /** Geometric mean over folds of the chosen alpha, likewise. */
  alpha: number;
}

export interface LayerScores {
  layer: number;
  targets: TargetScore[];
}

/** Means over folds. `layers` are the numbers the layers go by. */
export function tabulate(scores: FoldScores, layers: readonly number[], names: readonly string[]): LayerScores[] {
  return layers.map((layer, l) => ({
    layer,
    targets: names.map((name, t) => ({
      name,
      r: meanOverFolds(scores, scores.r, l, t),
      r2: meanOverFolds(scores, scores.r2, l, t),
      alpha: Math.exp(meanOverFolds(scores, scores.alpha, l, t, Math.log)),
    })),
  }));
}

/** Folds without a value (NaN) are passed over. */
export function meanOverFolds(
  scores: Pick<FoldScores, 'folds' | 'targets'>,
  values: Float64Array,
  layer: number,
  target: number,
  map = (value: number) => value,
): number {
  let sum = 0;
  let count = 0;
  for (let f = 0; f < scores.folds; f++) {
    const value = values[(layer * scores.folds + f) * scores.targets + target]!;
    if (Number.isNaN(value)) continue;
    sum += map(value);
    count++;
  }
  return count === 0 ? Number.NaN : sum / count;
}

/**
 * A score as the share of what can be reached: r / ceiling, for the ceiling of that target (lib/data/ceiling). May pass 1 where the
 * ceiling is a lower bound. NaN where there is no ceiling.
 */
export function normalise(r: number, ceiling: number): number {
  return ceiling > 0 ? r / ceiling : Number.NaN;
}

/** Share of choices at one end of the grid that is worth a warning. */
const kManyAtEdge = 0.2;

/** Sentences about alphas at the ends of their grid and targets without scores. */
export function warningsOf(scores: FoldScores, alphas: Float64Array, names: readonly string[]): string[] {
  const warnings = edgeWarnings(scores.alpha, alphas);
  const constant = names.filter((_, t) => isUnscored(scores, scores.r2, t));
  if (constant.length > 0)
    warnings.push(
      `No score for ${list(constant)}: constant in the training or test rows of every fold, as one row alone is. Leave ${constant.length === 1 ? 'it' : 'them'} out, or use fewer folds.`,
    );
  const same = names.filter((_, t) => !isUnscored(scores, scores.r2, t) && isUnscored(scores, scores.r, t));
  if (same.length > 0)
    warnings.push(
      `No r for ${list(same)}: predictions are the same for all rows of a fold, in every layer. Are the features constant?`,
    );
  return warnings;
}

function edgeWarnings(chosen: Float64Array, alphas: Float64Array): string[] {
  const made = chosen.filter((alpha) => !Number.isNaN(alpha));
  if (alphas.length < 2 || made.length === 0) return [];
  const share = (edge: number) => made.reduce((count, alpha) => count + (alpha === edge ? 1 : 0), 0) / made.length;
  const [low, high] = [alphas[0]!, alphas.at(-1)!];
  const warnings: string[] = [];
  if (share(low) >= kManyAtEdge)
    warnings.push(
      `${percent(share(low))} of the choices are the smallest alpha, ${low}: the best may be smaller. Start the grid lower.`,
    );
  if (share(high) >= kManyAtEdge)
    warnings.push(
      `${percent(share(high))} of the choices are the largest alpha, ${high}: the best may be larger, or the features do not predict these targets. Extend the grid and look again.`,
    );
  return warnings;
}

function isUnscored(scores: FoldScores, values: Float64Array, target: number): boolean {
  for (let i = target; i < values.length; i += scores.targets) if (!Number.isNaN(values[i]!)) return false;
  return true;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, 5)
    .map((name) => `\`${name}\``)
    .join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
