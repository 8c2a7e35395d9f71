/** Figures about questions beside layers: gains over the untuned model, rates by methods, sizes, subjects, controls, other measures. */
import * as Plot from '@observablehq/plot';
import type { PageData, PageDifference, PageMeasure, PageSet } from '../types.js';
import { number } from './dom.js';
import { type Figure, frame, kAxis, kLabelBelow, kTip, spoken, ticksOf } from './frame.js';
import {
  best,
  type Choices,
  ceilingOf,
  chosenTargets,
  controlsOf,
  curve,
  kScores,
  mean,
  meanScore,
  type Series,
  subjectsOf,
} from './series.js';

const nothing = (words: string): Figure => ({ svg: null, words });
const scoreName = (choices: Choices) => kScores.find(([key]) => key === choices.score)![1];
const kAlpha = 0.05;
const short = (name: string) => (name.length > 30 ? `${name.slice(0, 29)}\u2026` : name);
const heightOf = (width: number) => Math.max(240, Math.min(360, width * 0.5));

/** Difference in r to the untuned model over layers; a filled dot where the corrected p is below 0.05. */
export function gains(data: PageData, series: Series[], choices: Choices, width: number): Figure {
  const found = data.differences[choices.set];
  const shown = series.filter((each) => !choices.hidden.has(each.key));
  const column = choices.roi === 'all' ? 0 : 1 + (found?.regions.indexOf(choices.roi) ?? 0);
  const lines = shown.flatMap((each) => {
    const line = found?.lines.find((one) => `${one.model}\n${one.series}` === each.key);
    return line ? [{ each, points: gainPoints(line, found!.regions.length + 1, column) }] : [];
  });
  if (!found || lines.length === 0)
    return nothing('No line that is shown has an untuned run of the same model to be compared with.');
  const points = lines.flatMap(({ each, points }) => points.map((point) => ({ ...point, line: each.title })));
  const svg = Plot.plot({
    ...frame(width, heightOf(width), 'Difference in r to the untuned model over layers'),
    x: { ...kAxis, label: 'layer', ...kLabelBelow, ticks: ticksOf(width), tickFormat: 'd', inset: 6 },
    y: { ...kAxis, label: 'difference in r', grid: true, nice: true },
    marks: [
      Plot.ruleY([0], { stroke: 'currentColor' }),
      ...lines.map(({ each, points }) =>
        Plot.areaY(
          points.filter(({ half }) => Number.isFinite(half)),
          { x: 'layer', y1: 'low', y2: 'high', fill: each.color, fillOpacity: 0.13 },
        ),
      ),
      ...lines.flatMap(({ each, points }) => [
        Plot.lineY(points, { x: 'layer', y: 'value', stroke: each.color, strokeWidth: 2, strokeDasharray: each.dash }),
        Plot.dot(
          points.filter(({ fdr }) => fdr < kAlpha),
          { x: 'layer', y: 'value', fill: each.color, stroke: 'var(--panel)', r: 4.5 },
        ),
      ]),
      Plot.tip(
        points,
        Plot.pointer({
          x: 'layer',
          y: 'value',
          title: (d) =>
            `${d.line}\nlayer ${d.layer}: ${number(d.value)}${Number.isFinite(d.fdr) ? `\np (FDR) ${d.fdr.toFixed(4)}` : ''}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = lines.map(({ each, points }) => {
    const top = points.reduce((a, b) => (b.value > a.value ? b : a));
    const marked = points.filter(({ fdr }) => fdr < kAlpha).length;
    return `${each.title}: largest gain ${number(top.value)} at layer ${top.layer}${found.over === 'subjects' ? `; p (FDR) below 0.05 at ${marked} of ${points.length} layers` : ''}.`;
  });
  const rows = points.map(({ line, layer, value, low, high, fdr }) => ({
    line,
    region: choices.roi,
    layer,
    difference: value,
    low,
    high,
    p_fdr: fdr,
  }));
  return { svg, words: spoken(words), rows, lines: lines.map(({ each }) => each) };
}

function gainPoints(line: PageDifference, columns: number, column: number) {
  return line.layers.map((layer, l) => {
    const value = line.value[l * columns + column]!;
    const half = column === 0 ? line.half[l]! : Number.NaN;
    return {
      layer,
      value,
      half,
      low: value - half,
      high: value + half,
      fdr: line.fdr[l * columns + column] ?? Number.NaN,
    };
  });
}

/** What the bands and dots of the gains mean, and what they cannot show. */
export function gainNote(data: PageData, choices: Choices): string {
  const found = data.differences[choices.set];
  if (!found || found.lines.length === 0) return '';
  if (found.over === 'folds')
    return `Bands: plus and minus one standard error over ${found.pairs} folds. One subject (or only their mean): nothing can be tested over people, so no layer is marked.`;
  const least = 2 ** (1 - found.pairs);
  const few = least > kAlpha ? ` With ${found.pairs} subjects the smallest p there can be is ${least.toFixed(3)}.` : '';
  return `Bands: 95 % interval over ${found.pairs} subjects. Dots: p of sign flips over subjects below 0.05, corrected by Benjamini-Hochberg over all lines, layers and regions.${few}`;
}

/** Best-layer score of each learning rate and method, as coloured cells. */
export function rateMap(set: PageSet, series: Series[], choices: Choices, width: number): Figure {
  const cells = series.flatMap((each) => {
    const { lr } = each.runs[0]!;
    const top = best(curve(each, set, choices));
    if (lr === null || !top) return [];
    const method = each.title.replace(/ ?lr \S+/, '');
    return [{ lr, method, value: top.value, layer: top.layer }];
  });
  if (cells.length === 0) return nothing('No run of this study has a learning rate.');
  const rates = [...new Set(cells.map(({ lr }) => lr))].sort((a, b) => a - b);
  const methods = [...new Set(cells.map(({ method }) => method))];
  const values = cells.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const domain: [number, number] = high > low ? [low, high] : [low - 0.01, high + 0.01];
  const middle = domain[0] + 0.6 * (domain[1] - domain[0]);
  const marginLeft = Math.min(0.42 * width, 20 + 6.6 * Math.max(...methods.map((name) => short(name).length)));
  const wide = (width - marginLeft) / rates.length > 40;
  const svg = Plot.plot({
    ...frame(width, 80 + 30 * methods.length, `${scoreName(choices)} by learning rate and method`),
    marginLeft,
    x: {
      ...kAxis,
      label: 'learning rate',
      ...kLabelBelow,
      type: 'band',
      domain: rates,
      tickFormat: rateText,
      padding: 0.05,
    },
    y: { label: null, domain: methods, tickFormat: short, padding: 0.06 },
    color: { scheme: 'viridis', domain },
    marks: [
      Plot.cell(cells, { x: 'lr', y: 'method', fill: 'value' }),
      ...(wide
        ? [true, false].map((bright) =>
            Plot.text(
              cells.filter((cell) => cell.value > middle === bright),
              { x: 'lr', y: 'method', text: (d) => number(d.value), fill: bright ? '#000' : '#fff' },
            ),
          )
        : []),
      Plot.tip(
        cells,
        Plot.pointer({
          x: 'lr',
          y: 'method',
          title: (d) => `${d.method}, lr ${d.lr}\n${number(d.value)} at layer ${d.layer}`,
          ...kTip,
        }),
      ),
    ],
  });
  const key = svg.legend('color', {
    width: Math.min(260, width),
    marginLeft: 16,
    marginRight: 16,
    label: scoreName(choices),
    ticks: 3,
  });
  const words = cells.map(
    (cell) => `${cell.method}, learning rate ${cell.lr}: ${number(cell.value)} at layer ${cell.layer}.`,
  );
  return { svg, key: key ?? null, words: spoken(words), rows: cells };
}

const rateText = (lr: number) => (lr >= 0.01 ? String(lr) : lr.toExponential().replace('-', '\u2212'));

/** Best-layer score over the size of the model, a line a method. */
export function sizes(set: PageSet, series: Series[], choices: Choices, width: number): Figure {
  const points = series.flatMap((each) => {
    const { parameters, series: line, model } = each.runs[0]!;
    const top = best(curve(each, set, choices));
    return top && parameters > 0
      ? [{ line, model, parameters, value: top.value, layer: top.layer, low: top.low, high: top.high }]
      : [];
  });
  const lines = [...new Set(points.map(({ line }) => line))].slice(0, 8);
  if (new Set(points.map(({ parameters }) => parameters)).size < 2)
    return nothing('All models of this study have the same size.');
  const shown = points.filter(({ line }) => lines.includes(line));
  const colors = lines.map((_, i) => `var(--s${i})`);
  const svg = Plot.plot({
    ...frame(width, heightOf(width), `${scoreName(choices)} over the size of the model`),
    x: {
      ...kAxis,
      type: 'log',
      label: 'parameters',
      ...kLabelBelow,
      inset: 24,
      ticks: [...new Set(points.map(({ parameters }) => parameters))],
      tickFormat: '.3~s',
    },
    y: { ...kAxis, label: `${scoreName(choices)}, best layer`, grid: true, nice: true, zero: true },
    color: { domain: lines, range: colors },
    marks: [
      Plot.ruleX(shown, { x: 'parameters', y1: 'low', y2: 'high', stroke: 'line', strokeOpacity: 0.5 }),
      Plot.lineY(shown, { x: 'parameters', y: 'value', stroke: 'line', strokeWidth: 2, sort: 'parameters' }),
      Plot.dot(shown, { x: 'parameters', y: 'value', fill: 'line', r: 4 }),
      Plot.tip(
        shown,
        Plot.pointer({
          x: 'parameters',
          y: 'value',
          title: (d) => `${d.model}\n${d.line}: ${number(d.value)} at layer ${d.layer}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = shown.map(({ model, line, value }) => `${model}, ${line}: ${number(value)}.`);
  return {
    svg,
    words: spoken(words),
    rows: points,
    lines: lines.map((title, i) => ({ title, color: colors[i]!, dash: '' })),
    ownLines: true,
  };
}

/** Each subject's score at the layer that is best on average, a colour a line. */
export function subjects(set: PageSet, series: Series[], choices: Choices, width: number): Figure {
  const people = subjectsOf(set);
  if (people.length < 2) return nothing('Scores of single subjects are not among the results.');
  const own: Choices = { ...choices, view: 'subjects' };
  const shown = series.filter((each) => !choices.hidden.has(each.key));
  const points = shown.flatMap((each) => {
    const top = best(curve(each, set, own));
    const l = top ? each.runs[0]!.layers.indexOf(top.layer) : 0;
    return people.map((subject) => {
      const targets = chosenTargets(set, own, subject);
      return {
        line: each.title,
        color: each.color,
        subject,
        layer: each.runs[0]!.layers[l]!,
        value: mean(each.runs.map((run) => meanScore(run, set, l, targets, choices.score))),
      };
    });
  });
  const finite = points.filter(({ value }) => Number.isFinite(value));
  if (finite.length === 0) return nothing('There is nothing to show.');
  const order = [...people].sort((a, b) => scoreOf(b) - scoreOf(a));
  function scoreOf(subject: string): number {
    return mean(finite.filter((point) => point.subject === subject).map(({ value }) => value));
  }
  const marginLeft = Math.min(0.3 * width, 24 + 7 * Math.max(...people.map((name) => short(name).length)));
  const svg = Plot.plot({
    ...frame(width, 80 + 20 * people.length, `${scoreName(choices)} of each subject`),
    marginLeft,
    x: {
      ...kAxis,
      label: `${scoreName(choices)} at the line's best layer`,
      ...kLabelBelow,
      grid: true,
      nice: true,
      ticks: ticksOf(width),
    },
    y: { label: null, domain: order, tickFormat: short },
    marks: [
      Plot.ruleX([0], { stroke: 'var(--line)' }),
      Plot.ruleY(
        finite,
        Plot.groupY({ x1: 'min', x2: 'max' }, { x: 'value', y: 'subject', stroke: 'var(--line)' }) as never,
      ),
      Plot.dot(finite, { x: 'value', y: 'subject', fill: 'color', r: 4 }),
      Plot.tip(
        finite,
        Plot.pointer({
          x: 'value',
          y: 'subject',
          title: (d) => `${d.subject}, ${d.line}\n${number(d.value)} at layer ${d.layer}`,
          ...kTip,
        }),
      ),
    ],
    color: { type: 'identity' },
  });
  const words = order.map((subject) => `${subject}: ${number(scoreOf(subject))} on average.`);
  const rows = points.map(({ line, subject, layer, value }) => ({ line, subject, layer, score: choices.score, value }));
  return { svg, words: spoken(words), rows, lines: shown };
}

/** The lines that are shown and every control as bars, with the ceiling: what a score must be measured by. */
export function controlBars(data: PageData, set: PageSet, series: Series[], choices: Choices, width: number): Figure {
  const bars = [
    ...controlsOf(data, set, choices).map(({ title, value }) => ({
      title,
      value,
      color: 'var(--control)',
      layer: null as number | null,
    })),
    ...series
      .filter((each) => !choices.hidden.has(each.key))
      .map((each) => {
        const top = best(curve(each, set, choices));
        return { title: each.title, value: top?.value ?? Number.NaN, color: each.color, layer: top?.layer ?? null };
      }),
  ].filter(({ value }) => Number.isFinite(value));
  if (bars.length === 0) return nothing('There is nothing to show.');
  const ceiling = ceilingOf(set, choices);
  const withCeiling = choices.ceiling && Number.isFinite(ceiling);
  const titles = [...new Set(bars.map(({ title }) => title))];
  const svg = Plot.plot({
    ...frame(width, 76 + 24 * titles.length, `${scoreName(choices)} beside controls`),
    marginLeft: Math.min(0.42 * width, 20 + 6.8 * Math.max(...titles.map((title) => short(title).length))),
    marginRight: 48,
    x: {
      ...kAxis,
      label: `${scoreName(choices)}, best layer`,
      ...kLabelBelow,
      grid: true,
      nice: true,
      ticks: ticksOf(width) - 2,
    },
    y: { label: null, domain: titles, tickFormat: short, padding: 0.25 },
    color: { type: 'identity' },
    marks: [
      Plot.barX(bars, { x: 'value', y: 'title', fill: 'color' }),
      Plot.text(bars, {
        x: (d) => Math.max(0, d.value),
        y: 'title',
        text: (d) => number(d.value),
        textAnchor: 'start',
        dx: 4,
      }),
      Plot.ruleX([0], { stroke: 'currentColor' }),
      ...(withCeiling ? [Plot.ruleX([ceiling], { stroke: 'currentColor', strokeDasharray: '8 4' })] : []),
    ],
  });
  const words = bars.map(({ title, value }) => `${title}: ${number(value)}.`);
  return {
    svg,
    words: spoken(words),
    rows: bars.map(({ title, layer, value }) => ({ line: title, layer, score: choices.score, value })),
  };
}

/** Another measure over layers, a line a series; the mean over regions, or the region that is chosen where it has that one. */
export function measureCurves(measure: PageMeasure, series: Series[], choices: Choices, width: number): Figure {
  const region = measure.regions.indexOf(choices.roi);
  const R = measure.regions.length;
  const lines = series
    .filter((each) => !choices.hidden.has(each.key))
    .map((each) => ({
      each,
      points: each.runs[0]!.layers.map((layer, l) => ({
        line: each.title,
        layer,
        value: mean(
          each.runs.map((run) => {
            const row = run.measures?.[measure.id]?.subarray(l * R, (l + 1) * R) ?? [];
            return region < 0 ? mean(row) : row[region];
          }),
        ),
      })).filter(({ value }) => Number.isFinite(value)),
    }))
    .filter(({ points }) => points.length > 0);
  if (lines.length === 0) return nothing('No line that is shown has this score.');
  const points = lines.flatMap(({ points }) => points);
  const svg = Plot.plot({
    ...frame(width, heightOf(width), `${measure.title} over layers`),
    x: { ...kAxis, label: 'layer', ...kLabelBelow, ticks: ticksOf(width), tickFormat: 'd', inset: 6 },
    y: { ...kAxis, label: measure.title, grid: true, nice: true },
    marks: [
      ...(measure.chance === null
        ? []
        : [Plot.ruleY([measure.chance], { stroke: 'var(--control)', strokeDasharray: '2 4' })]),
      ...lines.flatMap(({ each, points }) => [
        Plot.lineY(points, { x: 'layer', y: 'value', stroke: each.color, strokeWidth: 2, strokeDasharray: each.dash }),
        Plot.dot(points, { x: 'layer', y: 'value', fill: each.color, r: 2 }),
      ]),
      Plot.tip(
        points,
        Plot.pointer({
          x: 'layer',
          y: 'value',
          title: (d) => `${d.line}\nlayer ${d.layer}: ${number(d.value)}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = lines.map(({ each, points }) => {
    const top = points.reduce((a, b) => (b.value > a.value ? b : a));
    return `${each.title}: highest ${number(top.value)} at layer ${top.layer}.`;
  });
  const rows = points.map((point) => ({ ...point, region: region < 0 ? 'mean' : choices.roi }));
  return { svg, words: spoken(words), rows, lines: lines.map(({ each }) => each) };
}
