/** Results as tables: every score as a row, and the methods x layers summary. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Space } from '../data/space.js';
import { CortuneError } from '../errors.js';
import { meanOfFinite } from '../numbers.js';
import { methodTitle, runTitle } from './plan.js';
import type { Probed } from './probe.js';
import type { QualityRow, RunLabels, RunRecord, Scores, StudyRecord } from './records.js';
import { readSpaces } from './spaces.js';
import { Store } from './store.js';

/** A run with all that was measured. `scores` is there when it is done. */
export interface ResultRun {
  record: RunRecord;
  title: string;
  scores?: Scores | undefined;
  losses: number[];
  quality: QualityRow[];
  probe?: Probed | undefined;
}

export interface Results {
  folder: string;
  studies: StudyRecord[];
  /** Sorted by model, task, method, learning rate, rank, seed. */
  runs: ResultRun[];
  /** Where the targets of a data set (by its hash) lie in images; absent unless they were asked for. */
  spaces?: ReadonlyMap<string, Space[]>;
}

/**
 * Reads the runs that the studies in a store ask for. `study` keeps those of the study of that name; `all` adds runs that none asks for
 * any more, because its file was changed. Throws ERR_NOT_FOUND, ERR_FORMAT, ERR_IO.
 */
export async function readResults(
  folder: string,
  options: { study?: string | undefined; all?: boolean | undefined } = {},
): Promise<Results> {
  const store = await Store.open(folder);
  const studies = await studiesNamed(store, options.study);
  const wanted = options.all || studies.length === 0 ? undefined : new Set(studies.flatMap((study) => study.runs));
  const records = (await store.runs()).filter((record) => !wanted || wanted.has(record.id));
  const runs: ResultRun[] = [];
  for (const [i, record] of records.sort(inOrder).entries()) {
    // Files are read synchronously: others get their turn, an interruption too.
    if (i % kAtOnce === kAtOnce - 1) await nextTurn();
    const scores = record.status === 'done' ? await store.scores(record.id) : undefined;
    const [losses, quality] = [await store.losses(record.id), await store.quality(record.id)];
    const probe = await store.probe(record.id);
    runs.push({ record, title: runTitle(record.labels), scores, losses, quality, ...(probe && { probe }) });
  }
  return { folder, studies, runs };
}

/** The same with the places of their targets, for what shows them. Throws ERR_FORMAT. */
export async function withSpaces(results: Results): Promise<Results> {
  const spaces = new Map<string, Space[]>();
  for (const hash of new Set(results.runs.map(({ record }) => record.data.hash))) {
    const found = await readSpaces(results.folder, hash);
    if (found.length > 0) spaces.set(hash, found);
  }
  return { ...results, spaces };
}

/** Runs that are read before others get their turn. */
const kAtOnce = 128;

const kOrder = ['word_rate', 'untrained', 'untuned'];

/** The studies of a store, or that of one name. Throws ERR_NOT_FOUND when there is none of that name. */
export async function studiesNamed(store: Store, name: string | undefined): Promise<StudyRecord[]> {
  const known = await store.studies();
  const studies = known.filter((study) => name === undefined || study.name === name);
  if (name !== undefined && studies.length === 0) throw noStudy(name, known, store.folder);
  return studies;
}

function noStudy(name: string, known: readonly StudyRecord[], folder: string): CortuneError {
  const names = known.map((study) => `\`${study.name}\``).join(', ') || 'none';
  return new CortuneError('ERR_NOT_FOUND', `Expected the study \`${name}\` in ${folder}, and there are: ${names}.`);
}

