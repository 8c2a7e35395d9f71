/** Unique variance: what a model explains that controls (word rate, position, ...) do not. */
import type { Matrix } from '../data/types.js';
import { type BandedOptions, encodeBanded } from '../encode/banded.js';
import { type EncodeOptions, encode } from '../encode/encode.js';
import { variancePart } from '../encode/partition.js';
import { meanOverFolds } from '../encode/scores.js';
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

export interface UniqueOptions extends Omit<EncodeOptions, 'predictions' | 'weights' | 'scores' | 'selection'> {
  /** How both are fitted side by side; default 'banded'. */
  joint?: 'banded' | 'ridge' | undefined;
  /** Banded: weights of the two bands to try (see `encodeBanded`); default 12 draws. */
  gammas?: BandedOptions['gammas'];
  /** Banded: of the draws; default 0. */
  seed?: number | undefined;
}

/**
 * Variance partitioning of every layer against control features, by differences of cross-validated R2 (de Heer, Huth, Griffiths, Gallant &
 * Theunissen 2017, Journal of Neuroscience 37, 6539-6557): the controls alone, the features alone, and both side by side.
 *
 * The joint model is banded ridge (`encodeBanded`): features and controls have penalties of their own, so that a few control columns are not
 * penalised like the many of the model. 'ridge' gives both one penalty, which is quicker and tends to credit the model with too little.
 * Differences of R2 are not bounded by 0.
 *
 * @param features [L, n, p] or [n, p]; @param controls [n, q] (several controls side by side); @param responses [n, t].
 * @param options as for `encode`; all three models have the same folds and grid of penalties.
 * @throws what `encode` throws.
 */
export async function uniqueVariance(
  features: Tensor,
  controls: Matrix,
  responses: Matrix | Tensor,
  options: UniqueOptions = {},
): Promise<UniqueVariance> {
  const { joint: kind = 'banded', gammas = 12, seed = 0 } = options;
  if (kind !== 'banded' && kind !== 'ridge') throw expected('joint', '`banded` or `ridge`', kind);
  const shape = features.shape.length === 2 ? [1, ...features.shape] : [...features.shape];
  const [L, n, p] = shape as [number, number, number];
  if (shape.length !== 3) throw expected('features', 'a tensor [layers, rows, columns] or [rows, columns]', shape);
  if (controls.rows !== n)
    throw new CortuneError('ERR_DATA', `Expected ${n} rows of controls, as of the features, got ${controls.rows}.`);
  using alone = Tensor.from(controls.data, [1, n, controls.columns]);
  const columns = sideBySide(features.toArray(), controls, L, n, p);
  const byModel = await encode(features, responses, options);
  const byControls = await encode(alone, responses, { ...options, layers: undefined });
  const width = p + controls.columns;
  const joints: number[][] = [];
  const warnings = [...byModel.warnings, ...byControls.warnings];
  for (let l = 0; l < L; l++) {
    using both = Tensor.from(columns.subarray(l * n * width, (l + 1) * n * width), [n, width]);
    if (kind === 'banded') {
      const sizes = [p, controls.columns];
      const found = await encodeBanded(both, responses, { ...options, sizes, gammas, seed });
      joints.push(Array.from({ length: found.targets }, (_, t) => meanOverFolds(found, found.r2, 0, t)));
      continue;
    }
    const found = await encode(both, responses, { ...options, layers: undefined });
    joints.push(found.layers[0]!.targets.map(({ r2 }) => r2));
    warnings.push(...found.warnings);
  }
  return {
    layers: byModel.layers.map(({ layer, targets }, l) => ({
      layer,
      targets: targets.map(({ name, r2: model }, t) => {
        const joint = joints[l]![t]!;
        const control = byControls.layers[0]!.targets[t]!.r2;
        const part = (set: number) => variancePart(set, 3, (bands) => [model, control, joint][bands - 1]!);
        return {
          name,
          model,
          controls: control,
          joint,
          unique: part(1),
          uniqueControls: part(2),
          shared: part(3),
        };
      }),
    })),
    warnings: [...new Set(warnings)],
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
