/** Tables of what a study asked for beside encoding: decoding, classifiers, geometry; each run at its best layer. */
import type { DecodeRow, LabelRow, RsaRow } from '../study/records.js';
import type { Results } from '../study/results.js';
import { decimals } from './decimals.js';
import { type Html, html } from './html.js';

type Row = { layer: number; p: number | null };

interface Section<R extends Row> {
  id: string;
  heading: string;
  note: string;
  rows: 'decode' | 'labels' | 'rsa';
  region(row: R): string;
  /** The first decides which layer is best. */
  columns: [title: string, value: (row: R) => number | null][];
}

const kSections = [
  {
    id: 'decode',
    heading: 'Decoding',
    note: 'Embeddings predicted from held-out responses. 2v2 and rank accuracy are 0.5 by chance; the layer of each region is its best by 2v2 accuracy, so its score is a little high; p is of that layer alone.',
    rows: 'decode',
    region: (row) => row.region,
    columns: [
      ['2v2', (row) => row.two_vs_two],
      ['rank accuracy', (row) => row.rank_accuracy],
      ['identified', (row) => row.identification],
      ['p', (row) => row.p],
    ],
  } satisfies Section<DecodeRow>,
  {
    id: 'labels',
    heading: 'Classifiers',
    note: 'Labels told by a linear classifier from held-out rows of a layer; the layer is the best by balanced accuracy.',
    rows: 'labels',
    region: () => '',
    columns: [
      ['balanced accuracy', (row) => row.balanced],
      ['accuracy', (row) => row.accuracy],
      ['chance', (row) => row.chance],
      ['p', (row) => row.p],
    ],
  } satisfies Section<LabelRow>,
  {
    id: 'rsa',
    heading: 'Geometry',
    note: 'Likeness of the dissimilarities of stimuli in a layer and in the responses; the layer of each region is its best. The ceiling says how alike subjects are.',
    rows: 'rsa',
    region: (row) => row.region,
    columns: [
      ['similarity', (row) => row.similarity],
      ['from', (row) => row.lower],
      ['to', (row) => row.upper],
      ['ceiling from', (row) => row.ceiling_lower],
      ['ceiling to', (row) => row.ceiling_upper],
      ['p', (row) => row.p],
    ],
  } satisfies Section<RsaRow>,
] as unknown as Section<Row>[];

/** One section for each that any run has. */
export function geometrySections(results: Results, shown: Set<string>): Html[] {
  return kSections.flatMap((section) => {
    const rows = results.runs.flatMap((run) =>
      shown.has(run.record.id) ? bestRows(run.scores?.[section.rows] ?? [], section, run.title) : [],
    );
    return rows.length === 0 ? [] : [sectionOf(section, rows)];
  });
}

function bestRows(rows: readonly Row[], { region, columns }: Section<Row>, title: string) {
  const [, score] = columns[0]!;
  const best = new Map<string, Row>();
  for (const row of rows) {
    const found = best.get(region(row));
    if (!found || (score(row) ?? -2) > (score(found) ?? -2)) best.set(region(row), row);
  }
  return [...best].map(([name, row]) => ({ title, name, row }));
}

function sectionOf(
  { id, heading, note, columns: all }: Section<Row>,
  rows: { title: string; name: string; row: Row }[],
): Html {
  const regions = rows.some(({ name }) => name !== '');
  // Tests and intervals that no run was asked for are no columns.
  const columns = all.filter(([, value]) => rows.some(({ row }) => Number.isFinite(value(row) ?? Number.NaN)));
  return html`<section aria-labelledby="${id}-title"><h2 id="${id}-title">${heading}</h2>
    <p class="quiet" id="${id}-note">${note}</p>
    <div class="scroll" tabindex="0" role="region" aria-label="${heading} of each run"><table aria-describedby="${id}-note">
    <thead><tr><th scope="col">run</th>${regions ? html`<th scope="col">region</th>` : null}<th scope="col">layer</th>${columns.map(([title]) => html`<th scope="col">${title}</th>`)}</tr></thead>
    <tbody>${rows.map(
      ({ title, name, row }) =>
        html`<tr><th scope="row">${title}</th>${regions ? html`<td>${name}</td>` : null}<td>${row.layer}</td>${columns.map(([, value]) => html`<td>${decimals(value(row) ?? Number.NaN)}</td>`)}</tr>`,
    )}</tbody></table></div></section>`;
}
