/** Where the targets of a report lie in the brain, cropped to what holds anything. */
import { subjectLabel } from '../data/responses.js';
import type { Space } from '../data/space.js';
import type { Target } from '../data/types.js';
import { meanOfFinite } from '../numbers.js';
import type { Scores } from '../study/records.js';
import { summaryTargets } from '../study/results.js';
import { stretchesOf } from '../study/spaces.js';
import type { PageBrain } from './types.js';

/** A set of the page: its targets as they were measured, and its runs. */
export interface BrainSet {
  index: number;
  spaces: readonly Space[];
  targets: readonly Target[];
  runs: readonly { id: string; scores: Scores }[];
}

/** Numbers that maps of single voxels may take in a page that has no room for every layer of them. */
const kMaps = 1_000_000;

/** `single`: the page holds the scores of single targets. */
export function brainsOf(sets: readonly BrainSet[], single: boolean): PageBrain[] {
  return sets.flatMap((set) => set.spaces.flatMap((space, i) => brainOf(set, space, i === 0, single) ?? []));
}

function brainOf(set: BrainSet, space: Space, first: boolean, single: boolean): PageBrain | undefined {
  const { index, targets, runs } = set;
  const members = membersOf(space, targets, first);
  const there = [...space.columns.keys()].filter((column) => members[column]!.length > 0);
  if (there.length === 0 || (!single && there.length * runs.length > kMaps)) return undefined;
  const voxels = there.map((column) => space.voxels.slice(space.starts[column]!, space.starts[column + 1]!).sort());
  const box = boxOf(space, [...voxels, space.outline ?? new Int32Array()]);
  const moved = voxels.map((each) => each.map(box.move));
  const { subjects } = space;
  return {
    set: index,
    title: subjects.length === 1 ? subjectLabel(subjects[0]!) : `${subjects.length} subjects`,
    shape: box.shape,
    affine: box.affine,
    names: there.map((column) => space.columns[column]!),
    counts: moved.map((each) => each.length),
    steps: stepsOf(moved),
    outline: stretchesOf((space.outline ?? new Int32Array()).map(box.move)),
    targets: single ? there.map((column) => members[column]!) : null,
    maps: single ? {} : Object.fromEntries(runs.map(({ id, scores }) => [id, bestMap(scores, there, members)])),
  };
}

/** Targets of each column: of the subjects of the space, and means over subjects, which the first space shows. */
function membersOf({ columns, subjects }: Space, targets: readonly Target[], first: boolean): number[][] {
  const places = new Map(columns.map((name, i) => [name, i]));
  const members: number[][] = columns.map(() => []);
  for (const [t, { name, subject }] of targets.entries()) {
    if (!subjects.includes(subject) && !(first && subject === 'mean')) continue;
    const label = `${subjectLabel(subject)}:`;
    const column = places.get(name) ?? places.get(name.startsWith(label) ? name.slice(label.length) : name);
    if (column !== undefined) members[column]!.push(t);
  }
  return members;
}

/** r of each place at the layer that is best on average. */
function bestMap(scores: Scores, columns: readonly number[], members: readonly number[][]): Float64Array {
  const [t, group] = [scores.targets.length, summaryTargets(scores)];
  const means = scores.layers.map((_, l) => meanOfFinite(group.map((c) => scores.r[l * t + c]!)));
  const best = means.reduce((at, value, l) => (value > means[at]! || Number.isNaN(means[at]!) ? l : at), 0);
  return Float64Array.from(columns, (column) => {
    const all = members[column]!;
    const means = all.filter((c) => scores.targets[c]!.subject === 'mean');
    return meanOfFinite((means.length > 0 ? means : all).map((c) => scores.r[best * t + c]!));
  });
}

function stepsOf(parts: readonly Int32Array[]): number[] {
  const steps: number[] = [];
  let before = 0;
  for (const part of parts)
    for (const voxel of part) {
      steps.push(voxel - before);
      before = voxel;
    }
  return steps;
}

/** The smallest part of the image that holds all of these voxels, with one voxel around where there is one. */
function boxOf({ shape, affine }: Space, parts: readonly Int32Array[]) {
  const low = [...shape];
  const high = [0, 0, 0];
  const coordinates = (voxel: number) => [
    voxel % shape[0],
    Math.floor(voxel / shape[0]) % shape[1],
    Math.floor(voxel / (shape[0] * shape[1])),
  ];
  for (const part of parts)
    for (const voxel of part)
      for (const [axis, at] of coordinates(voxel).entries()) {
        low[axis] = Math.min(low[axis]!, at);
        high[axis] = Math.max(high[axis]!, at);
      }
  const from = low.map((at) => Math.max(0, at - 1));
  const size = high.map((at, axis) => Math.min(shape[axis]!, at + 2) - from[axis]!) as [number, number, number];
  const move = (voxel: number) => {
    const [x, y, z] = coordinates(voxel).map((at, axis) => at - from[axis]!) as [number, number, number];
    return x + size[0] * (y + size[1] * z);
  };
  const rows = affine?.slice(0, 3).map(([a, b, c, d]) => {
    const offset = a! * from[0]! + b! * from[1]! + c! * from[2]! + d!;
    return [a!, b!, c!, offset];
  });
  return { shape: size, affine: rows ?? null, move };
}
