/** What all figures share: margins, axes, looks. */
import type * as Plot from '@observablehq/plot';
import { type Choices, kScores } from './series.js';

export interface Figure {
  svg: Element | null;
  /** Legend of the colour scale. */
  key?: Element | null;
  /** What the figure shows, in words: its text alternative. */
  words: string;
  /** Its numbers, as they are saved. */
  rows?: Record<string, string | number | null>[];
  /** Lines of the figure, for a saved picture: on the page they stand in the list of lines. */
  lines?: { title: string; color: string; dash: string }[];
  /** Those lines are no lines of the page's list: they are named below the figure. */
  ownLines?: boolean;
}

/** Levels whose names have room beside those already named; the others are named by the legend and in words. */
export function roomy<Level extends { value: number }>(levels: Level[], values: number[]): Level[] {
  const all = [...values, ...levels.map(({ value }) => value), 0];
  const gap = 0.07 * (Math.max(...all) - Math.min(...all));
  const named: Level[] = [];
  for (const level of levels) if (named.every(({ value }) => Math.abs(value - level.value) > gap)) named.push(level);
  return named;
}

const kSentences = 24;

/** Sentences for people who hear them: of very many the first are enough. */
export function spoken(sentences: string[]): string {
  const rest = sentences.length - kSentences;
  return [...sentences.slice(0, kSentences), ...(rest > 0 ? [`And ${rest} more.`] : [])].join(' ');
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

/** Ticks at whole numbers: no more than there are, or the same would stand twice. */
export function wholeTicks(width: number, values: readonly number[]): number {
  return Math.max(1, Math.min(ticksOf(width), Math.max(...values) - Math.min(...values)));
}

/** The axis of layers. */
export function layerAxis(width: number, points: readonly { layer: number }[], label = 'layer'): Plot.ScaleOptions {
  const ticks = wholeTicks(
    width,
    points.map(({ layer }) => layer),
  );
  return { ...kAxis, label, ...kLabelBelow, ticks, tickFormat: 'd', inset: 6 };
}

/** Looks of the note beside the pointer. */
export const kTip = { fill: 'var(--panel)', stroke: 'var(--line)' };

export const nothing = (words: string): Figure => ({ svg: null, words });
export const scoreName = (choices: Choices) => kScores.find(([key]) => key === choices.score)![1];
export const short = (name: string) => (name.length > 30 ? `${name.slice(0, 29)}\u2026` : name);
export const heightOf = (width: number) => Math.max(240, Math.min(360, width * 0.5));
