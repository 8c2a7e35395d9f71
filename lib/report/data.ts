/** Results in the compact form that the report's page draws from. */
import type { Target } from '../data/types.js';
import { meanOfFinite } from '../numbers.js';
import { canonicalJson } from '../study/hash.js';
import { methodTitle } from '../study/plan.js';
import type { DecodeRow, LabelRow, RsaRow, Scores } from '../study/records.js';
import { type ResultRun, type Results, summaryTargets } from '../study/results.js';
import { type BrainSet, brainsOf } from './brains.js';
import { differencesOf } from './differences.js';
import type { PageData, PageMeasure, PageRun, PageSet } from './types.js';

/** Points of a loss curve at most, and of all of them together: more than a figure has pixels for. */
const kLosses = 400;
const kAllLosses = 200_000;
/** Scores (runs x layers x targets) up to which R2 and alpha are in the file too, and up to which targets are single. */
const kFull = 1_200_000;
const kSingle = 4_000_000;

const kLeftNumbers = 'R\u00b2 and alpha are not in this file, to keep it small; `cortune export` has them.';
const kLeftTargets =
  'Targets of the same subject and region are averaged here, and R\u00b2 and alpha left out, to keep the file small; `cortune export` has all.';

const kLeftBrain =
  'Of so many scores there is no room for the brain view; a report of one study (`--study`) may have it.';

/** Which of a run's targets become one. */
type Groups = { targets: PageSet['targets']; members: number[][] };

interface Detail {
  numbers: boolean;
  single: boolean;
  losses: number;
}

/** Ways to a smaller file, each after the ones before it: no R2 and alpha, no single targets, no brain. */
export const kSmallest = 3;

/** Everything the figures and the table need; rounded to what they show. `smaller`: from 0, all there is room for, to `kSmallest`. */
export function pageData(results: Results, smaller = 0): PageData {
  const cells = results.runs.reduce(
    (sum, { scores }) => sum + (scores ? scores.layers.length * scores.targets.length : 0),
    0,
  );
  const tuned = results.runs.filter((run) => run.losses.length > 0).length;
  const detail: Detail = {
    numbers: cells <= kFull && smaller < 1,
    single: cells <= kSingle && smaller < 2,
    losses: Math.max(24, Math.min(kLosses, Math.floor(kAllLosses / Math.max(1, tuned)))),
  };
  const sets: Sets = new Map();
  const measures = measuresIn(results);
  const runs = results.runs.map((run) => pageRun(run, detail, sets, measures));
  const page = { runs, sets: [...sets.values()].map(({ set }) => set), measures: [...measures.values()] };
  const left = detail.single ? (detail.numbers ? '' : kLeftNumbers) : kLeftTargets;
  const inSpace = smaller < kSmallest ? brainSets(sets, page.runs, results) : [];
  const brains = brainsOf(inSpace, detail.single);
  const unseen = brains.length === 0 && [...(results.spaces?.values() ?? [])].some((spaces) => spaces.length > 0);
  return { ...page, brains, differences: differencesOf(page), left: unseen ? `${left} ${kLeftBrain}`.trim() : left };
}

type Sets = Map<string, { index: number; set: PageSet; groups: Groups; hash: string; targets: readonly Target[] }>;

function brainSets(sets: Sets, runs: readonly PageRun[], { spaces, runs: all }: Results): BrainSet[] {
  return [...sets.values()].map(({ index, hash, targets }) => ({
    index,
    targets,
    spaces: spaces?.get(hash) ?? [],
    runs: all.flatMap(({ scores }, i) => (scores && runs[i]!.set === index ? [{ id: runs[i]!.id, scores }] : [])),
  }));
}

function setOf(sets: Sets, run: ResultRun, scores: Scores, single: boolean) {
  const { data, key } = run.record;
  const name = canonicalJson([data.hash, key.align, key.encode, scores.targets]);
  const found = sets.get(name);
  if (found) return found;
  const groups = single ? eachTarget(scores) : bySubjectAndRegion(scores);
  const made = {
    index: sets.size,
    groups,
    hash: data.hash,
    targets: scores.targets,
    set: {
      name: data.name,
      targets: groups.targets,
      ceilings: grouped(scores.ceilings, groups, scores.targets.length),
      ceilingMethod: scores.ceilingMethod,
      folds: scores.folds.kind,
      foldCount: scores.folds.count,
      shuffled: scores.folds.shuffled,
    },
  };
  sets.set(name, made);
  return made;
}

function eachTarget({ targets }: Scores): Groups {
  return { targets, members: targets.map((_, t) => [t]) };
}

function bySubjectAndRegion({ targets }: Scores): Groups {
  const groups = new Map<string, { subject: string; roi: string; members: number[] }>();
  for (const [t, { subject, roi }] of targets.entries()) {
    const name = `${subject}:${roi}`;
    const group = groups.get(name) ?? { subject, roi, members: [] };
    group.members.push(t);
    groups.set(name, group);
  }
  return {
    targets: [...groups].map(([name, { subject, roi }]) => ({ name, subject, roi })),
    members: [...groups.values()].map(({ members }) => members),
  };
}

