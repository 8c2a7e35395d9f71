/** The order in which steps see training sequences. */
import { Random } from '../random.js';

/**
 * Sequence numbers [steps, batch]: epochs one after the other, each in a new order drawn from `seed`. A batch may reach over the end of an
 * epoch; no batch holds a sequence twice unless there are fewer sequences than `batch`, then rows end in -1.
 */
export function drawOrder(sequences: number, steps: number, batch: number, seed: number): Int32Array {
  const random = new Random(seed);
  const order = new Int32Array(steps * batch).fill(-1);
  const size = Math.min(batch, sequences);
  let epoch: number[] = [];
  for (let step = 0; step < steps; step++) {
    const row: number[] = [];
    while (row.length < size) {
      if (epoch.length === 0) epoch = random.permutation(sequences);
      // What the row already holds waits for the next one.
      const next = epoch.findIndex((number) => !row.includes(number));
      if (next < 0) {
        epoch = [...epoch, ...random.permutation(sequences)];
        continue;
      }
      row.push(...epoch.splice(next, 1));
    }
    order.set(row, step * batch);
  }
  return order;
}