/** Controls, then untrained, untuned, then methods by name. */
function inOrder(a: RunRecord, b: RunRecord): number {
  const place = (labels: RunLabels) => (kOrder.includes(labels.method) ? kOrder.indexOf(labels.method) : kOrder.length);
  const [p, q] = [a.labels, b.labels];
  return (
    compare(p.model, q.model) ||
    compare(p.data ?? '', q.data ?? '') ||
    place(p) - place(q) ||
    compare(p.task ?? '', q.task ?? '') ||
    compare(p.method, q.method) ||
    (p.fraction ?? 1) - (q.fraction ?? 1) ||
    (p.rank ?? 0) - (q.rank ?? 0) ||
    (p.lr ?? 0) - (q.lr ?? 0) ||
    (p.seed ?? 0) - (q.seed ?? 0) ||
    compare(a.id, b.id)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One score: a run, a layer, a target. */
export interface ScoreRow {
  run: string;
  model: string;
  method: string;
  lr: number | null;
  rank: number | null;
  seed: number | null;
  /** Share of the tuning texts; absent for all of them. */
  fraction?: number | undefined;
  /** The data set, where a study has several. */
  data?: string | undefined;
  /** What a tuned run learnt, where a study has several tasks. */
  task?: string | undefined;
  layer: number;
  target: string;
  subject: string;
  roi: string;
  r: number;
  r2: number;
  alpha: number;
  ceiling: number;
  /** r / ceiling */
  normalized: number;
  /** r of each outer fold. */
  folds: number[];
  /** NaN unless the study asked for tests and intervals (ScoreStats). */
  p: number;
  fdr: number;
  pMax: number;
  lower: number;
  upper: number;
}

/** Every score of every run that is done, in the order of the runs, layers and targets. */
export function* scoreRows(results: { runs: readonly Pick<ResultRun, 'record' | 'scores'>[] }): Generator<ScoreRow> {
  for (const { record, scores } of results.runs) {
    if (!scores) continue;
    const { layers, targets, folds } = scores;
    for (const [l, layer] of layers.entries())
      for (const [t, target] of targets.entries()) {
        const at = l * targets.length + t;
        const fold = (f: number) => scores.foldR[(l * folds.count + f) * targets.length + t]!;
        yield {
          run: record.id,
          ...record.labels,
          layer,
          target: target.name,
          subject: target.subject,
          roi: target.roi,
          r: scores.r[at]!,
          r2: scores.r2[at]!,
          alpha: scores.alpha[at]!,
          ceiling: scores.ceilings[t]!,
          normalized: scores.r[at]! / scores.ceilings[t]!,
          folds: Array.from({ length: folds.count }, (_, f) => fold(f)),
          p: scores.stats?.p[at] ?? Number.NaN,
          fdr: scores.stats?.fdr[at] ?? Number.NaN,
          pMax: scores.stats?.pMax[at] ?? Number.NaN,
          lower: scores.stats?.lower[at] ?? Number.NaN,
          upper: scores.stats?.upper[at] ?? Number.NaN,
        };
      }
  }
}

/** A run in one line: its mean over targets, layer by layer. */
export interface SummaryRow {
  run: string;
  title: string;
  method: string;
  status: 'done' | 'failed';
  error?: string | undefined;
  layers: number[];
  /** Mean over targets of r, one a layer. */
  r: number[];
  /** Layer with the largest mean r, its mean r, and that divided by the mean ceiling. */
  bestLayer: number;
  bestR: number;
  bestNormalized: number;
}

export interface Summary {
  rows: SummaryRow[];
  /** Mean over targets of the ceiling, of the first data set; NaN where there is none. */
  ceiling: number;
  /** The same of each data set. */
  ceilings: { data: string; ceiling: number }[];
  /** Which targets were averaged, in words. */
  over: string;
}

/** Targets that summaries average: those of the mean subject where there are any, else all. */
export function summaryTargets(scores: Scores): number[] {
  const all = scores.targets.map((_, t) => t);
  const group = all.filter((t) => scores.targets[t]!.subject === 'mean');
  return group.length > 0 ? group : all;
}

/** A run in one line. */
export function summaryRow({ record, title, scores }: Omit<ResultRun, 'losses' | 'quality'>): SummaryRow {
  const head = { run: record.id, title, method: methodTitle(record.labels), status: record.status };
  if (!scores) {
    const none = { layers: [], r: [], bestLayer: Number.NaN, bestR: Number.NaN, bestNormalized: Number.NaN };
    return { ...head, ...none, error: record.error?.message };
  }
  const targets = summaryTargets(scores);
  const r = scores.layers.map((_, l) => meanOfFinite(targets.map((t) => scores.r[l * scores.targets.length + t]!)));
  const best = r.reduce((at, value, l) => (value > r[at]! || Number.isNaN(r[at]!) ? l : at), 0);
  const bestNormalized = r[best]! / meanOfFinite(targets.map((t) => scores.ceilings[t]!));
  return { ...head, layers: scores.layers, r, bestLayer: scores.layers[best]!, bestR: r[best]!, bestNormalized };
}

/** Mean over targets per layer, best layers, ceiling. */
export function summarize(results: { runs: readonly Omit<ResultRun, 'losses' | 'quality'>[] }): Summary {
  const rows = results.runs.map(summaryRow);
  const overs = new Map<string, string>();
  for (const { record, scores } of results.runs)
    if (scores && !overs.has(record.data.hash)) overs.set(record.data.hash, overOf(scores));
  if (overs.size === 0) return { rows, ceiling: Number.NaN, ceilings: [], over: 'no targets' };
  const over = [...new Set(overs.values())].join(' or ') + (overs.size > 1 ? ' of each data set' : '');
  const ceilings = ceilingsOf(results.runs);
  return { rows, ceiling: ceilings[0]!.ceiling, ceilings, over };
}

/** Which targets a summary averages, in words. */
function overOf(scores: Scores): string {
  const targets = summaryTargets(scores);
  const group = targets.every((t) => scores.targets[t]!.subject === 'mean');
  const what = targets.every((t) => /(^|:)\d+,\d+,\d+$/.test(scores.targets[t]!.name)) ? 'voxels' : 'regions';
  return `${targets.length} ${group ? `${what} of the mean over subjects` : 'targets'}`;
}

/** One a data set, in the order of the runs. */
function ceilingsOf(runs: readonly Pick<ResultRun, 'record' | 'scores'>[]): Summary['ceilings'] {
  const found = new Map<string, Summary['ceilings'][number]>();
  for (const { record, scores } of runs)
    if (scores && !found.has(record.data.hash)) {
      const ceiling = meanOfFinite(summaryTargets(scores).map((t) => scores.ceilings[t]!));
      found.set(record.data.hash, { data: record.labels.data ?? record.data.name, ceiling });
    }
  return [...found.values()];
}

/** `0.834`; of several data sets each with its name; undefined where none could be estimated. */
export function ceilingText({ ceilings }: Summary): string | undefined {
  const known = ceilings.filter(({ ceiling }) => Number.isFinite(ceiling));
  if (known.length === 0) return undefined;
  return known
    .map(({ data, ceiling }) => (ceilings.length > 1 ? `${data} ${ceiling.toFixed(3)}` : ceiling.toFixed(3)))
    .join(', ');
}