/** Means over the members of each group: [L, t] to [L, groups]. */
function grouped(values: readonly number[], { members }: Groups, t: number): Float64Array {
  // Each target is its own group.
  if (members.length === t) return new Float64Array(values);
  const layers = values.length / t;
  const out = new Float64Array(layers * members.length);
  for (let l = 0; l < layers; l++)
    for (const [g, group] of members.entries())
      out[l * members.length + g] =
        group.length === 1 ? values[l * t + group[0]!]! : meanOfFinite(group.map((c) => values[l * t + c]!));
  return out;
}

function pageRun(run: ResultRun, detail: Detail, sets: Sets, measures: Map<string, PageMeasure>): PageRun {
  const { record, scores, title } = run;
  const none = new Float64Array(0);
  const { model, method, lr, rank, seed } = record.labels;
  const head = {
    id: record.id,
    title,
    series: methodTitle(record.labels),
    model,
    parameters: record.model?.parameters ?? 0,
    method,
    lr,
    rank,
    seed,
    status: record.status,
    losses: thinned(run.losses, detail.losses),
    steps: run.losses.length,
  };
  if (!scores) return { ...head, set: -1, layers: [], r: none, r2: none, alpha: none, foldR: none };
  const { index, groups } = setOf(sets, run, scores, detail.single);
  const t = scores.targets.length;
  const extra = measuresOf(scores, measures);
  return {
    ...head,
    set: index,
    layers: scores.layers,
    r: grouped(scores.r, groups, t),
    r2: detail.numbers ? grouped(scores.r2, groups, t) : none,
    alpha: detail.numbers ? grouped(scores.alpha.map(Math.log10), groups, t) : none,
    foldR: foldMeans(scores),
    ...(scores.stats && detail.single && { fdr: Float64Array.from(scores.stats.fdr) }),
    ...(extra && { measures: extra }),
  };
}

/** What studies ask for beside encoding. */
const kMeasures: {
  id: 'decode' | 'labels' | 'rsa';
  title: string;
  chance(rows: Row[]): number | null;
  region(row: Row): string;
  value(row: Row): number | null;
  ceiling?(row: Row): [number | null, number | null];
}[] = [
  {
    id: 'decode',
    title: '2v2 accuracy of decoding',
    chance: () => 0.5,
    region: (row) => (row as DecodeRow).region,
    value: (row) => (row as DecodeRow).two_vs_two,
  },
  {
    id: 'labels',
    title: 'Balanced accuracy of classifiers',
    chance: (rows) => (rows[0] as LabelRow).chance,
    region: () => 'labels',
    value: (row) => (row as LabelRow).balanced,
  },
  {
    id: 'rsa',
    title: 'Similarity of geometries',
    chance: () => 0,
    region: (row) => (row as RsaRow).region,
    value: (row) => (row as RsaRow).similarity,
    ceiling: (row) => [(row as RsaRow).ceiling_lower, (row as RsaRow).ceiling_upper],
  },
];
type Row = DecodeRow | LabelRow | RsaRow;

/** Those that any run has, with the regions of all runs: data sets have regions of their own. */
function measuresIn({ runs }: Results): Map<string, PageMeasure> {
  const known = new Map<string, PageMeasure>();
  for (const { id, title, chance, region, ceiling } of kMeasures)
    for (const { scores } of runs) {
      const rows: Row[] = scores?.[id] ?? [];
      if (rows.length === 0) continue;
      const measure = known.get(id) ?? { id, title, regions: [], chance: chance(rows), ceilings: [] };
      known.set(id, measure);
      for (const row of rows) {
        if (measure.regions.includes(region(row))) continue;
        const [lower, upper] = ceiling?.(row) ?? [];
        measure.regions.push(region(row));
        measure.ceilings.push(typeof lower === 'number' && typeof upper === 'number' ? [lower, upper] : null);
      }
    }
  return known;
}

function measuresOf(scores: Scores, known: Map<string, PageMeasure>): Record<string, Float64Array> | undefined {
  const found: Record<string, Float64Array> = {};
  for (const { id, region, value } of kMeasures) {
    const rows: Row[] = scores[id] ?? [];
    if (rows.length === 0) continue;
    const measure = known.get(id)!;
    const values = new Float64Array(scores.layers.length * measure.regions.length).fill(Number.NaN);
    for (const row of rows) {
      const [l, g] = [scores.layers.indexOf(row.layer), measure.regions.indexOf(region(row))];
      if (l >= 0 && g >= 0) values[l * measure.regions.length + g] = value(row) ?? Number.NaN;
    }
    found[id] = values;
  }
  return Object.keys(found).length > 0 ? found : undefined;
}

function foldMeans(scores: Scores): Float64Array {
  const group = summaryTargets(scores);
  const t = scores.targets.length;
  const out = new Float64Array(scores.layers.length * scores.folds.count);
  const values = new Array<number>(group.length);
  for (let row = 0; row < out.length; row++) {
    for (let g = 0; g < group.length; g++) values[g] = scores.foldR[row * t + group[g]!]!;
    out[row] = meanOfFinite(values);
  }
  return out;
}

/** Evenly spaced steps, the first and the last among them. */
function thinned(losses: readonly number[], most: number): Float64Array {
  const count = Math.min(losses.length, most);
  return Float64Array.from(
    { length: count },
    (_, i) => losses[count === 1 ? 0 : Math.round((i * (losses.length - 1)) / (count - 1))]!,
  );
}
