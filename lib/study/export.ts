/** Every score as text that `cmp` can compare: fixed order, fixed number formats, no times. */
import type { Results, ScoreRow } from './results.js';
import { scoreRows } from './results.js';
import { addRows, type RunTable, TableColumns } from './tables.js';

const kColumns: [string, (row: ScoreRow) => string][] = [
  ['run', (row) => row.run],
  ['model', (row) => row.model],
  ['method', (row) => row.method],
  ['lr', (row) => plain(row.lr)],
  ['rank', (row) => plain(row.rank)],
  ['seed', (row) => plain(row.seed)],
  ['layer', (row) => plain(row.layer)],
  ['target', (row) => row.target],
  ['subject', (row) => row.subject],
  ['roi', (row) => row.roi],
  ['r', (row) => fixed(row.r)],
  ['r2', (row) => fixed(row.r2)],
  ['alpha', (row) => (Number.isFinite(row.alpha) ? row.alpha.toExponential(5) : '')],
  ['ceiling', (row) => fixed(row.ceiling)],
  ['r_over_ceiling', (row) => fixed(row.normalized)],
];

/** Columns that name a run: run to seed. */
const kLabels = 6;

/** Only where a run has them. */
const kStats: typeof kColumns = [
  ['p', (row) => fixed(row.p)],
  ['p_fdr', (row) => fixed(row.fdr)],
  ['p_max', (row) => fixed(row.pMax)],
  ['r_lower', (row) => fixed(row.lower)],
  ['r_upper', (row) => fixed(row.upper)],
];

/** What tells runs apart in some studies only. */
function labelColumns({ runs }: Results): typeof kColumns {
  const has = (key: 'fraction' | 'data' | 'task') => runs.some(({ record }) => record.labels[key] !== undefined);
  return [
    ...(has('fraction')
      ? [['fraction', (row: ScoreRow) => plain(row.fraction ?? 1)] as (typeof kColumns)[number]]
      : []),
    ...(has('task') ? [['task', (row: ScoreRow) => row.task ?? ''] as (typeof kColumns)[number]] : []),
    ...(has('data') ? [['data', (row: ScoreRow) => row.data ?? ''] as (typeof kColumns)[number]] : []),
  ];
}

/** A header and one row a run x layer x target; `r_fold_1`... hold each outer fold's r. Empty where there is no number. */
export function toCsv(results: Results): string {
  const folds = Math.max(0, ...results.runs.map((run) => run.scores?.folds.count ?? 0));
  const stats = results.runs.some((run) => run.scores?.stats) ? kStats : [];
  const columns = [...kColumns.slice(0, kLabels), ...labelColumns(results), ...kColumns.slice(kLabels), ...stats];
  const names = [...columns.map(([name]) => name), ...Array.from({ length: folds }, (_, f) => `r_fold_${f + 1}`)];
  const lines = [names.join(',')];
  for (const row of scoreRows(results)) {
    const cells = columns.map(([, cell]) => quoted(cell(row)));
    for (let f = 0; f < folds; f++) cells.push(fixed(row.folds[f] ?? Number.NaN));
    lines.push(cells.join(','));
  }
  return `${lines.join('\n')}\n`;
}

/** The same rows as JSON, one a line inside an array; null where there is no number. */
export function toJson(results: Results): string {
  const round = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(8)) : value;
  const stated = results.runs.some((run) => run.scores?.stats);
  const lines = [...scoreRows(results)].map(({ normalized, folds, p, fdr, pMax, lower, upper, ...row }) => {
    const stats = stated && { p, p_fdr: fdr, p_max: pMax, r_lower: lower, r_upper: upper };
    return JSON.stringify({ ...row, r_over_ceiling: normalized, r_folds: folds, ...stats }, round);
  });
  return `[\n${lines.join(',\n')}\n]\n`;
}

/** A table of results by the columns of lib/study/tables.ts, as CSV: numbers in full. */
export function tableCsv(results: Results, table: RunTable): string {
  const { columns } = tableOf(results, table);
  const names = Object.keys(columns);
  const count = columns[names[0]!]!.length;
  const lines = Array.from({ length: count }, (_, row) =>
    names.map((name) => cellText(columns[name]![row]!)).join(','),
  );
  return `${[names.join(','), ...lines].join('\n')}\n`;
}

/** The same as JSON, one row a line inside an array. */
export function tableJson(results: Results, table: RunTable): string {
  const { columns } = tableOf(results, table);
  const names = Object.keys(columns);
  const count = columns[names[0]!]!.length;
  const lines = Array.from({ length: count }, (_, row) =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, columns[name]![row]]))),
  );
  return `[\n${lines.join(',\n')}\n]\n`;
}

/** The columns of a table. */
export function tableOf(results: Results, table: RunTable): TableColumns {
  const columns = new TableColumns(table);
  for (const run of results.runs) addRows(table, columns, { ...run, scores: run.scores });
  return columns;
}

/** A value as a cell of CSV. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  return quoted(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** Six decimals; rounding a tiny negative number leaves no sign. */
function fixed(value: number): string {
  if (!Number.isFinite(value)) return '';
  const text = value.toFixed(6);
  return text === '-0.000000' ? '0.000000' : text;
}

function plain(value: number | null): string {
  return value === null ? '' : String(value);
}

/** RFC 4180; a leading `=` or `@` is kept from becoming a formula in a spreadsheet. */
export function quoted(text: string): string {
  const safe = /^[=@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
