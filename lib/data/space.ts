/** Where response columns lie in an image: kept beside their values from the file to the report, which shows scores on the brain. */

/** An image's grid, and which of its voxels each column of a matrix was read from. */
export interface Placed {
  /** Voxels along x, y, z. */
  shape: [number, number, number];
  /** Rows of the map from voxels to millimetres, where the header gives it (the sform). */
  affine?: number[][];
  /** Voxels of all columns, one column after the other: x + X (y + Y z), as they lie in the file. */
  voxels: Int32Array;
  /** Those of column i are `voxels[starts[i]]` to `voxels[starts[i + 1] - 1]`. */
  starts: Int32Array;
  /** Voxels of the head in the image, for orientation: its silhouette, and nothing of what is in it. Absent where it cannot be told. */
  outline?: Int32Array;
}

/** The same of a data set: columns by name, of subjects that share a space. */
export interface Space extends Placed {
  subjects: string[];
  columns: string[];
}

/** Columns that lie in an image of this header. */
export function placed(
  { shape, affine }: { shape: readonly number[]; affine: number[][] | undefined },
  places: readonly Int32Array[],
): Placed {
  const starts = new Int32Array(places.length + 1);
  for (const [i, each] of places.entries()) starts[i + 1] = starts[i]! + each.length;
  const voxels = new Int32Array(starts.at(-1)!);
  for (const [i, each] of places.entries()) voxels.set(each, starts[i]!);
  const [x = 1, y = 1, z = 1] = shape;
  return { shape: [x, y, z], ...(affine && { affine }), voxels, starts };
}

/** Share of a bright voxel's value above which a voxel belongs to the head. */
const kHead = 0.25;

/**
 * Voxels of the head in a volume: those that are not empty where programs have emptied what lies outside, else those that are not dark.
 * Undefined for images without either, such as differences.
 */
export function outlineOf(values: ArrayLike<number | bigint>): Int32Array | undefined {
  const size = values.length;
  const at = (i: number) => Number(values[i]);
  let empty = 0;
  const some: number[] = [];
  const step = Math.max(1, Math.floor(size / 20_000));
  for (let i = 0; i < size; i++) {
    const value = at(i);
    if (value === 0 || !Number.isFinite(value)) empty++;
    else if (i % step === 0) some.push(value);
  }
  if (empty === size) return undefined;
  some.sort((a, b) => a - b);
  const bright = some[Math.floor(0.98 * some.length)] ?? 0;
  const cut = empty > 0.1 * size ? undefined : kHead * bright;
  if (cut !== undefined && !(some[0]! >= 0)) return undefined;
  const inside = (value: number) => (cut === undefined ? value !== 0 && Number.isFinite(value) : value > cut);
  const found: number[] = [];
  for (let i = 0; i < size; i++) if (inside(at(i))) found.push(i);
  return Int32Array.from(found);
}

/** Some of the columns, in this order. */
export function placedOf(space: Placed, columns: readonly number[]): Placed {
  const { voxels, starts } = space;
  return {
    ...space,
    ...placed(
      { shape: space.shape, affine: space.affine },
      columns.map((at) => voxels.subarray(starts[at]!, starts[at + 1]!)),
    ),
  };
}

/** An image of one row holds a list of values, no places. */
function isList(shape: readonly number[]): boolean {
  return shape.filter((length) => length > 1).length < 2;
}

/** The spaces of subjects: those who have the same columns at the same voxels of the same grid share one. */
export function spacesOf(all: readonly { subject: string; columns: readonly string[]; space?: Placed }[]): Space[] {
  const found: Space[] = [];
  for (const { subject, columns, space } of all) {
    if (!space || isList(space.shape)) continue;
    const known = found.find((one) => sameSpace(one, space) && same(one.columns, columns));
    if (!known) found.push({ ...space, subjects: [subject], columns: [...columns] });
    else if (!known.subjects.includes(subject)) known.subjects.push(subject);
  }
  return found;
}

function sameSpace(a: Placed, b: Placed): boolean {
  return (
    same(a.shape, b.shape) &&
    same(a.affine?.flat() ?? [], b.affine?.flat() ?? []) &&
    same(a.starts, b.starts) &&
    same(a.voxels, b.voxels)
  );
}

function same<T>(a: ArrayLike<T>, b: ArrayLike<T>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
