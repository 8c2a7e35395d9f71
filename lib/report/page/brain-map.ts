/** What the brain view shows: a number for each region or voxel, in words, as rows, and as a volume. */

import { decimals } from '../decimals.js';
import type { PageBrain, PageData, PageSet } from '../types.js';
import { type Choices, curve, best as highest, kScores, mean, type Series, scoreAt } from './series.js';

/** `score`; `gain`: less the untuned model's; `layer`: the layer at which a place has its highest score. */
export type Shown = 'score' | 'gain' | 'layer';

export interface BrainChoices {
  brain: number;
  line: string;
  show: Shown;
  /** -1: the line's best layer. */
  layer: number;
}

export interface BrainMap {
  /** One a region or voxel; NaN where there is none. */
  values: Float64Array;
  /** What the numbers are: `Pearson r of lora lr 1e-3 at layer 7`. */
  title: string;
  words: string;
  rows: Record<string, string | number | null>[];
}

/** Targets of each place that the reader's choice of subjects takes in. */
function membersOf(brain: PageBrain, set: PageSet, { view }: Choices): number[][] {
  return (brain.targets ?? []).map((targets) =>
    targets.filter((t) => (view === 'group') === (set.targets[t]!.subject === 'mean')),
  );
}

export function brainMap(data: PageData, series: Series[], choices: Choices, chosen: BrainChoices): BrainMap {
  const brain = data.brains[chosen.brain]!;
  const set = data.sets[brain.set]!;
  const line = series.find(({ key }) => key === chosen.line) ?? series[0]!;
  const base = series.find(({ runs: [run] }) => run!.method === 'untuned' && run!.model === line.runs[0]!.model);
  const { layers } = line.runs[0]!;
  const l = chosen.layer < 0 ? bestLayer(line, set, choices) : layers.indexOf(chosen.layer);
  const members = membersOf(brain, set, choices);
  const at = (of: Series, layer: number, place: number) =>
    brain.targets
      ? mean(of.runs.map((run) => mean(members[place]!.map((t) => scoreAt(run, set, layer, t, choices.score)))))
      : mean(of.runs.map((run) => brain.maps[run.id]?.[place]));
  const one = (place: number) => {
    if (chosen.show === 'gain') return base ? at(line, l, place) - at(base, l, place) : Number.NaN;
    if (chosen.show === 'score') return at(line, l, place);
    const top = layers.map((layer, i) => ({ layer, value: at(line, i, place) })).filter(({ value }) => value > 0);
    return top.length > 0 ? top.reduce((a, b) => (b.value > a.value ? b : a)).layer : Number.NaN;
  };
  const values = Float64Array.from(brain.names, (_, place) => one(place));
  const name = brain.targets ? kScores.find(([key]) => key === choices.score)![1] : 'Pearson r';
  const where = chosen.show === 'layer' ? '' : ` at layer ${layers[l]}`;
  const what = { score: name, gain: `${name} less the untuned model's`, layer: 'Layer of the highest score' }[
    chosen.show
  ];
  const title = `${what} of ${line.title}${where}`;
  const rows = brain.names.map((place, i) => ({
    place,
    voxels: brain.counts[i]!,
    line: line.title,
    layer: chosen.show === 'layer' ? null : layers[l]!,
    shows: chosen.show,
    value: values[i]!,
  }));
  return { values, title, words: words(brain, values, title), rows };
}

function bestLayer(line: Series, set: PageSet, choices: Choices): number {
  const top = highest(curve(line, set, { ...choices, roi: 'all' }));
  return Math.max(0, line.runs[0]!.layers.indexOf(top?.layer ?? 0));
}

const kTold = 8;

function words({ names, title: whose }: PageBrain, values: Float64Array, title: string): string {
  const order = [...values.keys()].filter((i) => Number.isFinite(values[i]!)).sort((a, b) => values[b]! - values[a]!);
  if (order.length === 0) return `${title}: no place has a number.`;
  const told = order.slice(0, kTold).map((i) => `${names[i]}: ${decimals(values[i])}`);
  const rest =
    order.length > kTold ? `; and ${order.length - kTold} more, down to ${decimals(values[order.at(-1)!])}` : '';
  return `${title}, on the brain of ${whose}. Highest at ${told.join('; ')}${rest}.`;
}

/** Which region or voxel each voxel of the volume belongs to, -1 for none; where regions overlap the later one counts. */
export function placesOf({ shape, counts, steps }: PageBrain): Int32Array {
  const places = new Int32Array(shape[0] * shape[1] * shape[2]).fill(-1);
  let [voxel, at] = [0, 0];
  for (const [place, count] of counts.entries())
    for (let i = 0; i < count; i++) {
      voxel += steps[at++]!;
      places[voxel] = place;
    }
  return places;
}

/** 1 in the head and in every region, else 0. */
export function headOf({ shape, outline }: PageBrain, places: Int32Array): Float32Array {
  const head = Float32Array.from(places, (place) => (place >= 0 ? 1 : 0));
  let at = 0;
  for (let k = 0; k < outline.length; k += 2) {
    at += outline[k]!;
    head.fill(1, at, Math.min(at + outline[k + 1]!, shape[0] * shape[1] * shape[2]));
    at += outline[k + 1]!;
  }
  return head;
}
