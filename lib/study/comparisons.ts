/** Every run of a study against one of them: what `cortune compare` prints and the report shows. */
import {
  type ComparedRun,
  type Comparison,
  chosenScores,
  compareScores,
  type LayerChoice,
} from '../analysis/compare.js';
import { adjustFdr } from '../analysis/multiple.js';
import { CortuneError } from '../errors.js';
import type { ResultRun, Results } from './results.js';

export interface CompareOptions {
  /** Method, title or id of the run that the others are compared with; default `untuned`. */
  baseline?: string | undefined;
  /** Number of a layer, or `best` (default): each run's best by the other folds. Runs of one layer are taken as they are. */
  layer?: LayerChoice | undefined;
  /** Random sign flips where there are more ways than that; default 10,000. */
  permutations?: number | undefined;
  /** Default 0.95. */
  level?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
}

export interface RunComparison extends Comparison {
  run: string;
  title: string;
  /** Title of the baseline. */
  against: string;
  /** Benjamini-Hochberg over the runs. */
  fdr: number;
}

/**
 * Paired comparisons of all runs that have the targets of their baseline: the one on the same data, and of the same model where there are several.
 * @returns comparisons in the order of the runs, and notes on runs left out.
 * @throws ERR_NOT_FOUND when no run is the baseline; ERR_DATA when there is nothing to compare, or a layer was not scored.
 */
export function compareRuns(
  results: Results,
  options: CompareOptions = {},
): { comparisons: RunComparison[]; notes: string[] } {
  const { baseline = 'untuned', layer = 'best', ...test } = options;
  const done = results.runs.filter((run) => run.scores);
  const notes: string[] = [];
  const found: Omit<RunComparison, 'fdr'>[] = [];
  for (const run of done) {
    const named = done.filter((each) => isCalled(each, baseline));
    if (named.length === 0) {
      const titles = done.map(({ title }) => `\`${title}\``).join(', ');
      throw new CortuneError(
        'ERR_NOT_FOUND',
        `Expected a run \`${baseline}\` to compare with, and there are: ${titles}.`,
      );
    }
    const other = baselineOf(run, named);
    if (!other) {
      notes.push(`${run.title} was scored on other data than every \`${baseline}\`; it is left out.`);
      continue;
    }
    if (other === run) continue;
    if (targetsOf(run) !== targetsOf(other)) {
      notes.push(`${run.title} has other targets than ${other.title}; it is left out.`);
      continue;
    }
    found.push({
      run: run.record.id,
      title: run.title,
      against: other.title,
      ...compareScores(chosenOf(run, layer), chosenOf(other, layer), run.scores!.targets, test),
    });
  }
  if (found.length === 0)
    throw new CortuneError('ERR_DATA', `Expected another run beside the baseline in ${results.folder}, got none.`);
  const fdr = adjustFdr(found.map(({ p }) => p));
  if (found[0]!.over === 'targets')
    notes.push(
      'One subject (or only their mean): pairs are targets, which are no sample of people. Run the study with `subjects: each` or `both`.',
    );
  return { comparisons: found.map((each, i) => ({ ...each, fdr: fdr[i]! })), notes };
}

/** The scores of a run's targets at the chosen layer, [t]; a run of one layer is taken as it is. */
export function chosenOf(run: ResultRun, layer: LayerChoice): Float64Array {
  const { layers, targets, folds, foldR } = run.scores!;
  const compared: ComparedRun = { layers, targets, folds: folds.count, foldR };
  return chosenScores(compared, layers.length === 1 ? 'best' : layer);
}

/** Names of a run's targets; runs with the same can be paired. */
export function targetsOf(run: ResultRun): string {
  return run.scores!.targets.map(({ name }) => name).join('\t');
}

function isCalled({ title, record }: ResultRun, text: string): boolean {
  return title === text || record.id === text || record.labels.method === text;
}

/** Of the baselines: on the same data, of the same model and seed where there is one. */
function baselineOf(run: ResultRun, named: readonly ResultRun[]): ResultRun | undefined {
  const same = named.filter(({ record }) => record.data.hash === run.record.data.hash);
  const { model, seed } = run.record.labels;
  const ofModel = same.filter(({ record }) => record.labels.model === model);
  return ofModel.find(({ record }) => record.labels.seed === seed) ?? ofModel[0] ?? same[0];
}
