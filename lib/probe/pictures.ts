/** Pictures of ablations and of decoded states. */
import type { Ablation } from './ablate.js';
import type { DecodedStates } from './decode-states.js';
import { heatMapSvg, scaleOf } from './svg.js';

/** Heads by layers (one row for whole layers); colours diverge from the intact model. */
export function ablationSvg(
  { ablated, intact, kind, items, parts, layers, heads }: Ablation,
  score: 'accuracy' | 'loss',
): string {
  const rows = parts === 'heads' ? Array.from({ length: heads }, (_, head) => String(head)) : [parts];
  const value = (layer: number, r: number) =>
    ablated.find((each) => each.layer === layer && (parts !== 'heads' || each.head === r))?.[score] ?? Number.NaN;
  const columns = Array.from({ length: layers }, (_, layer) => layer);
  return heatMapSvg({
    title: `${score === 'accuracy' ? 'Accuracy' : 'Loss'} without each ${parts === 'heads' ? 'head' : 'layer'} (${kind}, ${items} items)`,
    rows,
    columns: columns.map(String),
    rowName: parts === 'heads' ? 'head' : '',
    columnName: 'layer',
    values: rows.map((_, r) => columns.map((layer) => value(layer, r))),
    scale: scaleOf(
      ablated.map((each) => each[score]),
      intact[score],
    ),
    unit: `${score}; intact ${intact[score].toFixed(3)}`,
  });
}

/** Layers by token positions, of one variable. */
export function decodedSvg({ tokens, positions, layers, variables }: DecodedStates, name: string): string {
  const { scores, kind, chance } = variables.find((variable) => variable.name === name)!;
  const value = (position: number, layer: number) =>
    scores.find((score) => score.position === position && score.layer === layer)?.mean ?? Number.NaN;
  const top = [...layers].sort((a, b) => b - a);
  return heatMapSvg({
    title: `${name}, read from hidden states`,
    rows: top.map(String),
    columns: positions.map((t) => tokens[t]!.trim() || '\u00b7'),
    rowName: 'layer',
    columnName: 'token',
    values: top.map((layer) => positions.map((position) => value(position, layer))),
    scale: { low: chance, high: Math.max(1, chance), middle: undefined },
    unit: kind === 'classes' ? `balanced accuracy, chance ${chance.toFixed(2)}` : 'r, chance 0',
  });
}
