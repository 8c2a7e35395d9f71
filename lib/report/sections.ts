/** The parts of the report that are words and tables: readable without scripts, on paper, by a screen reader. */

import { CortuneError } from '../errors.js';
import { compareRuns, type RunComparison } from '../study/comparisons.js';
import type { RunRecord, Scores } from '../study/records.js';
import { ceilingText, type Results, type Summary, summaryTargets } from '../study/results.js';
import { decimals } from './decimals.js';
import { type Html, html } from './html.js';
import type { PageData } from './types.js';

/** Regions of a run that are shown with their tests. */
const kTested = 12;

/** The first thing a reader must know: what was measured, on which model, and what cannot be concluded. */
export function lead(results: Results, page: PageData): Html {
  const records = results.runs.map((run) => run.record);
  const data = unique(records.map((record) => record.data.source));
  const models = unique(records.flatMap((record) => (record.model ? [record.model.source] : [])));
  const all = new Set(records.map((record) => record.data.name));
  const simulated = unique(records.flatMap(({ data: { simulated, name } }) => (simulated ? [name] : [])));
  const shuffled = page.sets.some((set) => set.shuffled);
  return html`
    <p><strong>Data:</strong> ${data.join(' ')}</p>
    <p><strong>Model:</strong> ${models.length > 0 ? models.join(' ') : 'none'}</p>
    ${simulated.length > 0 ? html`<p class="warn"><strong>Simulated${simulated.length < all.size ? `: ${simulated.join(', ')}` : ' subject'}.</strong> These responses were made by the program from a planted layer; they check the instrument and say nothing about a brain.</p>` : null}
    ${shuffled ? html`<p class="warn"><strong>Shuffled folds.</strong> Neighbouring rows lie in training and test sets, which inflates the scores of slow signals.</p>` : null}`;
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)];
}

/** Rows of a table of runs; the others are in the table of every score. */
const kRows = 24;

/** Runs that a table shows: all, or those without a learning rate, which others are measured by, and the best. */
export function shownRuns(results: Results, summary: Summary): Set<string> {
  const done = results.runs.flatMap((run, i) =>
    run.scores ? [{ id: run.record.id, plain: run.record.labels.lr === null, r: summary.rows[i]!.bestR }] : [],
  );
  const order = [...done].sort((a, b) => Number(b.plain) - Number(a.plain) || (b.r || -1) - (a.r || -1));
  return new Set(order.slice(0, kRows).map(({ id }) => id));
}

export function restNote(shown: Set<string>, summary: Summary): Html | null {
  const rest = summary.rows.filter((row) => row.status === 'done').length - shown.size;
  return rest > 0
    ? html`<p class="quiet">The best runs, and those without a learning rate; ${rest} others are in the table of every score.</p>`
    : null;
}

/** One line a run: best layer, score, share of the ceiling. */
export function summaryTable(summary: Summary, shown: Set<string>): Html {
  const done = summary.rows.filter((row) => shown.has(row.run));
  const top = Math.max(...done.map((row) => row.bestR).filter(Number.isFinite));
  const static0 = (row: Summary['rows'][number]) =>
    row.layers.length > 1 && row.layers[0] === 0 ? row.r[0]! : Number.NaN;
  const withStatic = done.some((row) => Number.isFinite(static0(row)));
  return html`<p class="quiet" id="summary-note">Mean Pearson r over ${summary.over}. The best layer is chosen on the scores that are shown, so its score is a little high.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Summary of runs"><table aria-describedby="summary-note">
    <thead><tr><th scope="col">run</th><th scope="col">best layer</th><th scope="col">r</th><th scope="col">r / ceiling</th>${withStatic ? html`<th scope="col">r at layer 0</th>` : null}</tr></thead>
    <tbody>${done.map(
      (row) =>
        html`<tr${row.bestR === top ? html` class="top"` : null}><th scope="row">${row.title}</th><td>${row.layers.length > 1 ? row.bestLayer : '\u2013'}</td><td>${decimals(row.bestR)}</td><td>${decimals(row.bestNormalized)}</td>${withStatic ? html`<td>${decimals(static0(row))}</td>` : null}</tr>`,
    )}</tbody></table></div>
    ${restNote(shown, summary)}<p class="quiet">Mean ceiling: ${ceilingText(summary) ?? '\u2013'}.</p>`;
}

