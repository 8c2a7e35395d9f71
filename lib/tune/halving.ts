/** Successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943): after each rung only the best lanes go on. */
import { expected } from '../errors.js';

export interface Halving {
  /** One lane in `factor` goes on after a rung. Default 3. */
  factor?: number;
  /**
   * Numbers of updates after which lanes are compared, ascending and below `steps`; or how many rungs. By default as many as leave one lane, each
   * `factor` times as long as the one before.
   */
  rungs?: number | readonly number[];
}

/** Updates after which only the best lanes go on, and how many of them. */
export interface Rungs {
  rungs: Int32Array;
  keep: Int32Array;
}

export const kNoRungs: Rungs = { rungs: new Int32Array(0), keep: new Int32Array(0) };

/** The rungs of a run of `steps` updates with `lanes` lanes. @throws RangeError for rungs that make no sense. */
export function planRungs(halving: Halving | undefined, steps: number, lanes: number): Rungs {
  if (halving === undefined) return kNoRungs;
  const { factor = 3 } = halving;
  if (!Number.isInteger(factor) || factor < 2) throw expected('halving.factor', 'an integer from 2', factor);
  const rungs =
    typeof halving.rungs === 'object' ? checkRungs(halving.rungs, steps) : spread(halving.rungs, factor, steps, lanes);
  return {
    rungs: Int32Array.from(rungs),
    keep: Int32Array.from(rungs, (_, i) => Math.max(1, Math.floor(lanes / factor ** (i + 1)))),
  };
}

function checkRungs(rungs: readonly number[], steps: number): number[] {
  const fine = rungs.every((rung, i) => Number.isInteger(rung) && rung > (rungs[i - 1] ?? 0) && rung < steps);
  if (!fine || rungs.length === 0) throw expected('halving.rungs', `ascending integers from 1 to ${steps - 1}`, rungs);
  return [...rungs];
}

function spread(count: number | undefined, factor: number, steps: number, lanes: number): number[] {
  // As often as lanes can be divided by the factor; the logarithm of an exact power may fall short by rounding.
  const most = Math.floor(Math.log(Math.max(1, lanes)) / Math.log(factor) + 1e-9);
  const rungs = count ?? most;
  if (!Number.isInteger(rungs) || rungs < 0)
    throw expected('halving.rungs', 'a number of rungs, or a list of updates', rungs);
  const at = Array.from({ length: rungs }, (_, i) => Math.round(steps / factor ** (rungs - i)));
  return [...new Set(at)].filter((rung) => rung >= 1 && rung < steps);
}
