/** What the brain view says, its range of colours, and from millimetres to voxels. */
import type { PageBrain } from '../types.js';
import type { Shown } from './brain-map.js';
import type { Place } from './niivue.js';

export function noteOf(brain: PageBrain, shown: Shown): string {
  const side = brain.affine ? '' : ' The images do not say how they lie in the head, so left and right are not told.';
  const layers = shown === 'layer' ? ' Places without a score above 0 are empty.' : '';
  return `The gray is the shape of the head. Click, or use the arrow keys, page up and page down, to move the crosshair.${layers}${side}`;
}

/** Colours run from 0 (or what is below) to the highest; of gains evenly to both sides; of layers over all of them. */
export function rangeOf(values: Float64Array, shown: Shown): [number, number] {
  const finite = [...values].filter(Number.isFinite);
  const top = Math.max(1e-3, ...finite);
  if (shown !== 'gain') return [Math.min(0, ...finite), top];
  const most = Math.max(top, -Math.min(0, ...finite));
  return [-most, most];
}

export function peak(values: Float64Array): number {
  return values.reduce((top, value, i) => (value > (values[top] || -Infinity) ? i : top), 0);
}

/** The voxel at a place: the affine solved by Cramer's rule. */
export function voxelAt(mm: Place, affine: readonly number[][]): Place {
  const [p, q, r] = affine as [number[], number[], number[]];
  const right = affine.map((row, i) => mm[i]! - row[3]!);
  const det = (columns: number[][]) => {
    const [[a, b, c], [d, e, f], [g, h, i]] = columns as [number[], number[], number[]];
    return a! * (e! * i! - f! * h!) - b! * (d! * i! - f! * g!) + c! * (d! * h! - e! * g!);
  };
  const columns = [0, 1, 2].map((c) => [p[c]!, q[c]!, r[c]!]);
  const all = det(columns);
  return [0, 1, 2].map((c) => Math.round(det(columns.map((each, i) => (i === c ? right : each))) / all)) as never;
}

/** A colour of the page, each part from 0 to 1. */
export function colorOf(name: string): [number, number, number] {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hex = text.length === 4 ? text.replace(/[0-9a-f]/gi, '$&$&') : text;
  return [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255) as [number, number, number];
}
