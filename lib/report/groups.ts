/** Parameter-efficient methods against full fine-tuning: paired comparisons for each model, and for each learning rate. */
import { CortuneError } from '../errors.js';
import { type CompareAxis, compareGroups, type GroupComparison } from '../study/group-comparisons.js';
import { rateText } from '../study/plan.js';
import type { Results } from '../study/results.js';
import { kMethods } from '../tune/methods.js';
import { decimals } from './decimals.js';
import { type Html, html } from './html.js';

export interface GroupTable {
  title: string;
  axes: CompareAxis[];
  rows: GroupComparison[];
}
export interface GroupTables {
  /** Methods whose means are compared. */
  efficient: string[];
  full: string[];
  tables: GroupTable[];
}

/** Runs at most: each stratum takes thousands of sign flips. */
const kMost = 2000;
const kTables: { title: string; axes: CompareAxis[] }[] = [
  { title: 'For each model', axes: ['data', 'task', 'model'] },
  { title: 'For each learning rate, over all models', axes: ['data', 'task', 'lr'] },
];

/** Undefined where a study has not both kinds. */
export function groupTables(results: Results): GroupTables | undefined {
  const done = results.runs.filter((run) => run.scores);
  const methods = [...new Set(done.map(({ record }) => record.key.method))];
  const known = kMethods.filter(({ name }) => methods.includes(name));
  const efficient = known.filter(({ adapter }) => adapter).map(({ name }) => name);
  const full = known.filter(({ name }) => name === 'full').map(({ name }) => name);
  if (efficient.length === 0 || full.length === 0 || done.length > kMost) return undefined;
  const varied = (axis: CompareAxis) => new Set(done.map(({ record }) => axisValue(record.labels, axis))).size > 1;
  const tables = kTables.flatMap(({ title, axes }): GroupTable[] => {
    const shown = axes.filter((axis) => varied(axis) || axis === axes.at(-1));
    try {
      const rows = compareGroups(results, { of: efficient, baseline: full, per: shown });
      return [{ title, axes: shown, rows: inOrder(rows, shown.slice(0, -1)) }];
    } catch (error) {
      // Nothing that agrees in these: the report stands without the table.
      if (error instanceof CortuneError) return [];
      throw error;
    }
  });
  return tables.length > 0 ? { efficient, full, tables } : undefined;
}

/** Rows of one data set and task together, in the order in which they first come. */
function inOrder(rows: GroupComparison[], axes: readonly CompareAxis[]): GroupComparison[] {
  return axes.reduceRight((sorted, axis) => {
    const values = [...new Set(sorted.map(({ stratum }) => stratum[axis]))];
    return values.flatMap((value) => sorted.filter(({ stratum }) => stratum[axis] === value));
  }, rows);
}

function axisValue(labels: Results['runs'][number]['record']['labels'], axis: CompareAxis): unknown {
  return labels.method === '' || labels.model === '' || labels.lr === null ? undefined : (labels[axis] ?? undefined);
}

const kHeads: Partial<Record<CompareAxis, string>> = { lr: 'learning rate' };
export const headOf = (axis: CompareAxis) => kHeads[axis] ?? axis;

/** A value of an axis as people write it. */
export function axisText(axis: CompareAxis, value: string | number | undefined): string {
  if (value === undefined) return '\u2013';
  if (axis === 'lr') return rateText(Number(value));
  return axis === 'model' ? (String(value).split('/').at(-1) ?? '') : String(value);
}

/** What the tables say and how. */
export function groupNote({ efficient, full, tables }: GroupTables): string {
  const { over } = tables[0]!.rows[0]!;
  const pairs = over === 'subjects' ? 'subjects (means over regions)' : 'targets, which are no sample of people';
  return `Mean of ${efficient.join(', ')} minus mean of ${full.join(', ')}, paired over ${pairs}; the layer of each run is chosen on the other folds. 95 % intervals over ${over}; p from sign flips, corrected by Benjamini-Hochberg over the rows of a table.`;
}

export function groupSection(results: Results): Html | null {
  const found = groupTables(results);
  if (!found) return null;
  return html`<section aria-labelledby="groups-title"><h2 id="groups-title">Parameter-efficient against full</h2>
    <p class="quiet">${groupNote(found)}</p>
    ${found.tables.map(
      ({ title, axes, rows }) => html`<h3>${title}</h3>
    <div class="scroll" tabindex="0" role="region" aria-label="${title}"><table>
    <thead><tr>${axes.map((axis) => html`<th scope="col">${headOf(axis)}</th>`)}<th scope="col">efficient</th><th scope="col">full</th><th scope="col">difference</th><th scope="col">interval</th><th scope="col">d<sub>z</sub></th><th scope="col">p (FDR)</th></tr></thead>
    <tbody>${rows.map(
      ({ stratum, score, baseline, difference, effect: { dz }, fdr }) =>
        html`<tr>${axes.map((axis, i) => (i === 0 ? html`<th scope="row">${axisText(axis, stratum[axis])}</th>` : html`<td>${axisText(axis, stratum[axis])}</td>`))}<td>${decimals(score)}</td><td>${decimals(baseline)}</td><td>${decimals(difference.value)}</td><td>${decimals(difference.lower)} to ${decimals(difference.upper)}</td><td>${decimals(dz, 2)}</td><td>${fdr.toFixed(4)}</td></tr>`,
    )}</tbody></table></div>`,
    )}</section>`;
}
