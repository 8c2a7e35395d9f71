/** How alike the representations of two models (or layers) are: linear CKA and Procrustes distance. */
import { expected } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Tensor } from '../tensor.js';

/** Linear CKA, 0 to 1; debiased, near 0 for unrelated layers however wide; Procrustes distance, 0 (same) to 2. */
export const kSimilarities = ['cka', 'cka-debiased', 'procrustes'] as const;
export type Similarity = (typeof kSimilarities)[number];

/**
 * Compares every layer of `a` with every layer of `b`, on the same n stimuli. Columns are centred.
 * - 'cka': `|X'Y|^2 / (|X'X| |Y'Y|)` in Frobenius norms (Kornblith et al. 2019, ICML).
 * - 'cka-debiased': with the unbiased estimator of HSIC (Song et al. 2012, JMLR 13, 1393-1434); needs 4 stimuli or more. Plain CKA grows
 *   with the number of columns when there are few stimuli; this does not.
 * - 'procrustes': `2 - 2 |X'Y|_*` with X and Y of unit Frobenius norm, the square of the distance after the best rotation and scale
 *   (Ding, Denain & Steinhardt 2021, NeurIPS).
 *
 * @param a [L, n, p] or [n, p]. @param b [M, n, q] or [n, q].
 * @returns L rows of M values, in float64; NaN where a layer is constant.
 * @throws RangeError (ERR_ARGUMENT); ERR_DATA for values that are not finite; ERR_CANCELLED.
 */
export async function layerSimilarity(
  a: Tensor,
  b: Tensor,
  options: JobOptions & { measure?: Similarity | undefined } = {},
): Promise<Float64Array[]> {
  const { measure = 'cka' } = options;
  if (!kSimilarities.includes(measure))
    throw expected('measure', kSimilarities.map((name) => `\`${name}\``).join(' or '), measure);
  const layered = (tensor: Tensor, name: string) => {
    if (tensor.shape.length === 2) return Tensor.from(tensor.toArray(), [1, ...tensor.shape]);
    if (tensor.shape.length !== 3) throw expected(name, 'a tensor [n, p] or [L, n, p]', [...tensor.shape]);
    return undefined;
  };
  using madeA = layered(a, 'a');
  using madeB = layered(b, 'b');
  const [x, y] = [madeA ?? a, madeB ?? b];
  if (x.shape[1] !== y.shape[1]) throw expected('b', `a tensor of the same ${x.shape[1]} rows as \`a\``, [...b.shape]);
  const all = await runJob(
    (onProgress) => native().layerSimilarity({ a: x.handle, b: y.handle, measure }, onProgress),
    options,
  );
  const width = y.shape[0]!;
  return Array.from({ length: x.shape[0]! }, (_, l) => all.slice(l * width, (l + 1) * width));
}
