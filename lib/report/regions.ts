/** Regions by task and method: how well each region is predicted, and predicts, after models learnt each task. */
import { mean } from '../numbers.js';
import { methodTitle } from '../study/plan.js';
import type { Scores } from '../study/records.js';
import type { ResultRun, Results, Summary } from '../study/results.js';
import { decimals } from './decimals.js';
import { type Html, html } from './html.js';

export interface RegionColumn {
  /** '' for models as they were. */
  task: string;
  method: string;
  /** Of each region; NaN where the run has none. */
  r: number[];
  twoVsTwo: number[];
}
export interface RegionTable {
  regions: string[];
  columns: RegionColumn[];
  /** Subjects that values are means over; 1 where there is only the mean over them. */
  subjects: number;
  decoded: boolean;
}

/** Columns of a table at most. */
const kColumns = 24;

/** Values that belong to one region, of people where there are some, else of the mean over them. */
function overPeople(entries: readonly { subject: string; value: number }[]): number {
  const people = entries.filter(({ subject }) => subject !== 'mean');
  return mean((people.length > 0 ? people : entries).map(({ value }) => value));
}

function encoded(scores: Scores, layer: number, region: string): number {
  const l = scores.layers.indexOf(layer);
  return overPeople(
    scores.targets.flatMap(({ roi, subject }, t) =>
      roi === region ? [{ subject, value: scores.r[l * scores.targets.length + t]! }] : [],
    ),
  );
}

/** 2v2 accuracy of a region (its rows are `SUBJECT:REGION`) at the layer where the mean over regions is best. */
function decoded({ decode = [] }: Scores, regions: readonly string[]): number[] {
  const layers = [...new Set(decode.map(({ layer }) => layer))];
  const of = (layer: number, region: string) =>
    overPeople(
      decode.flatMap((row) =>
        row.layer === layer && row.region.endsWith(`:${region}`)
          ? [{ subject: row.region.slice(0, -region.length - 1), value: row.two_vs_two ?? Number.NaN }]
          : [],
      ),
    );
  const best = layers
    .map((layer) => regions.map((region) => of(layer, region)))
    .reduce<number[] | undefined>((top, own) => (top && mean(top) >= mean(own) ? top : own), undefined);
  return best ?? regions.map(() => Number.NaN);
}

function columnOf({ record, scores }: ResultRun, layer: number, regions: readonly string[]): RegionColumn {
  const { labels } = record;
  return {
    task: labels.task ?? '',
    method: methodTitle({ ...labels, task: undefined }),
    r: regions.map((region) => encoded(scores!, layer, region)),
    twoVsTwo: decoded(scores!, regions),
  };
}

/** One table for each model and data set whose runs learnt several tasks. */
export function regionTables(results: Results, summary: Summary): { title: string; table: RegionTable }[] {
  const groups = new Map<string, { run: ResultRun; layer: number }[]>();
  for (const [i, run] of results.runs.entries()) {
    const { model, method, data } = run.record.labels;
    if (!run.scores || !model || method === 'untrained') continue;
    const title = [model.split('/').at(-1), data].filter(Boolean).join(', ');
    groups.set(title, [...(groups.get(title) ?? []), { run, layer: summary.rows[i]!.bestLayer }]);
  }
  return [...groups].flatMap(([title, all]) => {
    const tasks = new Set(all.flatMap(({ run }) => run.record.labels.task ?? []));
    if (tasks.size < 2) return [];
    const { targets } = all[0]!.run.scores!;
    const regions = [...new Set(targets.map(({ roi }) => roi))];
    const people = new Set(targets.map(({ subject }) => subject).filter((subject) => subject !== 'mean'));
    const columns = all
      .sort((a, b) => Number(Boolean(a.run.record.labels.task)) - Number(Boolean(b.run.record.labels.task)))
      .slice(0, kColumns)
      .map(({ run, layer }) => columnOf(run, layer, regions));
    const table = {
      ...{ regions, columns, subjects: Math.max(1, people.size) },
      decoded: columns.some(({ twoVsTwo }) => twoVsTwo.some(Number.isFinite)),
    };
    return [{ title, table }];
  });
}

export function regionNote({ subjects, decoded: isDecoded }: RegionTable): string {
  const over = subjects > 1 ? `means over ${subjects} subjects` : 'of one subject, or of the mean over subjects';
  return `Pearson r of each region at the best layer of its run${isDecoded ? ', and below 2v2 accuracy (0.5 by chance) of decoding from the region alone at the layer that decodes best' : ''}; ${over}.`;
}

/** Rows of one measure: the region, then its value in each column. */
export function regionRows({ regions, columns }: RegionTable, measure: 'r' | 'twoVsTwo'): string[][] {
  return regions.map((region, at) => [region, ...columns.map((column) => decimals(column[measure][at]!))]);
}

/** The measures a table has, for people. */
export function measuresOf(table: RegionTable): { title: string; measure: 'r' | 'twoVsTwo' }[] {
  return [
    { title: 'encoding, r', measure: 'r' },
    ...(table.decoded ? [{ title: 'decoding, 2v2', measure: 'twoVsTwo' as const }] : []),
  ];
}

/** Neighbouring columns of one task. */
function spans(columns: readonly RegionColumn[]): { task: string; count: number }[] {
  const found: { task: string; count: number }[] = [];
  for (const { task } of columns)
    if (found.at(-1)?.task === task) found.at(-1)!.count++;
    else found.push({ task, count: 1 });
  return found;
}

/** Regions as rows, tasks and methods as columns. */
export function regionSections(results: Results, summary: Summary): Html[] {
  return regionTables(results, summary).map(
    (
      { title, table },
      i,
    ) => html`<section aria-labelledby="regions-${i}-title"><h2 id="regions-${i}-title">Regions by task: ${title}</h2>
    <p class="quiet" id="regions-${i}-note">${regionNote(table)}</p>
    ${measuresOf(table).map(
      (
        one,
      ) => html`<div class="scroll" tabindex="0" role="region" aria-label="Regions by task, ${one.title}"><table aria-describedby="regions-${i}-note">
      <thead><tr><th scope="col" rowspan="2">${one.title}</th>${spans(table.columns).map(({ task, count }) => html`<th scope="colgroup" colspan="${count}">${task || 'as it was'}</th>`)}</tr>
      <tr>${table.columns.map(({ method }) => html`<th scope="col">${method}</th>`)}</tr></thead>
      <tbody>${regionRows(table, one.measure).map(([region, ...cells]) => html`<tr><th scope="row">${region}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>`,
    )}</section>`,
  );
}
