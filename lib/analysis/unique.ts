/** Unique variance: what a model explains that controls (word rate, position, ...) do not. */
import type { Matrix } from '../data/types.js';
import { type EncodeOptions, encode } from '../encode/encode.js';
import { CortuneError, expected } from '../errors.js';
import { Tensor } from '../tensor.js';

/** Held-out R2 of one layer and target, means over folds. */
export interface VarianceParts {
  name: string;
  /** Of the model's features alone, of the controls alone, of both together. */
  model: number;
  controls: number;
  joint: number;
  /** joint - controls: what the model adds to the controls. Below 0 where it only costs. */
  unique: number;
  /** joint - model: what the controls add to the model. */
  uniqueControls: number;
  /** model + controls - joint: what either explains. */
  shared: number;
}

export interface UniqueVariance {
  layers: { layer: number; targets: VarianceParts[] }[];
  warnings: string[];
}

/**
 * Variance partitioning of every layer against control features, by differences of cross-validated R2 (de Heer, Huth, Griffiths, Gallant &
 * Theunissen 2017, Journal of Neuroscience 37, 6539-6557): the controls alone, the features alone, and both side by side.
 *
 * The joint model is ridge with one penalty for all columns, z-scored; a few control columns among many of the model are then penalised
 * as strongly as each of those, which can make the joint model use them less than it should and its unique variance of the model come out
 * a little low. Differences of R2 are not bounded by 0.
 *
 * @param features [L, n, p] or [n, p]; @param controls [n, q] (several controls side by side); @param responses [n, t].
 * @param options as for `encode`; all three models have the same folds and grid of penalties.
 * @throws what `encode` throws.
 */
export async function uniqueVariance(
  features: Tensor,
  controls: Matrix,
  responses: Matrix | Tensor,
  options: Omit<EncodeOptions, 'predictions'> = {},
): Promise<UniqueVariance> {
  const shape = features.shape.length === 2 ? [1, ...features.shape] : [...features.shape];
  const [L, n, p] = shape as [number, number, number];
  if (shape.length !== 3) throw expected('features', 'a tensor [layers, rows, columns] or [rows, columns]', shape);
  if (controls.rows !== n)
    throw new CortuneError('ERR_DATA', `Expected ${n} rows of controls, as of the features, got ${controls.rows}.`);
  using alone = Tensor.from(controls.data, [1, n, controls.columns]);
  using both = Tensor.from(sideBySide(features.toArray(), controls, L, n, p), [L, n, p + controls.columns]);
  const byModel = await encode(features, responses, options);
  const byControls = await encode(alone, responses, { ...options, layers: undefined });
  const byBoth = await encode(both, responses, options);
  return {
    layers: byBoth.layers.map(({ layer, targets }, l) => ({
      layer,
      targets: targets.map(({ name, r2: joint }, t) => {
        const model = byModel.layers[l]!.targets[t]!.r2;
        const control = byControls.layers[0]!.targets[t]!.r2;
        return {
          name,
          model,
          controls: control,
          joint,
          unique: joint - control,
          uniqueControls: joint - model,
          shared: model + control - joint,
        };
      }),
    })),
    warnings: [...new Set([...byModel.warnings, ...byControls.warnings, ...byBoth.warnings])],
  };
}

/** Each layer's rows with the control columns after them: [L, n, p + q]. */
function sideBySide(values: Float32Array, controls: Matrix, L: number, n: number, p: number): Float32Array {
  const q = controls.columns;
  const out = new Float32Array(L * n * (p + q));
  for (let row = 0; row < L * n; row++) {
    out.set(values.subarray(row * p, (row + 1) * p), row * (p + q));
    const at = (row % n) * q;
    out.set(controls.data.subarray(at, at + q), row * (p + q) + p);
  }
  return out;
}
