/** Figures that set scores beside others: of subjects, of controls, of decoding and geometry. */
import * as Plot from '@observablehq/plot';
import { decimals } from '../decimals.js';
import type { PageData, PageMeasure, PageSet } from '../types.js';
import {
  type Figure,
  frame,
  heightOf,
  kAxis,
  kLabelBelow,
  kTip,
  layerAxis,
  nothing,
  scoreName,
  short,
  spoken,
  ticksOf,
} from './frame.js';
import {
  best,
  type Choices,
  ceilingOf,
  chosenTargets,
  controlsOf,
  curve,
  mean,
  meanScore,
  type Series,
  subjectsOf,
} from './series.js';

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
          title: (d) => `${d.subject}, ${d.line}\n${decimals(d.value)} at layer ${d.layer}`,
          ...kTip,
        }),
      ),
    ],
    color: { type: 'identity' },
  });
  const words = order.map((subject) => `${subject}: ${decimals(scoreOf(subject))} on average.`);
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
        text: (d) => decimals(d.value),
        textAnchor: 'start',
        dx: 4,
      }),
      Plot.ruleX([0], { stroke: 'currentColor' }),
      ...(withCeiling ? [Plot.ruleX([ceiling], { stroke: 'currentColor', strokeDasharray: '8 4' })] : []),
    ],
  });
  const words = bars.map(({ title, value }) => `${title}: ${decimals(value)}.`);
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
    x: layerAxis(width, points),
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
          title: (d) => `${d.line}\nlayer ${d.layer}: ${decimals(d.value)}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = lines.map(({ each, points }) => {
    const top = points.reduce((a, b) => (b.value > a.value ? b : a));
    return `${each.title}: highest ${decimals(top.value)} at layer ${top.layer}.`;
  });
  const rows = points.map((point) => ({ ...point, region: region < 0 ? 'mean' : choices.roi }));
  return { svg, words: spoken(words), rows, lines: lines.map(({ each }) => each) };
}
