/** Every score as a table: filtered by words, sorted by any column, fifty rows at a time, saved as CSV. */
import type { PageData } from '../types.js';
import { h, number } from './dom.js';

interface Row {
  run: string;
  layer: number;
  target: string;
  r: number | null;
  normalized: number | null;
  r2: number | null;
  alpha: number | null;
  fdr: number | null;
}

interface Column {
  key: keyof Row;
  title: string;
  text: (row: Row) => string;
}

const kPage = 50;
const kBase: Column[] = [
  { key: 'run', title: 'run', text: (row) => row.run },
  { key: 'layer', title: 'layer', text: (row) => String(row.layer) },
  { key: 'target', title: 'target', text: (row) => row.target },
  { key: 'r', title: 'r', text: (row) => number(row.r) },
  { key: 'normalized', title: 'r / ceiling', text: (row) => number(row.normalized) },
  { key: 'r2', title: 'R\u00b2', text: (row) => number(row.r2) },
  { key: 'alpha', title: 'alpha', text: (row) => (row.alpha === null ? '\u2013' : row.alpha.toPrecision(3)) },
];
/** Shown where a run was tested. */
const kFdr: Column = {
  key: 'fdr',
  title: 'p (FDR)',
  text: (row) => (row.fdr === null ? '\u2013' : row.fdr.toFixed(4)),
};

function rowsOf(data: PageData): Row[] {
  return data.runs.flatMap((run) => {
    const set = data.sets[run.set];
    if (!set) return [];
    return run.layers.flatMap((layer, l) =>
      set.targets.map((target, t): Row => {
        const at = l * set.targets.length + t;
        const r = run.r[at] ?? null;
        const ceiling = set.ceilings[t] ?? null;
        const normalized = r === null || ceiling === null ? null : r / ceiling;
        return {
          run: run.title,
          layer,
          target: target.name,
          r,
          normalized,
          r2: run.r2[at] ?? null,
          alpha: run.alpha[at] ?? null,
          fdr: run.fdr?.[at] ?? null,
        };
      }),
    );
  });
}

function matches(row: Row, words: string[]): boolean {
  const text = `${row.run} layer ${row.layer} ${row.target}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Numbers before nothing, whichever way they are sorted. */
function compare(a: Row[keyof Row], b: Row[keyof Row], sign: number): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return (
    sign * (typeof a === 'string' ? a.localeCompare(b as string, undefined, { numeric: true }) : a - (b as number))
  );
}

/** Fills `place` with the table. */
export function scoreTable(data: PageData, place: HTMLElement): void {
  const rows = rowsOf(data);
  const columns = data.runs.some((run) => run.fdr) ? [...kBase, kFdr] : kBase;
  let chosen = rows;
  let sort: { key: keyof Row; sign: number } = { key: 'r', sign: -1 };
  let page = 0;
  const body = h('tbody');
  const status = h('p', { role: 'status', class: 'quiet' });
  const heads = columns.map(({ key, title }) =>
    h('th', { scope: 'col' }, h('button', { type: 'button', click: () => sortBy(key) }, title)),
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
    body.replaceChildren(...part.map((row) => h('tr', {}, ...columns.map(({ text }) => h('td', {}, text(row))))));
    status.textContent = `${chosen.length} of ${rows.length} scores; page ${page + 1} of ${pages}`;
    back.toggleAttribute('disabled', page === 0);
    next.toggleAttribute('disabled', page === pages - 1);
    for (const [i, head] of heads.entries())
      head.setAttribute(
        'aria-sort',
        columns[i]!.key !== sort.key ? 'none' : sort.sign > 0 ? 'ascending' : 'descending',
      );
  };
  const order = () => {
    chosen = [...chosen].sort((a, b) => compare(a[sort.key], b[sort.key], sort.sign));
    page = 0;
    draw();
  };
  const sortBy = (key: keyof Row) => {
    const first = key === 'run' || key === 'target' || key === 'layer' ? 1 : -1;
    sort = { key, sign: sort.key === key ? -sort.sign : first };
    order();
  };
  const filter = (event: Event) => {
    const words = (event.target as HTMLInputElement).value.toLowerCase().split(/\s+/).filter(Boolean);
    chosen = words.length === 0 ? rows : rows.filter((row) => matches(row, words));
    order();
  };
  const input = h('input', { type: 'search', placeholder: 'for example: lora layer 12 LIFG', input: filter });
  place.replaceChildren(
    h(
      'div',
      { class: 'controls' },
      h('label', { class: 'choice wide' }, h('span', {}, 'Filter by words'), input),
      h('button', { type: 'button', click: () => save(chosen, columns) }, 'Save as CSV'),
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

function save(rows: Row[], columns: Column[]): void {
  const quote = (value: unknown) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? '');
  const lines = [columns.map(({ key }) => key), ...rows.map((row) => columns.map(({ key }) => row[key]))];
  const url = URL.createObjectURL(
    new Blob([lines.map((cells) => `${cells.map(quote).join(',')}\n`).join('')], { type: 'text/csv' }),
  );
  const link = h('a', { href: url, download: 'scores.csv' });
  link.click();
  URL.revokeObjectURL(url);
}
