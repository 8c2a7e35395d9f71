/** The columns of a store's tables: runs, scores, folds, losses, quality, decode, rsa, labels, studies; and the rows of each. */

import { runTitle } from './plan.js';
import type { QualityRow, RunLabels, RunRecord, Scores, StudyRecord } from './records.js';
import { summarize } from './results.js';

export type ColumnType = 'STRING' | 'DOUBLE' | 'INT32' | 'TIMESTAMP' | 'BOOLEAN';
export type Cell = string | number | boolean | Date | null;
type Columns = Record<string, ColumnType>;

/** A run with all that its rows are made of. */
export interface TableRun {
  record: RunRecord;
  scores: Scores | undefined;
  losses: number[];
  quality: readonly QualityRow[];
}

/** What names a run, in front of its other columns. */
const kRun = {
  run: 'STRING',
  model: 'STRING',
  method: 'STRING',
  lr: 'DOUBLE',
  rank: 'INT32',
  seed: 'INT32',
  fraction: 'DOUBLE',
  data: 'STRING',
  task: 'STRING',
} as const satisfies Columns;

export const kTables = {
  runs: {
    ...kRun,
    title: 'STRING',
    status: 'STRING',
    error: 'STRING',
    best_layer: 'INT32',
    best_r: 'DOUBLE',
    best_r_over_ceiling: 'DOUBLE',
    family: 'STRING',
    layers: 'INT32',
    parameters: 'DOUBLE',
    trainable: 'DOUBLE',
    objective: 'STRING',
    updates: 'INT32',
    stopped_by: 'STRING',
    first_loss: 'DOUBLE',
    last_loss: 'DOUBLE',
    validation_loss: 'DOUBLE',
    seconds: 'DOUBLE',
    simulated: 'BOOLEAN',
    created: 'TIMESTAMP',
  },
  scores: {
    ...kRun,
    layer: 'INT32',
    target: 'STRING',
    subject: 'STRING',
    roi: 'STRING',
    r: 'DOUBLE',
    r2: 'DOUBLE',
    alpha: 'DOUBLE',
    ceiling: 'DOUBLE',
    r_over_ceiling: 'DOUBLE',
    p: 'DOUBLE',
    p_fdr: 'DOUBLE',
    p_max: 'DOUBLE',
    r_lower: 'DOUBLE',
    r_upper: 'DOUBLE',
  },
  folds: { run: 'STRING', layer: 'INT32', target: 'STRING', fold: 'INT32', r: 'DOUBLE', r2: 'DOUBLE', alpha: 'DOUBLE' },
  losses: { run: 'STRING', step: 'INT32', loss: 'DOUBLE' },
  quality: { ...kRun, metric: 'STRING', value: 'DOUBLE', items: 'DOUBLE' },
  decode: {
    ...kRun,
    layer: 'INT32',
    region: 'STRING',
    two_vs_two: 'DOUBLE',
    rank_accuracy: 'DOUBLE',
    identification: 'DOUBLE',
    r: 'DOUBLE',
    p: 'DOUBLE',
  },
  labels: { ...kRun, layer: 'INT32', accuracy: 'DOUBLE', balanced: 'DOUBLE', chance: 'DOUBLE', p: 'DOUBLE' },
  rsa: {
    ...kRun,
    layer: 'INT32',
    region: 'STRING',
    similarity: 'DOUBLE',
    lower: 'DOUBLE',
    upper: 'DOUBLE',
    p: 'DOUBLE',
    ceiling_lower: 'DOUBLE',
    ceiling_upper: 'DOUBLE',
  },
  studies: { study: 'STRING', run: 'STRING' },
} as const satisfies Record<string, Columns>;
export type TableName = keyof typeof kTables;
export const kTableNames = Object.keys(kTables) as TableName[];
/** Tables that are made run by run; `studies` is made of the study files. */
export type RunTable = Exclude<TableName, 'studies'>;
export const kRunTables = kTableNames.filter((name): name is RunTable => name !== 'studies');

type Row = Record<string, Cell | undefined>;

/** Rows of a table, column by column. */
export class TableColumns {
  readonly columns: Record<string, Cell[]>;
  readonly #types: Columns;
  readonly #lists: [string, Cell[]][];

