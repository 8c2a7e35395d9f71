/** From what a batch computed to what the store keeps: records, scores, times. */
import type { Significance } from '../analysis/significance.js';
import type { Dataset } from '../data/types.js';
import type { EncodeScores } from '../encode/encode.js';
import { parseFolds } from '../encode/folds.js';
import type { TuneResult } from '../tune/tune.js';
import type { StudyModel } from './models.js';
import type { Run } from './plan.js';
import { kFormat, type ModelSummary, type RunRecord, type Scores } from './records.js';

/** The failure of a lane whose loss stopped being finite. */
export function divergence(run: Run, step: number): { code: string; message: string } {
  const message = `Expected a finite loss, got none at step ${step} with learning rate ${run.labels.lr}. Take a smaller rate, or a warm-up.`;
  return { code: 'ERR_NUMERIC', message };
}

/** What records and reports say of a model. */
export function summaryOf(model: StudyModel, name: string): ModelSummary {
  const { source, hash, parameters, config } = model;
  return {
    name,
    source: sentence(source),
    hash,
    family: config.family,
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    parameters,
  };
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** What a record holds beside the run itself. */
export type Circumstances = Pick<RunRecord, 'data' | 'model' | 'environment' | 'seconds'>;

/** The record of a run that is done. */
export function recordOf(run: Run, circumstances: Circumstances): RunRecord {
  return {
    format: kFormat,
    id: run.id,
    status: 'done',
    labels: run.labels,
    key: run.key,
    trainable: 0,
    warnings: [],
    created: new Date().toISOString(),
    ...circumstances,
    seconds: { ...circumstances.seconds },
  };
}

/** Scores in the form of the store. */
export function scoresOf(
  result: EncodeScores,
  dataset: Dataset,
  folds: string,
  layers: readonly number[],
  tested: Significance | undefined,
): Scores {
  const { kind } = parseFolds(folds);
  const column = (key: 'r' | 'r2' | 'alpha') =>
    result.layers.flatMap((layer) => layer.targets.map((target) => target[key]));
  return {
    layers: [...layers],
    targets: dataset.targets,
    folds: { kind: folds, count: result.folds.folds, shuffled: kind === 'shuffled' },
    ceilings: [...dataset.ceilings.values],
    ceilingMethod: dataset.ceilings.method,
    r: column('r'),
    r2: column('r2'),
    alpha: column('alpha'),
    foldR: [...result.folds.r],
    foldR2: [...result.folds.r2],
    foldAlpha: [...result.folds.alpha],
    ...(tested && {
      stats: {
        p: [...tested.p],
        fdr: [...tested.fdr],
        pMax: [...tested.pMax],
        lower: [...tested.lower],
        upper: [...tested.upper],
      },
    }),
  };
}

/** How the tuning of a lane ended. */
export function tuningOf(tuned: TuneResult, k: number): NonNullable<RunRecord['tuning']> {
  const updates = tuned.best[k]!;
  const held = tuned.validation[k]!.find((each) => each.updates === updates);
  const stopped = tuned.stopped[k];
  return {
    objective: tuned.objective,
    updates,
    ...(held && { validation_loss: held.loss }),
    ...(stopped && { stopped: { updates: stopped.updates, by: stopped.by } }),
  };
}

/** Wall time of the stages, s. */
export class Clock {
  readonly seconds: Record<string, number> = {};
  #last = performance.now();

  lap(stage: string): void {
    const now = performance.now();
    this.seconds[stage] = Math.round((this.seconds[stage] ?? 0) * 1000 + now - this.#last) / 1000;
    this.#last = now;
  }
}
