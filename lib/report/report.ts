/** Writes report.html: one file that holds its data, figures, looks and scripts, and asks for nothing else. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { CortuneError, expected } from '../errors.js';
import { replaceFile } from '../study/atomic.js';
import { type Results, readResults, summarize, withSpaces } from '../study/results.js';
import { kSmallest, pageData } from './data.js';
import { geometrySections } from './geometry.js';
import { groupSection } from './groups.js';
import { Html, html } from './html.js';
import { renderMarkdown } from './markdown.js';
import { packBytes } from './pack.js';
import { probeSection } from './probe.js';
import { qualitySection } from './quality.js';
import { regionSections } from './regions.js';
import {
  comparisonTable,
  failures,
  layerTable,
  lead,
  provenance,
  shownRuns,
  studies,
  summaryTable,
  testsTable,
} from './sections.js';
import type { PageData } from './types.js';

export interface ReportOptions {
  /** Where to write; `report.html` (or `report.md`) in the results folder by default. */
  out?: string | undefined;
  /** A page to look at (default), or Markdown for papers and pull requests. */
  format?: 'html' | 'md' | undefined;
  /** Only the runs of the study of this name. */
  study?: string | undefined;
  /** Also runs that no study in the folder asks for any more. */
  all?: boolean | undefined;
}

export const kFormats = ['html', 'md'] as const;

/** Reads the results in `folder`, writes the report, resolves to its path. Throws ERR_NOT_FOUND, ERR_FORMAT, ERR_IO; RangeError for a format that is none. */
export async function report(folder: string, options: ReportOptions = {}): Promise<string> {
  const { format = 'html' } = options;
  if (!kFormats.includes(format)) throw expected('format', 'html or md', format);
  const path = options.out ?? join(folder, `report.${format}`);
  const results = await readResults(folder, { study: options.study, all: options.all });
  if (results.runs.length === 0)
    throw new CortuneError('ERR_NOT_FOUND', `Expected runs in ${folder}, and there are none yet. Run a study first.`);
  const text = format === 'md' ? renderMarkdown(results) : renderReport(await withSpaces(results), await pageAssets());
  await replaceFile(path, text);
  return path;
}

export interface PageAssets {
  script: string;
  style: string;
  /** The viewer of brains, which only reports with images carry. */
  brain: string;
}

/** The page's bundled script (the plotting library with its licences is in it) and its style sheet. */
export async function pageAssets(): Promise<PageAssets> {
  // Compiled, this file lies in dist/report beside them; from source, they are where the last build put them.
  const places = [new URL('./page/', import.meta.url), new URL('../../dist/report/page/', import.meta.url)];
  for (const place of places) {
    const read = (name: string) => readFile(new URL(name, place), 'utf8').catch(() => undefined);
    const [script, style] = [await read('main.bundle.js'), await read('style.bundle.css')];
    const brain = await read('niivue.bundle.js');
    if (script !== undefined && style !== undefined && brain !== undefined) return { script, style, brain };
  }
  throw new CortuneError('ERR_SETUP', 'Expected the compiled page of the report in dist/report. Run: npm run build');
}

/** The figures, in the order in which they are asked for; some only where the results have what they show. */
const kFigures: { id: string; heading: string; there?: (page: PageData) => boolean }[] = [
  { id: 'curves', heading: 'Layer by layer' },
  {
    id: 'gains',
    heading: 'Tuned minus untuned',
    there: (page) => page.differences.some(({ lines }) => lines.length > 0),
  },
  { id: 'controls', heading: 'Beside controls' },
  { id: 'heat', heading: 'Regions' },
  { id: 'brain', heading: 'On the brain', there: (page) => page.brains.length > 0 },
  {
    id: 'subjects',
    heading: 'Subjects',
    there: (page) =>
      page.sets.some(
        ({ targets }) => new Set(targets.map((target) => target.subject).filter((name) => name !== 'mean')).size > 1,
      ),
  },
  { id: 'rates', heading: 'Learning rate', there: severalRates },
  { id: 'rate-map', heading: 'Learning rate and method', there: severalRates },
  {
    id: 'sizes',
    heading: 'Model size',
    there: (page) => new Set(page.runs.map((run) => run.parameters).filter((count) => count > 0)).size > 1,
  },
  { id: 'losses', heading: 'Training loss', there: tuned },
];

function tuned(page: PageData): boolean {
  return page.runs.some((run) => run.lr !== null);
}

/** Is anything tuned at more than one rate? */
function severalRates(page: PageData): boolean {
  const rates = new Map<string, number>();
  return page.runs.some(({ set, model, method, rank, lr }) => {
    if (lr === null) return false;
    const name = JSON.stringify([set, model, method, rank]);
    const first = rates.get(name) ?? lr;
    rates.set(name, first);
    return first !== lr;
  });
}

/** What the list at the top names: an anchor and its heading. */
type Link = [id: string, heading: string | Html];

