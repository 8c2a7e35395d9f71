/** Results in the compact form that the report's page draws from. */
import { canonicalJson } from '../study/hash.js';
import { methodTitle } from '../study/plan.js';
import type { Scores } from '../study/records.js';
import { mean, type ResultRun, type Results, summaryTargets } from '../study/results.js';
import type { PageData, PageRun, PageSet } from './types.js';

const kLosses = 400; // points of a loss curve that are kept: more than a figure has pixels for

/** Everything the figures and the table need; rounded to what they show. */
export function pageData(results: Results): PageData {
  const sets = new Map<string, { index: number; set: PageSet }>();
  const runs = results.runs.map((run) => pageRun(run, (scores) => setOf(sets, run, scores)));
  return { runs, sets: [...sets.values()].map(({ set }) => set) };
}

function setOf(sets: Map<string, { index: number; set: PageSet }>, run: ResultRun, scores: Scores): number {
  const { data, key } = run.record;
  const name = canonicalJson([data.hash, key.align, key.encode, scores.targets]);
  const found = sets.get(name);
  if (found) return found.index;
  const index = sets.size;
  sets.set(name, {
    index,
    set: {
      name: data.name,
      targets: scores.targets,
      ceilings: round(scores.ceilings, 4),
      ceilingMethod: scores.ceilingMethod,
      folds: scores.folds.kind,
      foldCount: scores.folds.count,
      shuffled: scores.folds.shuffled,
    },
  });
  return index;
}

function pageRun(run: ResultRun, setOf: (scores: Scores) => number): PageRun {
  const { record, scores, title } = run;
  const { steps, losses } = thinned(run.losses);
  const head = {
    id: record.id,
    title,
    series: methodTitle(record.labels),
    ...record.labels,
    status: record.status,
    error: record.error?.message ?? '',
    losses,
    steps,
  };
  if (!scores) return { ...head, set: -1, layers: [], r: [], r2: [], alpha: [], foldR: [] };
  return {
    ...head,
    set: setOf(scores),
    layers: scores.layers,
    r: round(scores.r, 4),
    r2: round(scores.r2, 4),
    alpha: scores.alpha.map((value) => (Number.isFinite(value) ? Number(value.toPrecision(3)) : null)),
    foldR: round(foldMeans(scores), 4),
    ...(scores.stats && { fdr: round(scores.stats.fdr, 4) }),
  };
}

function foldMeans(scores: Scores): number[] {
  const group = summaryTargets(scores);
  const t = scores.targets.length;
  return Array.from({ length: scores.layers.length * scores.folds.count }, (_, row) =>
    mean(group.map((target) => scores.foldR[row * t + target]!)),
  );
}

function round(values: readonly number[], decimals: number): (number | null)[] {
  const scale = 10 ** decimals;
  return values.map((value) => (Number.isFinite(value) ? Math.round(value * scale) / scale : null));
}

/** Evenly spaced steps, the first and the last among them. */
function thinned(losses: readonly number[]): { steps: number[]; losses: (number | null)[] } {
  const count = Math.min(losses.length, kLosses);
  const steps = Array.from({ length: count }, (_, i) =>
    count === 1 ? 0 : Math.round((i * (losses.length - 1)) / (count - 1)),
  );
  return {
    steps,
    losses: round(
      steps.map((step) => losses[step]!),
      4,
    ),
  };
}
