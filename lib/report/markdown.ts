/** The report as Markdown, for papers and pull requests: tables, what they mean, and how to make them again. */
import { methodTitle } from '../study/plan.js';
import { ceilingText, type Results, type Summary, summarize } from '../study/results.js';
import { pageData } from './data.js';
import { decimals } from './decimals.js';
import { axisText, groupNote, groupTables, headOf } from './groups.js';
import { taskTables } from './quality.js';
import { measuresOf, type RegionTable, regionNote, regionRows, regionTables } from './regions.js';
import { shownRuns } from './sections.js';
import type { PageDifferences } from './types.js';

const kAlpha = 0.05;

/** The whole text. */
export function renderMarkdown(results: Results): string {
  const summary = summarize(results);
  const shown = shownRuns(results, summary);
  const page = pageData(results);
  const records = results.runs.map((run) => run.record);
  const unique = (texts: string[]) => [...new Set(texts)].filter(Boolean).map(escaped).join(' ');
  const title = results.studies.map((study) => study.name).join(', ') || 'Study';
  const parts = [
    `# ${escaped(title)}: brain alignment`,
    `**Data:** ${unique(records.map(({ data }) => data.source))}\n\n**Model:** ${unique(records.map(({ model }) => model?.source ?? '')) || 'none'}`,
    records.some(({ data }) => data.simulated)
      ? '> Simulated subject: these responses were made by the program from a planted layer; they say nothing about a brain.'
      : '',
    page.sets.some(({ shuffled }) => shuffled) ? '> Shuffled folds: scores of slow signals are inflated.' : '',
    `## Scores\n\n${scores(summary, shown)}`,
    quality(results),
    ...page.differences.flatMap((each) => (each.lines.length > 0 ? [`## Tuned minus untuned\n\n${gains(each)}`] : [])),
    groups(results),
    ...regionTables(results, summary).map(
      ({ title, table }) => `## Regions by task: ${escaped(title)}\n\n${byRegion(table)}`,
    ),
    failures(summary),
    `## How it was made\n\n${made(results)}`,
  ];
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

function scores(summary: Summary, shown: Set<string>): string {
  const rows = summary.rows.filter(({ run }) => shown.has(run));
  const rest = summary.rows.filter(({ status }) => status === 'done').length - rows.length;
  const lines = rows.map(({ title, layers, bestLayer, bestR, bestNormalized }) => [
    title,
    layers.length > 1 ? String(bestLayer) : '\u2013',
    decimals(bestR),
    decimals(bestNormalized),
  ]);
  const notes = [
    `Mean Pearson r over ${summary.over}; the best layer is chosen on the scores that are shown.`,
    `Mean ceiling: ${ceilingText(summary) ?? '\u2013'}.`,
    rest > 0 ? `${rest} other runs are left out.` : '',
  ];
  return `${table(['run', 'best layer', 'r', 'r / ceiling'], lines)}\n\n${notes.filter(Boolean).join(' ')}`;
}

function quality(results: Results): string {
  const tables = taskTables(results).map(({ task, metrics, rows, best }) => {
    const cell = (value: number, m: number) => (value === best[m] ? `${decimals(value)} (best)` : decimals(value));
    const heads = ['run', ...metrics.map((metric) => metric.replaceAll('_', ' '))];
    return `### ${escaped(task)}\n\n${table(
      heads,
      rows.map(({ title, values }) => [title, ...values.map(cell)]),
    )}`;
  });
  if (tables.length === 0) return '';
  return `## Task quality\n\nOn held-out items; untuned and untrained models without examples.\n\n${tables.join('\n\n')}`;
}

/** Each line at the layer of its largest gain. */
function gains({ over, pairs, regions, lines }: PageDifferences): string {
  const columns = 1 + regions.length;
  const rows = lines.map(({ model, series, layers, value, half, fdr }) => {
    const at = layers.reduce((best, _, l) => (value[l * columns]! > value[best * columns]! ? l : best), 0);
    const gain = value[at * columns]!;
    const marked = layers.filter((_, l) => fdr[l * columns]! < kAlpha).length;
    return [
      `${model.split('/').at(-1)} ${series}`,
      String(layers[at]),
      `${decimals(gain)} \u00b1 ${decimals(half[at]!)}`,
      ...(over === 'subjects' ? [(fdr[at * columns] ?? Number.NaN).toFixed(4), `${marked} of ${layers.length}`] : []),
    ];
  });
  const heads = ['line', 'layer of largest gain', 'difference in r'];
  return over === 'subjects'
    ? `${table([...heads, 'p (FDR)', 'layers with p < 0.05'], rows)}\n\nHalf of the 95 % interval over ${pairs} subjects; p from sign flips over subjects, corrected by Benjamini-Hochberg over all lines, layers and regions.`
    : `${table(heads, rows)}\n\nOne standard error over ${pairs} folds; nothing is tested over people.`;
}

function groups(results: Results): string {
  const found = groupTables(results);
  if (!found) return '';
  const tables = found.tables.map(({ title, axes, rows }) => {
    const lines = rows.map(({ stratum, score, baseline, difference: { value, lower, upper }, effect, fdr }) => [
      ...axes.map((axis) => axisText(axis, stratum[axis])),
      ...[score, baseline, value].map((number) => decimals(number)),
      `${decimals(lower)} to ${decimals(upper)}`,
      decimals(effect.dz, 2),
      fdr.toFixed(4),
    ]);
    const heads = [...axes.map(headOf), 'efficient', 'full', 'difference', 'interval', 'dz', 'p (FDR)'];
    return `### ${title}\n\n${table(heads, lines)}`;
  });
  return `## Parameter-efficient against full\n\n${groupNote(found)}\n\n${tables.join('\n\n')}`;
}

function byRegion(found: RegionTable): string {
  const heads = found.columns.map(({ task, method }) => [task, method].filter(Boolean).join(': '));
  const tables = measuresOf(found).map(({ title, measure }) => table([title, ...heads], regionRows(found, measure)));
  return [...tables, regionNote(found)].join('\n\n');
}

function failures(summary: Summary): string {
  const failed = summary.rows.filter(({ status }) => status === 'failed');
  if (failed.length === 0) return '';
  return `## Runs that failed\n\n${failed.map(({ title, error }) => `- ${escaped(title)}: ${escaped(error ?? '')}`).join('\n')}`;
}

function made(results: Results): string {
  const { environment } = results.runs[0]!.record;
  const facts = Object.entries(environment).map(([name, value]) => `${name} ${value}`);
  const cited = [...new Set(results.runs.map(({ record }) => record.data.citation).filter(Boolean))];
  const tuned = new Set(results.runs.map(({ record }) => methodTitle(record.labels))).size;
  const studies = results.studies.map(({ name, file, text }) => {
    const fence = '`'.repeat(Math.max(3, ...(text.match(/`+/g) ?? []).map(({ length }) => length + 1)));
    const command = file ? `\n\n    cortune run ${oneLine(file)}` : '';
    return `### ${escaped(name)}${command}\n\n${fence}yaml\n${text.trimEnd()}\n${fence}`;
  });
  return [
    `${results.runs.length} runs in ${tuned} lines. ${escaped(facts.join(', '))}.`,
    ...(cited.length > 0 ? [`Data: ${escaped(cited.join(' '))}`] : []),
    ...studies,
  ].join('\n\n');
}

function table(heads: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  return [line(heads), `|${heads.map((_, i) => (i === 0 ? '---' : '--:')).join('|')}|`, ...rows.map(line)].join('\n');
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ');

/** Text that is text to Markdown, and to the HTML that Markdown lets through. */
function escaped(text: string): string {
  return oneLine(text)
    .replace(/[\\`*_[\]|#]|~~/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;');
}