/** What the scores of each run's best layer are worth, region by region; nothing where no run was tested. */
export function testsTable(results: Results, summary: Summary, shown: Set<string>): Html | null {
  const rows = results.runs.flatMap((run, i) => {
    const { scores, record } = run;
    if (!scores?.stats || !shown.has(record.id)) return [];
    const l = scores.layers.indexOf(summary.rows[i]!.bestLayer);
    const cells = summaryTargets(scores)
      .slice(0, kTested)
      .map((t) => testCell(scores, l * scores.targets.length + t));
    return [
      {
        title: run.title,
        layer: scores.layers.length > 1 ? summary.rows[i]!.bestLayer : '\u2013',
        cells,
        record,
        scores,
      },
    ];
  });
  if (rows.length === 0) return null;
  const { scores, record } = rows[0]!;
  const names = summaryTargets(scores)
    .slice(0, kTested)
    .map((t) => scores.targets[t]!.roi);
  const { permutations, resamples, exchange: how, level } = record.key.stats as Record<string, string | number>;
  return html`<section aria-labelledby="tests-title"><h2 id="tests-title">What the scores are worth</h2>
    <p class="quiet" id="tests-note">r at the best layer of each run${Number(resamples) > 0 ? html`, its ${100 * Number(level)} % interval over ${resamples} resamples` : null}${Number(permutations) > 0 ? html`, and p from ${permutations} permutations (${how}), corrected by Benjamini-Hochberg over all layers and targets of the run` : null}.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Tests of each run"><table aria-describedby="tests-note">
    <thead><tr><th scope="col">run</th><th scope="col">layer</th>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows.map(
      (row) =>
        html`<tr><th scope="row">${row.title}</th><td>${row.layer}</td>${row.cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
    )}</tbody></table></div></section>`;
}

/** Runs compared in the report at most: each takes thousands of sign flips. */
const kCompared = 60;

/** Every run against the untuned model over subjects; nothing without an untuned run or with one subject. */
export function comparisonTable(results: Results): Html | null {
  const done = results.runs.filter((run) => run.scores);
  const compared =
    done.some((run) => run.record.labels.method === 'untuned') && done.length > 1 && done.length <= kCompared;
  if (!compared || !done.every((run) => subjectsOf(run.scores!) > 1)) return null;
  let comparisons: RunComparison[];
  try {
    ({ comparisons } = compareRuns(results));
  } catch (error) {
    // Runs of other targets, or subjects without scores: the report stands without this table.
    if (error instanceof CortuneError) return null;
    throw error;
  }
  const { effect } = comparisons[0]!;
  const whole = new Set(comparisons.map(({ against }) => against));
  const against = whole.size === 1 ? [...whole][0]! : 'the untuned run of the same model and data';
  return html`<section aria-labelledby="compare-title"><h2 id="compare-title">Against the untuned model</h2>
    <p class="quiet" id="compare-note">Paired over ${effect.n} subjects (means over regions) with ${against}; the layer of each run is chosen on the other folds, so r is lower than in the summary. 95 % intervals of the difference over subjects; p from sign flips, corrected by Benjamini-Hochberg over the runs; d<sub>z</sub> is the mean difference over its standard deviation.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Comparisons with the untuned model"><table aria-describedby="compare-note">
    <thead><tr><th scope="col">run</th><th scope="col">r</th><th scope="col">difference</th><th scope="col">interval</th><th scope="col">d<sub>z</sub></th><th scope="col">p (FDR)</th></tr></thead>
    <tbody>${comparisons.map(
      ({ title, score, difference, effect: { dz }, fdr }) =>
        html`<tr><th scope="row">${title}</th><td>${decimals(score)}</td><td>${decimals(difference.value)}</td><td>${decimals(difference.lower)} to ${decimals(difference.upper)}</td><td>${decimals(dz, 2)}</td><td>${fdr.toFixed(4)}</td></tr>`,
    )}</tbody></table></div></section>`;
}

function subjectsOf(scores: Scores): number {
  return new Set(scores.targets.map(({ subject }) => subject).filter((subject) => subject !== 'mean')).size;
}

function testCell(scores: Scores, at: number): string {
  const { fdr, lower, upper } = scores.stats!;
  const interval = Number.isFinite(lower[at]!) ? ` [${decimals(lower[at]!, 2)}, ${decimals(upper[at]!, 2)}]` : '';
  const p = fdr[at]!;
  return `${decimals(scores.r[at]!)}${interval}${Number.isFinite(p) ? ` p ${p.toFixed(4)}` : ''}`;
}

/** The numbers behind the layer curves. */
export function layerTable(summary: Summary, shown: Set<string>): Html {
  const rows = summary.rows.filter((row) => shown.has(row.run));
  const layers = [...new Set(rows.flatMap((row) => row.layers))].sort((a, b) => a - b);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Mean r of each layer"><table>
    <thead><tr><th scope="col">layer</th>${rows.map((row) => html`<th scope="col">${row.title}</th>`)}</tr></thead>
    <tbody>${layers.map(
      (layer) =>
        html`<tr><th scope="row">${layer}</th>${rows.map((row) => html`<td>${decimals(row.r[row.layers.indexOf(layer)] ?? Number.NaN)}</td>`)}</tr>`,
    )}</tbody></table></div>`;
}

