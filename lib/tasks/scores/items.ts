/** Predictions with their references. */
import { CortuneError } from '../../errors.js';

/** Every prediction has at least one reference. Throws ERR_DATA naming the number of the item that has none. */
export function checkItems(predictions: readonly string[], references: readonly (readonly string[])[]): void {
  if (predictions.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one prediction, got none.');
  if (references.length !== predictions.length)
    throw new CortuneError(
      'ERR_DATA',
      `Expected references of each of the ${predictions.length} predictions, got those of ${references.length}.`,
    );
  const bare = references.findIndex((list) => list.length === 0);
  if (bare >= 0)
    throw new CortuneError('ERR_DATA', `Expected a reference of every prediction, got none at number ${bare + 1}.`);
}
