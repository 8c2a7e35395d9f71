/** Regions by layers, or regions by lines at their best layers, as coloured cells. */
import * as Plot from '@observablehq/plot';
import { decimals } from '../decimals.js';
import type { PageSet } from '../types.js';
import { type Figure, frame, kAxis, kTip, spoken } from './frame.js';
import { best, type Choices, chosenTargets, curve, kScores, mean, meanScore, roisOf, type Series } from './series.js';

/** Regions that a figure shows at most, and how many of more: as many as fit on a sheet of paper. */
export const kRegions = 40;
export const kHighest = 24;

/** Regions by layers of one series, or regions by series at the best layer of each. */
export function heatMap(set: PageSet, series: Series[], choices: Choices, of: string, width: number): Figure {
  const one = series.find((each) => each.key === of);
  const scoreName = kScores.find(([key]) => key === choices.score)![1];
  const group = { ...choices, roi: 'all' };
  const members = new Map<string, number[]>(roisOf(set).map((roi) => [roi, []]));
  for (const t of chosenTargets(set, group)) members.get(set.targets[t]!.roi)!.push(t);
  const value = (each: Series, l: number, roi: string) =>
    mean(each.runs.map((run) => meanScore(run, set, l, members.get(roi)!, choices.score)));
  const rois = highest([...members.keys()], (roi) => {
    const each = one ?? series[0];
    const top = each && best(curve(each, set, group));
    return each ? value(each, Math.max(0, each.runs[0]!.layers.indexOf(top?.layer ?? 0)), roi) : 0;
  });
  const column = (each: Series, l: number, name: string | number) =>
    rois.map((roi) => ({ roi, column: name, layer: each.runs[0]!.layers[l]!, value: value(each, l, roi) }));
  const cells = one
    ? one.runs[0]!.layers.flatMap((layer, l) => column(one, l, layer))
    : series.flatMap((each) => {
        const top = best(curve(each, set, group));
        const l = each.runs[0]!.layers.indexOf(top?.layer ?? 0);
        return column(each, Math.max(0, l), each.title);
      });
  if (cells.length === 0) return { svg: null, words: 'There is nothing to show.' };
  const columns = [...new Set(cells.map((cell) => cell.column))];
  const cellWidth = (width - 80) / columns.length;
  const every = Math.ceil(columns.length / (width < 480 ? 8 : 16));
  const labels = Math.max(...rois.map((roi) => roi.length));
  const domain = domainOf(cells.map((cell) => cell.value));
  const middle = domain[0] + 0.6 * (domain[1] - domain[0]);
  const svg = Plot.plot({
    ...frame(width, 90 + rois.length * Math.max(26, Math.min(40, width / 14)), `${scoreName} of regions`),
    marginLeft: Math.min(140, 16 + labels * 7.2),
    marginBottom: one ? 50 : 96,
    x: one
      ? { ...kAxis, label: 'layer', ticks: columns.filter((_, i) => i % every === 0), padding: 0.04 }
      : {
          ...kAxis,
          label: null,
          tickRotate: -30,
          padding: 0.04,
          tickFormat: (name: string) => (name.length > 22 ? `${name.slice(0, 21)}\u2026` : name),
        },
    y: { label: null, domain: rois, padding: 0.06 },
    color: { scheme: 'viridis', label: scoreName, domain },
    marks: [
      Plot.cell(cells, { x: 'column', y: 'roi', fill: 'value' }),
      ...(cellWidth > 38
        ? [true, false].map((bright) =>
            Plot.text(
              cells.filter((cell) => cell.value > middle === bright),
              { x: 'column', y: 'roi', text: (d) => decimals(d.value, 2), fill: bright ? '#000' : '#fff' },
            ),
          )
        : []),
      Plot.tip(
        cells,
        Plot.pointer({
          x: 'column',
          y: 'roi',
          title: (d) =>
            `${d.roi}, ${one ? `layer ${d.column}` : `${d.column}, layer ${d.layer}`}: ${decimals(d.value)}`,
          ...kTip,
        }),
      ),
    ],
  });
  const tops = rois.map((roi) => {
    const row = cells
      .filter((cell) => cell.roi === roi && Number.isFinite(cell.value))
      .sort((a, b) => b.value - a.value)[0];
    return row ? `${roi}: ${decimals(row.value)} (${one ? `layer ${row.column}` : row.column}).` : `${roi}: none.`;
  });
  const key =
    svg.legend('color', { width: Math.min(260, width), marginLeft: 16, marginRight: 16, label: scoreName, ticks: 3 }) ??
    null;
  return {
    svg,
    key,
    words: `Highest ${scoreName} of each region${one ? ` for ${one.title}` : ''}. ${spoken(tops)}`,
    rows: cells.map(({ roi, column, layer, value: score }) => ({
      region: roi,
      line: one ? one.title : String(column),
      layer,
      score: choices.score,
      value: score,
    })),
  };
}

/** The regions in their order; of very many the highest, from the highest down. */
function highest(rois: string[], score: (roi: string) => number): string[] {
  if (rois.length <= kRegions) return rois;
  const scored = rois.map((roi) => ({ roi, value: score(roi) })).filter(({ value }) => Number.isFinite(value));
  scored.sort((a, b) => b.value - a.value);
  return scored.slice(0, kHighest).map(({ roi }) => roi);
}

/** Viridis: brighter is higher, on light and dark ground alike; black is read on its upper 40 %. */
function domainOf(values: number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  return [Math.min(0, ...finite), Math.max(0.01, ...finite)];
}
