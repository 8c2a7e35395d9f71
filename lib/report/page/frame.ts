/** What all figures share: margins, axes, looks. */
import type * as Plot from '@observablehq/plot';

export interface Figure {
  svg: Element | null;
  /** Legend of the colour scale. */
  key?: Element | null;
  /** What the figure shows, in words: its text alternative. */
  words: string;
}

export const kAxis = { labelArrow: 'none' as const };
/** Keeps the descenders of a label inside of the figure. */
export const kLabelBelow = { labelOffset: 40 };

export function frame(width: number, height: number, label: string): Plot.PlotOptions {
  return {
    width,
    height,
    marginLeft: 48,
    marginBottom: 50,
    marginRight: 14,
    marginTop: 22,
    ariaLabel: label,
    style: { fontSize: '12px', background: 'transparent', overflow: 'visible' },
  };
}

export function ticksOf(width: number): number {
  return width < 480 ? 5 : 8;
}

/** Looks of the note beside the pointer. */
export const kTip = { fill: 'var(--panel)', stroke: 'var(--line)' };
