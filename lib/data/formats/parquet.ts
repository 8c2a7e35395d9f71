/** Parquet files: records, and matrices of numbers with named columns. */
import { basename } from 'node:path';
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { CortuneError } from '../../errors.js';
import { checkMatrixSize, checkUnpacked, fileSize } from './bytes.js';
import type { MatrixOptions, NamedMatrix } from './index.js';
import type { Records } from './records.js';
import { columnIndices } from './table.js';

/** The column of pictures: their files as bytes, or `{bytes, path}` as Hugging Face data sets have them. */
export const kPictureColumn = 'image';

/** pandas keeps an index with names as a column of this name. */
const kIndex = /^__index_level_\d+__$/;

interface Opened {
  name: string;
  file: AsyncBuffer;
  metadata: FileMetaData;
  fields: string[];
  rows: number;
}

/** Opens a file and checks that what it says of its size can be. */
async function open(path: string): Promise<Opened> {
  const name = basename(path);
  const size = await fileSize(path);
  return await reading(name, async () => {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const fields = parquetSchema(metadata).children.map(({ element }) => element.name);
    const rows = Number(metadata.num_rows);
    let unpacked = 0;
    for (const { columns } of metadata.row_groups)
      for (const { meta_data: chunk } of columns) unpacked += Number(chunk?.total_uncompressed_size ?? 0);
    checkUnpacked(name, 'its values', size, Math.max(unpacked, rows * fields.length));
    return { name, file, metadata, fields, rows };
  });
}

async function reading<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof CortuneError) throw cause;
    throw new CortuneError('ERR_FORMAT', `${name}: Expected a Parquet file, but ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** All rows as records. @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_DATA. */
export async function readParquetRecords(path: string): Promise<Records> {
  const { name, file, metadata, fields } = await open(path);
  return await reading(name, async () => {
    const rows = await parquetReadObjects({ file, metadata, compressors, utf8: false });
    return { name, fields, rows: rows.map(plain), places: rows.map((_, i) => `item ${i + 1}`) };
  });
}

/** Parquet's 64-bit integers are bigints; bytes are text that some writers do not mark as such, but for pictures. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  const text = new TextDecoder();
  return Object.fromEntries(
    Object.entries(row).map(([field, value]) => {
      if (typeof value === 'bigint') return [field, Number(value)];
      return [field, value instanceof Uint8Array && field !== kPictureColumn ? text.decode(value) : value];
    }),
  );
}

/**
 * Columns of numbers; missing values are NaN. By default all of them but the index that pandas adds.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; ERR_DATA for a column that is not there, or holds something else.
 */
export async function readParquetMatrix(path: string, { columns: wanted }: MatrixOptions): Promise<NamedMatrix> {
  const { name, file, metadata, fields, rows } = await open(path);
  const chosen = wanted ?? fields.filter((field) => !kIndex.test(field));
  const columns = columnIndices(name, fields, chosen).map((place) => fields[place]!);
  if (rows < 1 || columns.length < 1)
    throw new CortuneError('ERR_DATA', `${name}: Expected at least one row and column of numbers, got none.`);
  checkMatrixSize(name, rows, columns.length);
  const data = new Float32Array(rows * columns.length);
  const seen = new Int32Array(columns.length);
  let refused: CortuneError | undefined; // what a callback throws, the library does not pass on
  await reading(name, () =>
    parquetRead({
      file,
      metadata,
      compressors,
      columns: [...new Set(columns)],
      onChunk: ({ columnName, columnData, rowStart }) => {
        for (const [c, column] of columns.entries()) {
          if (column !== columnName) continue;
          seen[c]! += columnData.length;
          for (let i = 0; i < columnData.length; i++) {
            const number = toNumber(columnData[i]);
            if (number === undefined) refused ??= notANumber({ name, column, row: rowStart + i, value: columnData[i] });
            data[(rowStart + i) * columns.length + c] = number ?? Number.NaN;
          }
        }
      },
    }),
  );
  if (refused) throw refused;
  const short = seen.findIndex((count) => count !== rows);
  if (short >= 0)
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected ${rows} values in column \`${columns[short]}\`, got ${seen[short]}. The file is damaged; copy it again.`,
    );
  return { matrix: { data, rows, columns: columns.length }, columns };
}

function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
  return value === null || value === undefined ? Number.NaN : undefined;
}

function notANumber({ name, column, row, value }: { name: string; column: string; row: number; value: unknown }) {
  const shown = Array.isArray(value) || ArrayBuffer.isView(value) ? 'a list' : `\`${String(value).slice(0, 40)}\``;
  return new CortuneError(
    'ERR_DATA',
    `${name}: Expected a number in row ${row + 1}, column \`${column}\`, got ${shown}. Name the columns of numbers.`,
  );
}
