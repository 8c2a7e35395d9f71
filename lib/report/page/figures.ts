/** Figures made of lines, drawn with Observable Plot from the chosen series. */
import * as Plot from '@observablehq/plot';
import { decimals } from '../decimals.js';
import type { PageData, PageRun, PageSet } from '../types.js';
import { type Figure, frame, kAxis, kLabelBelow, kTip, layerAxis, roomy, spoken, wholeTicks } from './frame.js';
import { best, type Choices, ceilingOf, controlsOf, curve, kScores, type Series, shortName } from './series.js';

/** Scores over layers, a line a series, with bands, controls and the ceiling. */
export function layerCurves(data: PageData, set: PageSet, series: Series[], choices: Choices, width: number): Figure {
  const shown = series.filter((each) => !choices.hidden.has(each.key));
  const curves = shown.map((each) => ({ each, points: curve(each, set, choices) }));
  const controls = controlsOf(data, set, choices).filter(({ value }) => Number.isFinite(value));
  const ceiling = ceilingOf(set, choices);
  const scoreName = kScores.find(([key]) => key === choices.score)![1];
  const all = curves.flatMap(({ points }) => points);
  if (all.length === 0) return { svg: null, words: 'No line is chosen.' };
  const withCeiling = choices.ceiling && Number.isFinite(ceiling);
  const svg = Plot.plot({
    ...frame(width, Math.max(260, Math.min(420, width * 0.55)), `${scoreName} over layers`),
    x: layerAxis(width, all, all.some(({ layer }) => layer === 0) ? 'layer (0: static embedding)' : 'layer'),
    y: { ...kAxis, label: scoreName, grid: true, nice: true, zero: true },
    marks: [
      Plot.ruleY([0], { stroke: 'var(--line)' }),
      ...curves.map(({ each, points }) =>
        Plot.areaY(points, { x: 'layer', y1: 'low', y2: 'high', fill: each.color, fillOpacity: 0.13 }),
      ),
      ...controls.map(({ value }) =>
        Plot.ruleY([value], { stroke: 'var(--control)', strokeDasharray: '2 4', strokeWidth: 1.5 }),
      ),
      ...roomy(
        controls,
        all.map(({ high }) => high),
      ).map(({ title, value }) =>
        Plot.text([value], {
          y: (d: number) => d,
          frameAnchor: 'right',
          dy: -7,
          text: () => title,
          fill: 'var(--control)',
          stroke: 'var(--panel)',
          strokeWidth: 3,
        }),
      ),
      ...(withCeiling
        ? [
            Plot.ruleY([ceiling], { stroke: 'currentColor', strokeDasharray: '8 4' }),
            Plot.text([ceiling], {
              y: (d: number) => d,
              frameAnchor: 'left',
              dx: 4,
              dy: 9,
              text: () => `ceiling ${decimals(ceiling)}`,
            }),
          ]
        : []),
      ...curves.map(({ each, points }) =>
        Plot.lineY(points, { x: 'layer', y: 'value', stroke: each.color, strokeWidth: 2, strokeDasharray: each.dash }),
      ),
      ...curves.map(({ each, points }) => Plot.dot(points, { x: 'layer', y: 'value', fill: each.color, r: 2 })),
      Plot.tip(
        all,
        Plot.pointer({
          x: 'layer',
          y: 'value',
          title: (d) =>
            `${d.series}\nlayer ${d.layer}: ${decimals(d.value)}${d.high > d.low ? `\n${decimals(d.low)} to ${decimals(d.high)}` : ''}`,
          ...kTip,
        }),
      ),
    ],
  });
  const sentences = curves.map(({ each, points }) => {
    const top = best(points);
    return top
      ? `${each.title}: highest ${decimals(top.value)} at layer ${top.layer}, ${decimals(points[0]!.value)} at layer ${points[0]!.layer}.`
      : '';
  });
  const rest = [
    ...controls.map(({ title, value }) => `Control ${title}: ${decimals(value)}.`),
    Number.isFinite(ceiling) ? `Ceiling: ${decimals(ceiling)}.` : 'No ceiling could be estimated.',
  ];
  const rows = curves.flatMap(({ each, points }) =>
    points.map(({ layer, value, low, high }) => ({ line: each.title, layer, score: choices.score, value, low, high })),
  );
  const level = { layer: null, score: choices.score, low: null, high: null };
  return {
    svg,
    words: `${scoreName}. ${spoken(sentences)} ${rest.join(' ')}`,
    rows: [
      ...rows,
      ...controls.map(({ title, value }) => ({ ...level, line: title, value })),
      ...(Number.isFinite(ceiling) ? [{ ...level, line: 'ceiling', value: ceiling }] : []),
    ],
    lines: shown,
  };
}

/** Lines over the learning rate at most: as many as there are colours. */
const kRateLines = 8;

