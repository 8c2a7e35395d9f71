/** A variable of a MATLAB 5 file as a matrix. */
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';
import type { MatValue } from './mat.js';

/**
 * A variable of numbers in two dimensions as a row-major float32 matrix. `key` may be left out when there is one; `data.betas` is a field of a
 * structure, `RDMs[2].RDM` one of the second structure of an array.
 */
export function matMatrix(variables: ReadonlyMap<string, MatValue>, name: string, key: string | undefined): Matrix {
  const numeric = [...variables].filter(([, value]) => value.kind === 'numbers' && value.shape.length === 2);
  const found = key === undefined && numeric.length === 1 ? numeric[0]![1] : valueAt(variables, key ?? '');
  if (found?.kind !== 'numbers' || found.shape.length !== 2) {
    const structures = [...variables].filter(([, value]) => value.kind === 'struct');
    const names = [
      ...numeric.map(([each]) => `\`${each}\``),
      ...structures.map(([each, value]) => `\`${each}\` (a structure with ${fieldNames(value)})`),
    ].join(', ');
    throw new CortuneError(
      key === undefined ? 'ERR_DATA' : 'ERR_NOT_FOUND',
      `${name}: Expected ${key === undefined ? 'one matrix of numbers, or the name of one,' : `the matrix \`${key}\``} and there are: ${names || 'none'}.`,
    );
  }
  const [rows, columns] = found.shape as [number, number];
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) data[row * columns + column] = found.values[column * rows + row]!;
  return { data, rows, columns };
}

function fieldNames(value: MatValue): string {
  return value.kind === 'struct' ? [...value.fields.keys()].join(', ') : '';
}

/** The value at a path: a variable, then fields of structures, each of the element in brackets (from 1; the first by default). */
function valueAt(variables: ReadonlyMap<string, MatValue>, key: string): MatValue | undefined {
  const [first, ...rest] = key.split('.');
  const named = (part: string) => /^([^[]*)(?:\[(\d+)\])?$/.exec(part) ?? ['', part, undefined];
  let [, name, element] = named(first!);
  let value = variables.get(name!);
  for (const part of rest) {
    if (value?.kind !== 'struct') return undefined;
    const at = Number(element ?? 1) - 1;
    [, name, element] = named(part);
    value = value.fields.get(name!)?.[at];
  }
  return value;
}
