/** Runs as the lines of a figure: runs that differ in their seed alone are one line; values averaged as the reader chose. */
import type { PageData, PageRun, PageSet } from '../types.js';

export type Score = 'r' | 'normalized' | 'r2';
export type View = 'group' | 'subjects';

export const kScores: [Score, string][] = [
  ['r', 'Pearson r'],
  ['normalized', 'r / ceiling'],
  ['r2', 'R\u00b2'],
];

export interface Series {
  key: string;
  /** With the model's name when there are several models. */
  title: string;
  color: string;
  dash: string;
  runs: PageRun[];
  /** Shown until the reader chooses otherwise. */
  first: boolean;
}

/** What the reader chose; shared by all figures. */
export interface Choices {
  set: number;
  model: string;
  score: Score;
  view: View;
  roi: string;
  ceiling: boolean;
  hidden: Set<string>;
}

export interface Point {
  series: string;
  layer: number;
  value: number;
  low: number;
  high: number;
}

const kColors = 8;
const kDashes = ['', '6 3', '2 3', '8 3 2 3'];

export const isControl = (run: PageRun) => run.model === '' && run.status === 'done';
export const done = (data: PageData, set: number) => data.runs.filter((run) => run.set === set);
export const shortName = (model: string) => model.split('/').at(-1) ?? model;

/** The lines of a set. Untrained and untuned have colours of their own, so that they read the same in every report. */
export function seriesOf(data: PageData, set: number, model: string): Series[] {
  const runs = done(data, set).filter((run) => run.model !== '' && (model === 'all' || run.model === model));
  const several = new Set(runs.map((run) => run.model)).size > 1;
  const groups = new Map<string, PageRun[]>();
  for (const run of runs) {
    const key = `${run.model}\n${run.series}`;
    const members = groups.get(key);
    if (members) members.push(run);
    else groups.set(key, [run]);
  }
  let next = 0;
  const made = [...groups].map(([key, members]) => {
    const { method, model: name, series } = members[0]!;
    const own = !several && (method === 'untrained' || method === 'untuned');
    return { key, title: several ? `${shortName(name)} ${series}` : series, own, method, runs: members };
  });
  // Lines that are shown at first have colours of their own; the others go on with dashes.
  const shown = shownFirst(made, data.sets[set]!);
  const place = new Map(
    [...made.filter((each) => shown.has(each.key)), ...made.filter((each) => !shown.has(each.key))]
      .filter((each) => !each.own)
      .map((each) => [each.key, next++]),
  );
  return made.map(({ own, method, ...each }) => {
    const at = place.get(each.key) ?? 0;
    return {
      ...each,
      color: own ? `var(--${method})` : `var(--s${at % kColors})`,
      dash: own ? '' : kDashes[Math.floor(at / kColors) % kDashes.length]!,
      first: shown.has(each.key),
    };
  });
}

/** Lines that are shown at first: what the others are measured by, and the best of the rest. */
function shownFirst(lines: { key: string; method: string; runs: PageRun[] }[], set: PageSet): Set<string> {
  const plain = (method: string) => method === 'untrained' || method === 'untuned';
  const t = set.targets.length;
  const top = (run: PageRun) => Math.max(...run.layers.map((_, l) => mean(run.r.subarray(l * t, (l + 1) * t))));
  const scored = lines.map((line) => ({ line, value: plain(line.method) ? 2 : mean(line.runs.map(top)) }));
  scored.sort((a, b) => (Number.isNaN(b.value) ? -1 : b.value) - (Number.isNaN(a.value) ? -1 : a.value));
  return new Set(scored.slice(0, kColors).map(({ line }) => line.key));
}

/** Mean of what is there; NaN of nothing. */
export function mean(values: ArrayLike<number | null | undefined>): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value !== null && value !== undefined && Number.isFinite(value)) {
      sum += value;
      count++;
    }
  }
  return count === 0 ? Number.NaN : sum / count;
}

function standardError(values: number[]): number {
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return 0;
  const centre = mean(finite);
  const squares = finite.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (finite.length - 1) / finite.length);
}

/** Whether a set has a group mean, single subjects, or both. */
export function viewsOf(set: PageSet): [View, string][] {
  const group = set.targets.some((target) => target.subject === 'mean');
  const single = set.targets.some((target) => target.subject !== 'mean');
  const views: [View, string][] = [];
  if (group) views.push(['group', 'mean over subjects']);
  if (single) views.push(['subjects', 'single subjects']);
  return views;
}

