/** Columns of a matrix that has names for them: some of them, whole regions, and means over regions. */

import { placedOf } from '../space.js';
import type { NamedMatrix } from './index.js';
import { type ColumnName, columnIndices } from './table.js';

/** Some of the columns, in the order asked for; all when none are asked for. A region's name stands for all of its columns. @throws ERR_DATA for a missing one. */
export function pickColumns(all: NamedMatrix, wanted: readonly ColumnName[] | undefined, name: string): NamedMatrix {
  return wanted === undefined ? all : takeColumns(all, placesOf(all, wanted, name));
}

/** The columns at these places, with what is known of them. */
export function takeColumns(all: NamedMatrix, places: readonly number[]): NamedMatrix {
  const { data: from, rows, columns } = all.matrix;
  const data = new Float32Array(rows * places.length);
  for (let row = 0; row < rows; row++)
    for (const [i, place] of places.entries()) data[row * places.length + i] = from[row * columns + place]!;
  const some = (labels: readonly string[]) => places.map((place) => labels[place]!);
  return {
    ...all,
    matrix: { data, rows, columns: places.length },
    columns: some(all.columns),
    ...(all.regions && { regions: some(all.regions) }),
    ...(all.subjects && { subjects: some(all.subjects) }),
    ...(all.space && { space: placedOf(all.space, places) }),
  };
}

function placesOf({ columns, regions }: NamedMatrix, wanted: readonly ColumnName[], name: string): number[] {
  if (regions === undefined) return columnIndices(name, columns, wanted);
  const members = new Map<string, number[]>();
  for (const [i, region] of regions.entries()) {
    const list = members.get(region);
    if (list) list.push(i);
    else members.set(region, [i]);
  }
  return wanted.flatMap((one) => {
    const label = String(one).trim();
    if (members.has(label)) return members.get(label)!;
    if (columns.includes(label)) return columnIndices(name, columns, [label]);
    return columnIndices(name, [...members.keys()], [label])
      .map((place) => [...members.keys()][place]!)
      .flatMap((region) => members.get(region)!);
  });
}

/** One column a region (and subject): the mean over its columns, in the order in which they are first met. */
export function meanOfRegions(all: NamedMatrix): NamedMatrix {
  const { regions, subjects, matrix } = all;
  if (regions === undefined) return all;
  const groups = new Map<string, { region: string; subject: string | undefined; members: number[] }>();
  for (const [i, region] of regions.entries()) {
    const subject = subjects?.[i];
    const key = `${subject ?? ''}\0${region}`;
    const group = groups.get(key);
    if (group) group.members.push(i);
    else groups.set(key, { region, subject, members: [i] });
  }
  const found = [...groups.values()];
  const data = new Float32Array(matrix.rows * found.length);
  for (let row = 0; row < matrix.rows; row++)
    for (const [c, { members }] of found.entries()) {
      let sum = 0;
      for (const member of members) sum += matrix.data[row * matrix.columns + member]!;
      data[row * found.length + c] = sum / members.length;
    }
  return {
    ...(all.notes && { notes: all.notes }),
    matrix: { data, rows: matrix.rows, columns: found.length },
    columns: found.map(({ region }) => region),
    ...(subjects && { subjects: found.map(({ subject }) => subject!) }),
  };
}