/** Score at the best layer over the learning rate, a line a method and rank: the best of them. */
export function rateCurve(data: PageData, set: PageSet, series: Series[], choices: Choices, width: number): Figure {
  const found = series.flatMap((each) => {
    const { lr, method, rank, model } = each.runs[0]!;
    if (lr === null) return [];
    const top = best(curve(each, set, choices));
    const several = new Set(series.map((one) => one.runs[0]!.model)).size > 1;
    const line = `${several ? `${shortName(model)} ` : ''}${method}${rank === null ? '' : ` rank ${rank}`}`;
    return top ? [{ lr, line, value: top.value, low: top.low, high: top.high, layer: top.layer }] : [];
  });
  const scoreName = kScores.find(([key]) => key === choices.score)![1];
  if (found.length === 0) return { svg: null, words: 'No run of this study has a learning rate.' };
  const tops = new Map<string, number>();
  for (const { line, value } of found) tops.set(line, Math.max(value, tops.get(line) ?? value));
  const lines = [...tops.keys()].sort((a, b) => tops.get(b)! - tops.get(a)!).slice(0, kRateLines);
  const points = found.filter(({ line }) => lines.includes(line)).sort((a, b) => a.lr - b.lr);
  const colors = lines.map((_, i) => `var(--s${i % 8})`);
  const still = [
    ...series
      .filter((each) => each.runs[0]!.lr === null)
      .map((each) => ({
        title: each.title,
        value: best(curve(each, set, choices))?.value ?? Number.NaN,
        color: each.color,
      })),
    ...controlsOf(data, set, choices).map((control) => ({ ...control, color: 'var(--control)' })),
  ].filter(({ value }) => Number.isFinite(value));
  const svg = Plot.plot({
    ...frame(width, Math.max(240, Math.min(340, width * 0.6)), `${scoreName} over the learning rate`),
    x: {
      ...kAxis,
      type: 'log',
      label: 'learning rate',
      ...kLabelBelow,
      inset: 24,
      ticks: [...new Set(points.map((point) => point.lr))],
      tickFormat: (lr: number) => lr.toExponential().replace('-', '\u2212'),
    },
    y: { ...kAxis, label: `${scoreName}, best layer`, grid: true, nice: true, zero: true },
    color: { domain: lines, range: colors },
    marks: [
      ...still.map(({ value, color }) =>
        Plot.ruleY([value], { stroke: color, strokeDasharray: '2 4', strokeWidth: 1.5 }),
      ),
      ...roomy(
        still,
        points.map(({ high }) => high),
      ).map(({ title, value, color }) =>
        Plot.text([value], {
          y: (d: number) => d,
          frameAnchor: 'right',
          dy: -7,
          text: () => title,
          fill: color,
          stroke: 'var(--panel)',
          strokeWidth: 3,
        }),
      ),
      Plot.ruleX(points, { x: 'lr', y1: 'low', y2: 'high', stroke: 'line', strokeOpacity: 0.5 }),
      Plot.lineY(points, { x: 'lr', y: 'value', z: 'line', stroke: 'line', strokeWidth: 2 }),
      Plot.dot(points, { x: 'lr', y: 'value', fill: 'line', r: 4 }),
      Plot.tip(
        points,
        Plot.pointer({
          x: 'lr',
          y: 'value',
          title: (d) => `${d.line}, lr ${d.lr}\n${decimals(d.value)} at layer ${d.layer}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = points.map(
    (point) => `${point.line}, learning rate ${point.lr}: ${decimals(point.value)} at layer ${point.layer}.`,
  );
  return {
    svg,
    words: spoken([...words, ...still.map(({ title, value }) => `${title}: ${decimals(value)}.`)]),
    rows: points.map(({ line, lr, layer, value, low, high }) => ({ line, lr, layer, value, low, high })),
    lines: lines.map((title, i) => ({ title, color: colors[i]!, dash: '' })),
    ownLines: true,
  };
}

/** Training loss over steps, a line a run. */
export function lossCurves(series: Series[], choices: Choices, width: number): Figure {
  const shown = series.filter((each) => !choices.hidden.has(each.key));
  const lines = shown.flatMap((each) =>
    each.runs
      .filter((run) => run.losses.length > 0)
      .map((run) => ({
        each,
        run,
        points: [...run.losses].map((loss, i) => ({ step: stepOf(run, i), loss, title: run.title })),
      })),
  );
  if (lines.length === 0) return { svg: null, words: 'No run that is shown was tuned.' };
  const most = Math.max(...lines.map(({ run }) => run.steps - 1));
  const svg = Plot.plot({
    ...frame(width, Math.max(240, Math.min(340, width * 0.6)), 'Training loss over steps'),
    x: { ...kAxis, label: 'step', ...kLabelBelow, ticks: wholeTicks(width, [0, most]), tickFormat: 'd' },
    y: { ...kAxis, label: 'loss', grid: true, nice: true },
    marks: [
      ...lines.map(({ each, points }) =>
        Plot.lineY(points, { x: 'step', y: 'loss', stroke: each.color, strokeWidth: 1.5, strokeDasharray: each.dash }),
      ),
      Plot.tip(
        lines.flatMap(({ points }) => points),
        Plot.pointer({
          x: 'step',
          y: 'loss',
          title: (d) => `${d.title}\nstep ${d.step}: ${decimals(d.loss)}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = lines.map(({ run }) => `${run.title}: ${decimals(run.losses[0])} to ${decimals(run.losses.at(-1))}.`);
  const rows = lines.flatMap(({ points }) => points.map(({ title, step, loss }) => ({ run: title, step, loss })));
  return { svg, words: spoken(words), rows, lines: shown };
}

/** The step of the i-th loss that was kept. */
function stepOf({ losses, steps }: PageRun, i: number): number {
  return losses.length < 2 ? 0 : Math.round((i * (steps - 1)) / (losses.length - 1));
}
