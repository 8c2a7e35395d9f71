/** Learning-rate schedules, as transformers' get_{constant,linear,cosine}_schedule_with_warmup. */
import { expected } from '../errors.js';

/** One for all lanes, or one each. */
export type PerLane<T> = T | readonly T[];

export const kSchedules = ['constant', 'linear', 'cosine'] as const;
export type Schedule = (typeof kSchedules)[number];

/**
 * Factor on the learning rate at each of `steps` steps: from 0 to 1 over `warmup` steps, then constant, linear to 0, or half a cosine to 0.
 * The first step of a warm-up has factor 0, as in transformers.
 */
export function scheduleFactors(kind: Schedule, steps: number, warmup: number): Float64Array {
  if (!kSchedules.includes(kind)) throw expected('schedule', `one of ${kSchedules.join(', ')}`, kind);
  if (!Number.isInteger(warmup) || warmup < 0 || warmup >= Math.max(steps, 1))
    throw expected('warmup', `an integer from 0 to ${steps - 1}, less than the steps`, warmup);
  return Float64Array.from({ length: steps }, (_, step) => {
    if (step < warmup) return step / warmup;
    const share = (step - warmup) / Math.max(1, steps - warmup);
    if (kind === 'constant') return 1;
    return kind === 'linear' ? 1 - share : 0.5 * (1 + Math.cos(Math.PI * share));
  });
}
