/** Tuned minus untuned, layer by layer and region by region, with tests over subjects. */

import { adjustFdr } from '../analysis/multiple.js';
import { signFlipTest } from '../analysis/paired.js';
import { meanOfFinite } from '../numbers.js';
import type { PageData, PageDifference, PageDifferences, PageRun, PageSet } from './types.js';

/** Products that all sign flips of a report may take: some seconds. */
const kWork = 2e9;
const kFlips = 10_000;
/** Regions that have differences of their own at most; above that (single voxels) only their mean. */
const kRegions = 300;

type Page = Pick<PageData, 'runs' | 'sets'>;

/** Differences of every set that has an untuned run and others. Runs that differ in their seed alone are one line, as in the figures. */
export function differencesOf(page: Page): PageDifferences[] {
  return page.sets.map((set, index) => differences(page, set, index));
}

function differences(page: Page, set: PageSet, index: number): PageDifferences {
  const lines = new Map<string, PageRun[]>();
  for (const run of page.runs) {
    if (run.set !== index || run.model === '') continue;
    const key = JSON.stringify([run.model, run.series]);
    const members = lines.get(key);
    if (members) members.push(run);
    else lines.set(key, [run]);
  }
  const groups = [...lines.values()];
  const base = (model: string) => groups.find(([first]) => first!.model === model && first!.method === 'untuned');
  const all = [...new Set(set.targets.map(({ roi }) => roi))];
  const regions = all.length > kRegions ? [] : all;
  const people = [...new Set(set.targets.map(({ subject }) => subject))].filter((subject) => subject !== 'mean');
  const pairs = groups.flatMap((runs) => {
    const untuned = base(runs[0]!.model);
    const same = untuned && untuned !== runs && String(untuned[0]!.layers) === String(runs[0]!.layers);
    return same ? [{ runs, untuned }] : [];
  });
  const over = people.length > 1 ? 'subjects' : 'folds';
  const work = pairs.length * people.length * (pairs[0]?.untuned[0]?.layers.length ?? 0) * (1 + regions.length);
  const flips = Math.max(500, Math.min(kFlips, Math.floor(kWork / Math.max(1, work))));
  const made = pairs.map(({ runs, untuned }) =>
    over === 'subjects' ? overSubjects(set, runs, untuned, people, all, flips) : overFolds(set, runs, untuned, all),
  );
  // One family: every line, layer and region of a figure is a question that was asked.
  const adjusted = adjustFdr(made.flatMap(({ fdr }) => [...fdr]));
  let at = 0;
  for (const line of made) {
    line.fdr = Float64Array.from(adjusted.slice(at, at + line.fdr.length));
    at += line.fdr.length;
  }
  const head = over === 'subjects' ? people.length : set.foldCount;
  return { over, pairs: head, regions, lines: made };
}

function meanOver(runs: PageRun[], at: (run: PageRun) => number): number {
  return runs.reduce((sum, run) => sum + at(run), 0) / runs.length;
}

function errorOf(values: number[]): number {
  const centre = meanOfFinite(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

function headOf(runs: PageRun[]) {
  const { set, model, series, layers } = runs[0]!;
  return { set, model, series, layers };
}

function overSubjects(
  set: PageSet,
  runs: PageRun[],
  untuned: PageRun[],
  people: string[],
  regions: string[],
  flips: number,
): PageDifference {
  const t = set.targets.length;
  const L = runs[0]!.layers.length;
  const shown = regions.length > kRegions ? 0 : regions.length;
  const columns = 1 + shown;
  const members = people.map((subject) => membersOf(set, regions, (one) => one === subject));
  const gain = (l: number, c: number) =>
    meanOver(runs, (run) => run.r[l * t + c]!) - meanOver(untuned, (run) => run.r[l * t + c]!);
  const rows = members.map((ofSubject) =>
    Array.from({ length: L }, (_, l) => {
      const each = ofSubject.map((targets) => meanOfFinite(targets.map((c) => gain(l, c))));
      return [meanOfFinite(each), ...each.slice(0, shown)];
    }).flat(),
  );
  const value = Float64Array.from({ length: L * columns }, (_, i) => meanOfFinite(rows.map((row) => row[i]!)));
  const half = Float64Array.from({ length: L }, (_, l) => 1.96 * errorOf(rows.map((row) => row[l * columns]!)));
  // A column in which a subject has no score cannot be flipped.
  const whole = [...value.keys()].filter((i) => rows.every((row) => Number.isFinite(row[i]!)));
  const fdr = new Float64Array(value.length).fill(Number.NaN);
  if (whole.length > 0) {
    const { p } = signFlipTest(
      rows.map((row) => whole.map((i) => row[i]!)),
      { permutations: flips },
    );
    for (const [k, i] of whole.entries()) fdr[i] = p[k]!;
  }
  return { ...headOf(runs), value, half, fdr };
}

/** Targets of each region, of the subjects asked for. */
function membersOf(set: PageSet, regions: string[], of: (subject: string) => boolean): number[][] {
  const members = new Map(regions.map((roi) => [roi, [] as number[]]));
  for (const [c, { subject, roi }] of set.targets.entries()) if (of(subject)) members.get(roi)!.push(c);
  return [...members.values()];
}

function overFolds(set: PageSet, runs: PageRun[], untuned: PageRun[], regions: string[]): PageDifference {
  const t = set.targets.length;
  const F = set.foldCount;
  const layers = runs[0]!.layers;
  // The targets that summaries and the scores of folds take in.
  const group = set.targets.some(({ subject }) => subject === 'mean');
  const members = membersOf(set, regions, (subject) => !group || subject === 'mean');
  const gain = (l: number, targets: number[]) =>
    meanOfFinite(
      targets.map((c) => meanOver(runs, (run) => run.r[l * t + c]!) - meanOver(untuned, (run) => run.r[l * t + c]!)),
    );
  const rows = layers.map((_, l) => {
    const each = members.map((targets) => gain(l, targets));
    return [meanOfFinite(each), ...(regions.length > kRegions ? [] : each)];
  });
  const half = layers.map((_, l) =>
    errorOf(
      Array.from(
        { length: F },
        (_, f) => meanOver(runs, (run) => run.foldR[l * F + f]!) - meanOver(untuned, (run) => run.foldR[l * F + f]!),
      ),
    ),
  );
  return {
    ...headOf(runs),
    value: Float64Array.from(rows.flat()),
    half: Float64Array.from(half),
    fdr: new Float64Array(0),
  };
}
