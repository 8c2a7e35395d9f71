/** Reading one tensor of a .safetensors file, as a Tensor or as a matrix. */
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../../errors.js';
import { type JobOptions, runJob } from '../../native/jobs.js';
import { native } from '../../native/load.js';
import { Tensor } from '../../tensor.js';
import type { Matrix } from '../types.js';

/** Reads the tensor `key` (it may be left out when the file holds one) as float32. @throws ERR_FORMAT, ERR_DATA. */
export async function readTensor(path: string, key?: string, options: JobOptions = {}): Promise<Tensor> {
  const header = await runJob(() => native().inspectFile({ path }), options);
  const names = header.tensors.map((tensor) => tensor.name);
  const name = key ?? (names.length === 1 ? names[0]! : undefined);
  if (name === undefined || !names.includes(name)) {
    const shown =
      names
        .slice(0, 12)
        .map((one) => `\`${one}\``)
        .join(', ') + (names.length > 12 ? ', ...' : '');
    const hint = name !== undefined && names.length > 0 ? ` (did you mean \`${closest(name, names)}\`?)` : '';
    throw new CortuneError(
      'ERR_DATA',
      `${path}: Expected ${name === undefined ? 'a `key` that names one of its tensors' : `a tensor \`${name}\``}${hint}, it has ${shown || 'none'}.`,
    );
  }
  const [handle] = await runJob(() => native().readTensors({ path, names: [name] }), options);
  return new Tensor(handle!);
}

/** Reads a tensor of one or two axes as a matrix; one axis becomes one column. @throws ERR_FORMAT, ERR_DATA. */
export async function readTensorMatrix(path: string, key?: string): Promise<Matrix> {
  using tensor = await readTensor(path, key);
  const [rows, columns = 1] = tensor.shape;
  if (rows === undefined || tensor.shape.length > 2)
    throw new CortuneError(
      'ERR_DATA',
      `${path}: Expected 2 axes, [rows, columns], got ${tensor.shape.length}: [${tensor.shape.join(', ')}].`,
    );
  return { data: tensor.toArray(), rows, columns };
}
