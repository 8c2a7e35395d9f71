/** How a study scores: the options of its section `encode`, as `encode` takes them. */
import type { EncodeOptions } from '../encode/encode.js';
import { isTested } from './plan.js';
import type { Study } from './schema.js';

export function encodeOptions(study: Study): EncodeOptions {
  const { folds, inner_folds: innerFolds, trim, gap, alphas, standardize, alpha_per: alphaPer } = study.encode;
  const { selection, missing } = study.encode;
  const predictions = isTested(study);
  return { folds, innerFolds, trim, gap, alphas, standardize, alphaPer, selection, missing, predictions };
}
