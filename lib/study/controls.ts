/** Controls that a study reads from a file. */
import { readMatrix } from '../data/formats/index.js';
import { CortuneError } from '../errors.js';
import { Tensor } from '../tensor.js';
import type { ControlEntry } from './schema-controls.js';

/** Features [1, n, p] of a file with a row for each row of the responses. Throws what `readMatrix` throws, ERR_DATA. */
export async function controlFromFile(path: string, { name, key }: ControlEntry, rows: number): Promise<Tensor> {
  const { matrix } = await readMatrix(path, { key });
  if (matrix.rows !== rows)
    throw new CortuneError(
      'ERR_DATA',
      `Expected ${rows} rows in the file of the control \`${name}\`, one for each row of the responses, got ${matrix.rows}.`,
    );
  return Tensor.from(matrix.data, [1, matrix.rows, matrix.columns]);
}
