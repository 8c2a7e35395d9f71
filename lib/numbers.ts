/** Sums and means, in float64, in the order of the values. */

export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

/** NaN for none. */
export function mean(values: ArrayLike<number>): number {
  return sum(values) / values.length;
}

function meanOf(values: ArrayLike<number>, counts: (value: number) => boolean): number {
  let [total, count] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!counts(values[i]!)) continue;
    total += values[i]!;
    count++;
  }
  return total / count;
}

/** Mean of those that are not NaN; NaN when there are none. */
export const meanOfKnown = (values: ArrayLike<number>): number => meanOf(values, (value) => !Number.isNaN(value));

/** Mean of those that are finite; NaN when there are none. */
export const meanOfFinite = (values: ArrayLike<number>): number => meanOf(values, Number.isFinite);
