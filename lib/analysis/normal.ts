/** Tail of the normal distribution. */

/**
 * P(Z > z) for a standard normal Z, to about 14 digits: a power series of the error function near 0, the continued fraction of its
 * complement further out (Abramowitz & Stegun 1964, 7.1.5 and 7.1.14).
 */
export function normalTail(z: number): number {
  if (Number.isNaN(z)) return z;
  if (z < 0) return 1 - normalTail(-z);
  const x = z / Math.SQRT2;
  return 0.5 * (x < 2.5 ? 1 - erfSeries(x) : erfcFraction(x));
}

/** `2 / sqrt(pi) e^-x^2 sum of 2^n x^(2n + 1) / (1 3 ... (2n + 1))`: all terms positive, so none cancel. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** `e^-x^2 / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...))))`, from the inside out. */
function erfcFraction(x: number): number {
  let inner = x;
  for (let k = 120; k >= 1; k--) inner = x + k / 2 / inner;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * inner);
}