  constructor(table: TableName) {
    this.#types = kTables[table];
    this.columns = Object.fromEntries(Object.keys(this.#types).map((name) => [name, []]));
    this.#lists = Object.entries(this.columns);
  }

  /** NaN is null: a table has no other word for a number that is not there. */
  push(row: Row): void {
    for (const [name, values] of this.#lists) values.push(plain(row[name]));
  }

  /** `count` rows: of each column the value of `row`, or what `values` says of row i. No object a row: a large store has millions. */
  pushBlock(count: number, row: Row, values: Record<string, (i: number) => Cell | undefined>): void {
    for (const [name, list] of this.#lists) {
      const value = values[name];
      const same = row[name] ?? null;
      for (let i = 0; i < count; i++) list.push(value ? plain(value(i)) : same);
    }
  }

  get data(): { name: string; type: ColumnType; data: Cell[]; nullable: true }[] {
    return Object.entries(this.#types).map(([name, type]) => ({
      name,
      type,
      data: this.columns[name]!,
      nullable: true,
    }));
  }
}

function plain(value: Cell | undefined): Cell {
  return value === undefined || (typeof value === 'number' && !Number.isFinite(value)) ? null : value;
}

/** What names a run, as columns. */
function runColumns({ id, labels, data }: RunRecord): Row & RunLabels {
  return {
    run: id,
    ...labels,
    fraction: labels.fraction ?? (labels.lr === null ? undefined : 1),
    data: labels.data ?? data.name,
  } as Row & RunLabels;
}

const kRows: Record<Exclude<RunTable, 'scores' | 'folds'>, (run: TableRun) => Iterable<Row>> = {
  runs: (run) => [runRow(run)],
  losses: ({ record, losses }) => losses.map((loss, step) => ({ run: record.id, step, loss })),
  quality: ({ record, quality }) => quality.map((row) => ({ ...runColumns(record), ...row })),
  decode: ({ record, scores }) => (scores?.decode ?? []).map((row) => ({ ...runColumns(record), ...row })),
  labels: ({ record, scores }) => (scores?.labels ?? []).map((row) => ({ ...runColumns(record), ...row })),
  rsa: ({ record, scores }) => (scores?.rsa ?? []).map((row) => ({ ...runColumns(record), ...row })),
};

/** The rows that a run adds to a table. */
export function addRows(table: RunTable, into: TableColumns, run: TableRun): void {
  if (table === 'scores') addScores(into, run);
  else if (table === 'folds') addFolds(into, run);
  else for (const row of kRows[table](run)) into.push(row);
}

/** [L, t] */
function addScores(into: TableColumns, { record, scores }: TableRun): void {
  if (!scores) return;
  const { layers, targets, ceilings, r, r2, alpha, stats } = scores;
  const count = targets.length;
  into.pushBlock(layers.length * count, runColumns(record), {
    layer: (i) => layers[Math.floor(i / count)],
    target: (i) => targets[i % count]!.name,
    subject: (i) => targets[i % count]!.subject,
    roi: (i) => targets[i % count]!.roi,
    r: (i) => r[i],
    r2: (i) => r2[i],
    alpha: (i) => alpha[i],
    ceiling: (i) => ceilings[i % count],
    r_over_ceiling: (i) => r[i]! / ceilings[i % count]!,
    p: (i) => stats?.p[i],
    p_fdr: (i) => stats?.fdr[i],
    p_max: (i) => stats?.pMax[i],
    r_lower: (i) => stats?.lower[i],
    r_upper: (i) => stats?.upper[i],
  });
}

/** [L, F, t] */
function addFolds(into: TableColumns, { record, scores }: TableRun): void {
  if (!scores) return;
  const { layers, targets, folds, foldR, foldR2, foldAlpha } = scores;
  const [count, perLayer] = [targets.length, targets.length * folds.count];
  const values = {
    layer: (i: number) => layers[Math.floor(i / perLayer)],
    target: (i: number) => targets[i % count]!.name,
    fold: (i: number) => (Math.floor(i / count) % folds.count) + 1,
    r: (i: number) => foldR[i],
    r2: (i: number) => foldR2[i],
    alpha: (i: number) => foldAlpha[i],
  };
  into.pushBlock(layers.length * perLayer, { run: record.id }, values);
}

export function studyRows(studies: readonly StudyRecord[]): TableColumns {
  const columns = new TableColumns('studies');
  for (const { name, runs } of studies) for (const run of runs) columns.push({ study: name, run });
  return columns;
}

function runRow({ record, scores, losses }: TableRun): Row {
  const title = runTitle(record.labels);
  const [best] = summarize({ runs: [{ record, title, scores }] }).rows;
  const known = losses.filter(Number.isFinite);
  return {
    ...runColumns(record),
    title,
    status: record.status,
    error: record.error?.message,
    best_layer: best!.bestLayer,
    best_r: best!.bestR,
    best_r_over_ceiling: best!.bestNormalized,
    family: record.model?.family,
    layers: record.model?.layers,
    parameters: record.model?.parameters,
    trainable: record.trainable,
    objective: record.tuning?.objective,
    updates: record.tuning?.updates,
    stopped_by: record.tuning?.stopped?.by,
    first_loss: known[0],
    last_loss: known.at(-1),
    validation_loss: record.tuning?.validation_loss,
    seconds: Object.values(record.seconds).reduce((sum, value) => sum + value, 0),
    simulated: record.data.simulated,
    created: new Date(record.created),
  };
}