/** Failures that are told at most. */
const kFailed = 400;

export function failures(summary: Summary): Html | null {
  const failed = summary.rows.filter((row) => row.status === 'failed');
  if (failed.length === 0) return null;
  return html`<section aria-labelledby="failed-title"><h2 id="failed-title">Runs that failed</h2>
    <dl>${failed.slice(0, kFailed).map((row) => html`<dt>${row.title}</dt><dd>${row.error ?? ''}</dd>`)}</dl>
    ${failed.length > kFailed ? html`<p class="quiet">And ${failed.length - kFailed} more.</p>` : null}</section>`;
}

function details(entries: [string, string | number | null | undefined][]): Html {
  return html`<dl>${entries.filter(([, value]) => value !== '' && value !== null && value !== undefined).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** Where everything came from and how it was computed. */
export function provenance(results: Results, page: PageData): Html {
  const records = results.runs.map((run) => run.record);
  const data = distinct(records, (record) => record.data.hash).map(({ data }) =>
    details([
      ['data set', data.name],
      ['source', data.source],
      ['citation', data.citation],
      ['licence', data.licence],
      ['rows', data.rows],
      ['notes', data.notes.join(' ')],
      ['SHA-256', data.hash],
    ]),
  );
  const models = distinct(
    records.filter((record) => record.model),
    (record) => record.model!.hash,
  ).map(({ model }) =>
    details([
      ['model', model!.name],
      ['source', model!.source],
      ['family', model!.family],
      ['layers', model!.layers],
      ['width', model!.hiddenSize],
      ['parameters', model!.parameters.toLocaleString('en')],
      ['SHA-256', model!.hash],
    ]),
  );
  const folds = page.sets.map((set) =>
    details([
      ['folds', `${set.folds}${set.shuffled ? ' (shuffled: inflates scores)' : ''}`],
      ['ceiling', set.ceilingMethod],
      ['targets', set.targets.length],
    ]),
  );
  const machines = distinct(records, (record) => JSON.stringify(record.environment)).map(({ environment }) =>
    details(Object.entries(environment).map(([name, value]) => [name, String(value)])),
  );
  return html`<h3>Data</h3>${data}<h3>Models</h3>${models}<h3>Scoring</h3>${folds}<h3>Environment</h3>${machines}`;
}

function distinct(records: RunRecord[], key: (record: RunRecord) => string): RunRecord[] {
  return [...new Map(records.map((record) => [key(record), record])).values()];
}

/** The study files, as they were, and the command that does them again. */
export function studies(results: Results): Html[] {
  return results.studies.map(
    (study) => html`<h3>${study.name}</h3>
      ${study.file ? html`<p class="quiet">To do it again: <code>cortune run ${study.file} --out ${results.folder}</code></p>` : null}
      <pre tabindex="0">${study.text}</pre>`,
  );
}
