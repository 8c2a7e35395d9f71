/** Figures of what a sweep varies: learning rates by methods, sizes of the model. */
import * as Plot from '@observablehq/plot';
import { decimals } from '../decimals.js';
import type { PageSet } from '../types.js';
import { type Figure, frame, heightOf, kAxis, kLabelBelow, kTip, nothing, scoreName, short, spoken } from './frame.js';
import { best, type Choices, curve, type Series } from './series.js';

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
              { x: 'lr', y: 'method', text: (d) => decimals(d.value), fill: bright ? '#000' : '#fff' },
            ),
          )
        : []),
      Plot.tip(
        cells,
        Plot.pointer({
          x: 'lr',
          y: 'method',
          title: (d) => `${d.method}, lr ${d.lr}\n${decimals(d.value)} at layer ${d.layer}`,
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
    (cell) => `${cell.method}, learning rate ${cell.lr}: ${decimals(cell.value)} at layer ${cell.layer}.`,
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
      Plot.lineY(shown, { x: 'parameters', y: 'value', z: 'line', stroke: 'line', strokeWidth: 2, sort: 'parameters' }),
      Plot.dot(shown, { x: 'parameters', y: 'value', fill: 'line', r: 4 }),
      Plot.tip(
        shown,
        Plot.pointer({
          x: 'parameters',
          y: 'value',
          title: (d) => `${d.model}\n${d.line}: ${decimals(d.value)} at layer ${d.layer}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = shown.map(({ model, line, value }) => `${model}, ${line}: ${decimals(value)}.`);
  return {
    svg,
    words: spoken(words),
    rows: points,
    lines: lines.map((title, i) => ({ title, color: colors[i]!, dash: '' })),
    ownLines: true,
  };
}
