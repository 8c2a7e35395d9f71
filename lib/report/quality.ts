/** How well models do their tasks on held-out items: a table a task, rows of methods, columns of metrics. */

import { meanOfFinite } from '../numbers.js';
import { methodTitle } from '../study/plan.js';
import type { Results } from '../study/results.js';
import { isHigherBetter } from '../tasks/metrics.js';
import { decimals } from './decimals.js';
import { type Html, html } from './html.js';

export interface TaskTable {
  task: string;
  metrics: string[];
  /** Means over seeds (and data sets), NaN where a line has no such measure. */
  rows: { title: string; runs: number; values: number[] }[];
  /** Of each metric the best value of any row; NaN without one. */
  best: number[];
}

/** One table a task; runs that differ in their seed or data set alone are one row. */
export function taskTables({ runs }: Pick<Results, 'runs'>): TaskTable[] {
  const names = [...new Set(runs.flatMap(({ quality }) => quality.map(({ task }) => task)))];
  return names.map((task) => {
    const lines = new Map<string, Map<string, number[]>>();
    const metrics = new Set<string>();
    for (const { record, quality } of runs)
      for (const row of quality.filter((each) => each.task === task)) {
        const { labels } = record;
        const title = `${labels.model.split('/').at(-1)} ${methodTitle({ ...labels, task: undefined })}`.trim();
        const line = lines.get(title) ?? new Map<string, number[]>();
        lines.set(title, line.set(row.metric, [...(line.get(row.metric) ?? []), row.value]));
        metrics.add(row.metric);
      }
    const rows = [...lines].map(([title, line]) => ({
      title,
      runs: Math.max(...[...line.values()].map((values) => values.length)),
      values: [...metrics].map((metric) => meanOfFinite(line.get(metric) ?? [])),
    }));
    const best = [...metrics].map((metric, m) => {
      const values = rows.map((row) => row.values[m]!).filter(Number.isFinite);
      if (values.length === 0) return Number.NaN;
      return isHigherBetter(metric) ? Math.max(...values) : Math.min(...values);
    });
    return { task, metrics: [...metrics], rows, best };
  });
}

const columnTitle = (metric: string) => metric.replaceAll('_', ' ');
const note = (rows: TaskTable['rows']) =>
  `On held-out items; untuned and untrained models without examples.${rows.some((row) => row.runs > 1) ? ' Means over runs that differ in their seed or data set alone.' : ''}`;

/** Nothing where no task has held-out items. */
export function qualitySection(results: Results): Html | null {
  const tables = taskTables(results);
  if (tables.length === 0) return null;
  return html`<section aria-labelledby="quality-title"><h2 id="quality-title">Task quality</h2>
    <p class="quiet">${note(tables.flatMap(({ rows }) => rows))} Bold: the best of a column.</p>
    ${tables.map(
      ({ task, metrics, rows, best }) => html`<h3>${task}</h3>
    <div class="scroll" tabindex="0" role="region" aria-label="Quality of task ${task}"><table>
    <thead><tr><th scope="col">run</th>${metrics.map((metric) => html`<th scope="col">${columnTitle(metric)}</th>`)}</tr></thead>
    <tbody>${rows.map(
      ({ title, values }) =>
        html`<tr><th scope="row">${title}</th>${values.map((value, m) => html`<td>${value === best[m] ? html`<strong>${decimals(value)}</strong>` : decimals(value)}</td>`)}</tr>`,
    )}</tbody></table></div>`,
    )}</section>`;
}