/** Those of sections that are words and tables. */
function linksOf(parts: readonly (Html | null)[]): Link[] {
  return parts.flatMap((part) =>
    [...(part?.text ?? '').matchAll(/<h2 id="([\w-]+)-title">([^<]*)<\/h2>/g)].map(
      ([, id, heading]): Link => [id!, new Html(heading!)],
    ),
  );
}

function figure(id: string, heading: string, numbers: Html | null): Html {
  const before = id === 'heat' || id === 'brain' ? html`<div class="controls" id="${id}-choice"></div>` : null;
  const after = numbers && html`<details class="screen"><summary>Numbers</summary>${numbers}</details>`;
  return html`<section aria-labelledby="${id}-title"><h2 id="${id}-title">${heading}</h2>${before}
    <figure><div class="plot" id="${id}"></div><figcaption><p id="${id}-note"></p><div id="${id}-save"></div>${after}<details class="screen"><summary>In words</summary><p id="${id}-words"></p></details></figcaption></figure></section>`;
}

/** A script as it stands in the page, and what the page's policy calls it. */
function inlined(code: string): { text: string; source: string } {
  const text = code.replaceAll('</script', '<\\/script');
  return { text, source: `'sha256-${createHash('sha256').update(text).digest('base64')}'` };
}

/** Characters of a report's numbers and scripts at most: with its tables it stays below 5 MB and can be mailed. */
const kMost = 4_700_000;

/** The page's numbers and scripts, with as much detail as there is room for. */
function fitted(results: Results, assets: PageAssets, most: number) {
  for (let smaller = 0; ; smaller++) {
    const page = pageData(results, smaller);
    const numbers = deflateRawSync(packBytes(page)).toString('base64');
    const scripts = [assets.script, ...(page.brains.length > 0 ? [assets.brain] : [])].map(inlined);
    const size = scripts.reduce((sum, { text }) => sum + text.length, numbers.length + assets.style.length);
    if (size <= most || smaller === kSmallest) return { page, numbers, scripts };
  }
}

/** The whole document; where its numbers and scripts would have more than `most` characters, with less detail. */
export function renderReport(results: Results, assets: PageAssets, most = kMost): string {
  const { page, numbers, scripts } = fitted(results, assets, most);
  const summary = summarize(results);
  const shown = shownRuns(results, summary);
  const title = results.studies.map((study) => study.name).join(', ') || 'Study';
  // Even markup that slipped through could neither run nor load anything.
  const policy = `default-src 'none'; script-src ${scripts.map(({ source }) => source).join(' ')}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;
  const figures = kFigures.filter(({ there }) => there?.(page) ?? true);
  const measures = page.measures.map(({ id, title }) => ({ id: `${id}-curves`, heading: title }));
  const sections = [...figures, ...measures];
  const quality = qualitySection(results);
  const tables = [
    probeSection(results),
    testsTable(results, summary, shown),
    comparisonTable(results),
    groupSection(results),
    ...regionSections(results, summary),
    ...geometrySections(results, shown),
  ];
  const links: Link[] = [
    ['summary', 'What came out'],
    ...linksOf([quality]),
    ...sections.map(({ id, heading }): Link => [id, heading]),
    ...linksOf(tables),
    ['scores', 'Every score'],
    ['made', 'How it was made'],
    ['study', 'Study file'],
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="cortune">
<title>${title} \u2013 brain alignment</title>
<style>${new Html(assets.style)}</style>
</head>
<body>
<main>
<header><div><h1>${title}</h1></div><button type="button" id="theme" class="screen">Dark or light</button></header>
<nav class="screen" aria-label="Sections">${links.map(([id, heading]) => html`<a href="#${id}-title">${heading}</a>`)}</nav>
${lead(results, page)}
<noscript><p class="warn">The figures need JavaScript; the tables do not.</p></noscript>
<section aria-labelledby="summary-title"><h2 id="summary-title">What came out</h2>${summaryTable(summary, shown)}</section>
${quality}
<section aria-labelledby="choose-title" class="choose"><h2 id="choose-title">What the figures show</h2>
<div class="controls" id="choices"></div><div id="legend"></div>${page.left ? html`<p class="quiet">${page.left}</p>` : null}</section>
<div class="figures">${sections.map(({ id, heading }) => figure(id, heading, id === 'curves' ? layerTable(summary, shown) : null))}</div>
${tables}
<section class="screen" aria-labelledby="scores-title"><h2 id="scores-title">Every score</h2><div id="scores"></div></section>
${failures(summary)}
<section aria-labelledby="made-title"><h2 id="made-title">How it was made</h2>${provenance(results, page)}</section>
<section aria-labelledby="study-title"><h2 id="study-title">Study file</h2>${studies(results)}</section>
</main>
<script type="text/plain" id="data">${numbers}</script>
${scripts.map(
  ({ text }) => html`<script type="module">${new Html(text)}</script>
`,
)}</body>
</html>
`.text;
}
