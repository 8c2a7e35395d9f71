/** Responses that encoding reads: a matrix, a tensor, or a .npy file that need not fit in memory. */
import type { Matrix } from '../data/types.js';
import { CortuneError, expected } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { ResponsesHandle } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { checkFinite, checkVaries } from './options.js';

/**
 * Responses in a .npy file: a matrix [n, t] of float32 or float64, either byte order, C or Fortran order. It is read piece by piece whenever it is
 * used, so memory does not grow with it; values become float32. `dispose` closes it.
 */
export class ResponsesFile implements Disposable {
  readonly handle: ResponsesHandle;
  /** [rows, targets] */
  readonly shape: readonly number[];

  private constructor(handle: ResponsesHandle) {
    this.handle = handle;
    this.shape = handle.shape;
  }

  /** @throws ERR_NOT_FOUND, ERR_IO; ERR_FORMAT for no or a truncated .npy file, ERR_DATA for another type or rank. */
  static async open(path: string): Promise<ResponsesFile> {
    return new ResponsesFile(await runJob(() => native().openResponses({ path })));
  }

  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** [n, t]; of a file or tensor values are checked where they are read. */
export type Responses = Matrix | Tensor | ResponsesFile;

export function responsesShape(responses: Responses): [rows: number, targets: number] {
  if (!('shape' in responses)) return [responses.rows, responses.columns];
  if (responses.shape.length !== 2) throw expected('responses', 'a tensor [rows, targets]', [...responses.shape]);
  return [responses.shape[0]!, responses.shape[1]!];
}

/** Responses must have the `rows` of the features. @throws ERR_DATA. */
export function checkRows(rows: number, responses: Responses): void {
  const [got] = responsesShape(responses);
  if (got === rows) return;
  throw new CortuneError(
    'ERR_DATA',
    `Expected responses to have as many rows as the features, ${rows}, got ${got}. Each row is one stimulus or volume.`,
  );
}

/** What native code takes; `dispose` frees what was made for it. */
export function responsesArgument(responses: Responses, names: readonly string[]) {
  if (responses instanceof ResponsesFile) return { argument: { responsesFile: responses.handle }, dispose: () => {} };
  if (responses instanceof Tensor) return { argument: { responses: responses.handle }, dispose: () => {} };
  checkFinite(responses, names);
  checkVaries(responses);
  const made = Tensor.from(responses.data, [responses.rows, responses.columns]);
  return { argument: { responses: made.handle }, dispose: () => made.dispose() };
}
