/** What products with a model's weights are made in. */
import { expected } from './errors.js';
import type { Precision } from './native/types.js';

export const kPrecisions = ['fp32', 'bf16'] as const satisfies readonly Precision[];

/** The precision of that name, by default 'fp32'; else a RangeError. */
export function precisionOf(name: string | undefined): Precision {
  const found = kPrecisions.find((precision) => precision === (name ?? 'fp32'));
  if (!found) throw expected('precision', `one of ${kPrecisions.join(', ')}`, name);
  return found;
}
