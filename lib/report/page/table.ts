/** Every score as a table: filtered by words and conditions, sorted by any column, fifty rows at a time, saved as CSV. */

import { decimals } from '../decimals.js';
import type { PageData, PageRun, PageSet } from '../types.js';
import { h } from './dom.js';
import { csvBlob, download } from './save.js';

/** A row is made when it is shown: there may be hundreds of thousands. */
interface Row {
  run: PageRun;
  set: PageSet;
  /** Row and column of its score. */
  l: number;
  t: number;
}

type Value = string | number;

interface Column {
  key: string;
  title: string;
  value(row: Row): Value;
  text(value: Value): string;
}

const kPage = 50;
const at = (values: Float64Array | undefined, { l, t, set }: Row) => values?.[l * set.targets.length + t] ?? Number.NaN;
const plain = (value: Value) => String(value);
const rounded = (value: Value) => decimals(value as number);
const precise = (digits: (value: number) => string) => (value: Value) =>
  Number.isFinite(value) ? digits(value as number) : '\u2013';

const kColumns: Column[] = [
  { key: 'run', title: 'run', value: (row) => row.run.title, text: plain },
  { key: 'layer', title: 'layer', value: (row) => row.run.layers[row.l]!, text: plain },
  { key: 'target', title: 'target', value: (row) => row.set.targets[row.t]!.name, text: plain },
  { key: 'r', title: 'r', value: (row) => at(row.run.r, row), text: rounded },
  {
    key: 'normalized',
    title: 'r / ceiling',
    value: (row) => at(row.run.r, row) / row.set.ceilings[row.t]!,
    text: rounded,
  },
  { key: 'r2', title: 'R\u00b2', value: (row) => at(row.run.r2, row), text: rounded },
  {
    key: 'alpha',
    title: 'alpha',
    value: (row) => 10 ** at(row.run.alpha, row),
    text: precise((value) => value.toPrecision(3)),
  },
  {
    key: 'fdr',
    title: 'p (FDR)',
    value: (row) => at(row.run.fdr, row),
    text: precise((value) => value.toFixed(4)),
  },
];

function rowsOf(data: PageData): Row[] {
  const rows: Row[] = [];
  for (const run of data.runs) {
    const set = data.sets[run.set];
    if (!set) continue;
    for (let l = 0; l < run.layers.length; l++)
      for (let t = 0; t < set.targets.length; t++) rows.push({ run, set, l, t });
  }
  return rows;
}

const kOperators: Record<string, (a: number, b: number) => boolean> = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '=': (a, b) => a === b,
};

/** Words that a row must hold, and conditions such as `r>0.2` or `layer=12`. */
function matcher(text: string, columns: Column[]): (row: Row) => boolean {
  const tests = text
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word): ((row: Row, all: string) => boolean) => {
      const [, key, sign, value] = /^([a-z0-9]+)(>=|<=|>|<|=)(-?[\d.]+(?:e-?\d+)?)$/.exec(word) ?? [];
      const column = columns.find((each) => each.key === key);
      if (!column || !sign) return (_, all) => all.includes(word);
      return (row) => kOperators[sign]!(column.value(row) as number, Number(value));
    });
  return (row) => {
    const all = `${row.run.title} layer ${row.run.layers[row.l]} ${row.set.targets[row.t]!.name}`.toLowerCase();
    return tests.every((test) => test(row, all));
  };
}

const kCollator = new Intl.Collator(undefined, { numeric: true });

/** In order of a column; numbers before nothing, whichever way they are sorted. */
function sorted(rows: Row[], column: Column, sign: number): Row[] {
  const keyed = rows.map((row) => ({ row, value: column.value(row) }));
  keyed.sort((a, b) => {
    if (typeof a.value === 'string') return sign * kCollator.compare(a.value, b.value as string);
    const [x, y] = [a.value, b.value as number];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return sign * (x - y);
  });
  return keyed.map(({ row }) => row);
}

/** Fills `place` with the table. */
export function scoreTable(data: PageData, place: HTMLElement): void {
  const rows = rowsOf(data);
  const columns = kColumns.filter(
    ({ key }) =>
      (key !== 'fdr' || data.runs.some((run) => run.fdr)) &&
      ((key !== 'r2' && key !== 'alpha') || data.runs.some((run) => run.r2.length > 0)),
  );
  let chosen = rows;
  let sort = { column: columns.find(({ key }) => key === 'r')!, sign: -1 };
  let page = 0;
  const body = h('tbody');
  const status = h('p', { role: 'status', class: 'quiet' });
  const heads = columns.map((column) =>
    h('th', { scope: 'col' }, h('button', { type: 'button', click: () => sortBy(column) }, column.title)),
  );
  const turn = (by: number) => () => {
    page += by;
    draw();
  };
  const back = h('button', { type: 'button', click: turn(-1) }, 'Previous');
  const next = h('button', { type: 'button', click: turn(1) }, 'Next');
  const draw = () => {
    const pages = Math.max(1, Math.ceil(chosen.length / kPage));
    page = Math.max(0, Math.min(page, pages - 1));
    const part = chosen.slice(page * kPage, (page + 1) * kPage);
    body.replaceChildren(
      ...part.map((row) => h('tr', {}, ...columns.map(({ value, text }) => h('td', {}, text(value(row)))))),
    );
    status.textContent = `${chosen.length} of ${rows.length} scores; page ${page + 1} of ${pages}`;
    back.toggleAttribute('disabled', page === 0);
    next.toggleAttribute('disabled', page === pages - 1);
    for (const [i, head] of heads.entries())
      head.setAttribute('aria-sort', columns[i] !== sort.column ? 'none' : sort.sign > 0 ? 'ascending' : 'descending');
  };
  const order = () => {
    chosen = sorted(chosen, sort.column, sort.sign);
    page = 0;
    draw();
  };
  const sortBy = (column: Column) => {
    const first = ['run', 'target', 'layer'].includes(column.key) ? 1 : -1;
    sort = { column, sign: sort.column === column ? -sort.sign : first };
    order();
  };
  const filter = (event: Event) => {
    const { value } = event.target as HTMLInputElement;
    chosen = value.trim() === '' ? rows : rows.filter(matcher(value, columns));
    order();
  };
  const input = h('input', { type: 'search', placeholder: 'for example: lora LIFG layer=12 r>0.2', input: filter });
  const save = () => download('scores.csv', csvBlob(records(chosen, columns)));
  place.replaceChildren(
    h(
      'div',
      { class: 'controls' },
      h('label', { class: 'choice wide' }, h('span', {}, 'Filter by words and conditions'), input),
      h('button', { type: 'button', click: save }, 'Save as CSV'),
    ),
    status,
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Scores' },
      h('table', {}, h('thead', {}, h('tr', {}, ...heads)), body),
    ),
    h('div', { class: 'controls' }, back, next),
  );
  order();
}

function* records(rows: Row[], columns: Column[]): Generator<Record<string, Value>> {
  for (const row of rows) yield Object.fromEntries(columns.map(({ key, value }) => [key, value(row)]));
}
