/** Tuned minus untuned, layer by layer. */
import * as Plot from '@observablehq/plot';
import { decimals } from '../decimals.js';
import type { PageData, PageDifference } from '../types.js';
import { type Figure, frame, heightOf, kAxis, kTip, layerAxis, nothing, spoken } from './frame.js';
import type { Choices, Series } from './series.js';

const kAlpha = 0.05;

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
    x: layerAxis(width, points),
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
            `${d.line}\nlayer ${d.layer}: ${decimals(d.value)}${Number.isFinite(d.fdr) ? `\np (FDR) ${d.fdr.toFixed(4)}` : ''}`,
          ...kTip,
        }),
      ),
    ],
  });
  const words = lines.map(({ each, points }) => {
    const top = points.reduce((a, b) => (b.value > a.value ? b : a));
    const marked = points.filter(({ fdr }) => fdr < kAlpha).length;
    return `${each.title}: largest gain ${decimals(top.value)} at layer ${top.layer}${found.over === 'subjects' ? `; p (FDR) below 0.05 at ${marked} of ${points.length} layers` : ''}.`;
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