export const roisOf = (set: PageSet) => [...new Set(set.targets.map((target) => target.roi))];
export const subjectsOf = (set: PageSet) =>
  [...new Set(set.targets.map((target) => target.subject))].filter((subject) => subject !== 'mean');

/** Numbers of the targets that a choice takes in. */
export function chosenTargets(set: PageSet, choices: Choices, subject?: string): number[] {
  return set.targets.flatMap((target, t) => {
    const inView =
      subject !== undefined ? target.subject === subject : (choices.view === 'group') === (target.subject === 'mean');
    return inView && (choices.roi === 'all' || target.roi === choices.roi) ? [t] : [];
  });
}

/** One score; NaN where there is none. */
export function scoreAt(run: PageRun, set: PageSet, layer: number, target: number, score: Score): number {
  const at = layer * set.targets.length + target;
  if (score === 'r2') return run.r2[at] ?? Number.NaN;
  const r = run.r[at] ?? Number.NaN;
  return score === 'r' ? r : r / (set.ceilings[target] ?? Number.NaN);
}

/** Mean score of a run at its l-th layer over some targets. */
export function meanScore(run: PageRun, set: PageSet, l: number, targets: number[], score: Score): number {
  return mean(targets.map((t) => scoreAt(run, set, l, t, score)));
}

let curves = new Map<string, Point[]>();

/** Curves are asked for by several figures and computed once. */
export function curve(series: Series, set: PageSet, choices: Choices): Point[] {
  const { model, score, view, roi } = choices;
  const key = JSON.stringify([choices.set, model, series.key, score, view, roi]);
  const found = curves.get(key) ?? computed(series, set, choices);
  if (curves.size > 5000) curves = new Map();
  curves.set(key, found);
  return found;
}

/** The curve of a series, with a 95 % interval over subjects, or plus and minus one standard error over folds. */
function computed(series: Series, set: PageSet, choices: Choices): Point[] {
  const first = series.runs[0]!;
  const subjects = choices.view === 'subjects' ? subjectsOf(set) : [];
  const targets = chosenTargets(set, choices);
  const groups = subjects.map((subject) => chosenTargets(set, choices, subject));
  return first.layers.flatMap((layer, l) => {
    const over = (group: number[]) => mean(series.runs.map((run) => meanScore(run, set, l, group, choices.score)));
    const value = over(targets);
    if (!Number.isFinite(value)) return [];
    const half = subjects.length > 1 ? 1.96 * standardError(groups.map(over)) : bandOverFolds(series, set, choices, l);
    return [{ series: series.title, layer, value, low: value - half, high: value + half }];
  });
}

/** The page holds fold scores of r averaged over all regions, so only that view has this band. */
export const hasFoldBand = (choices: Choices) =>
  choices.score === 'r' && choices.roi === 'all' && choices.view === 'group';

function bandOverFolds(series: Series, set: PageSet, choices: Choices, l: number): number {
  if (!hasFoldBand(choices)) return 0;
  const fold = (f: number) => mean(series.runs.map((run) => run.foldR[l * set.foldCount + f]));
  return standardError(Array.from({ length: set.foldCount }, (_, f) => fold(f)));
}

/** The ceiling in the units of the chosen score. */
export function ceilingOf(set: PageSet, choices: Choices): number {
  const ceilings = chosenTargets(set, choices).map((t) => set.ceilings[t]);
  if (choices.score === 'normalized') return 1;
  return mean(choices.score === 'r2' ? ceilings.map((value) => (value ?? Number.NaN) ** 2) : ceilings);
}

/** Controls as horizontal lines. */
export function controlsOf(data: PageData, set: PageSet, choices: Choices): { title: string; value: number }[] {
  const runs = done(data, choices.set).filter(isControl);
  const targets = chosenTargets(set, choices);
  return runs.map((run) => ({ title: run.series, value: meanScore(run, set, 0, targets, choices.score) }));
}

/** The highest point of a curve. */
export function best(points: Point[]): Point | undefined {
  return points.reduce<Point | undefined>((top, point) => (top && top.value >= point.value ? top : point), undefined);
}
