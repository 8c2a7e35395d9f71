/** A volume as a NIfTI-1 file: what the viewer reads, and what the reader can save and open elsewhere. */

const kHeader = 352;

/** Voxels of 1 mm: for images that do not say how they lie. */
export const kPlain = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
];

/** float32 values, x fastest. Without an affine voxels are 1 mm and their side of the head is not told. */
export function niftiFile(
  values: Float32Array,
  shape: readonly [number, number, number],
  affine: readonly number[][] | null,
  description: string,
): ArrayBuffer {
  const buffer = new ArrayBuffer(kHeader + 4 * values.length);
  const view = new DataView(buffer);
  const rows = affine ?? kPlain;
  view.setInt32(0, 348, true);
  for (const [i, length] of [3, ...shape, 1, 1, 1, 1].entries()) view.setInt16(40 + 2 * i, length, true);
  view.setInt16(70, 16, true); // float32
  view.setInt16(72, 32, true);
  const sizes = [0, 1, 2].map((axis) => Math.hypot(...rows.map((row) => row[axis]!)));
  for (const [i, size] of [1, ...sizes, 1].entries()) view.setFloat32(76 + 4 * i, size, true);
  view.setFloat32(108, kHeader, true);
  view.setFloat32(112, 1, true);
  view.setUint8(123, 2); // mm
  const text = new TextEncoder().encode(description).subarray(0, 79);
  new Uint8Array(buffer).set(text, 148);
  view.setInt16(254, 1, true);
  for (const [r, row] of rows.entries())
    for (const [c, value] of row.entries()) view.setFloat32(280 + 16 * r + 4 * c, value, true);
  new Uint8Array(buffer).set([0x6e, 0x2b, 0x31, 0], 344); // n+1
  new Float32Array(buffer, kHeader).set(values);
  return buffer;
}
