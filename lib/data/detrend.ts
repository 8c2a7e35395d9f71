/** Removing slow drift from time courses, and z-scoring them. */
import { Matrix as Dense, QrDecomposition } from 'ml-matrix';
import { expected } from '../errors.js';

/**
 * How drift is removed: not at all, a straight line, Legendre polynomials up to an order, or cosines slower than a period in
 * seconds (SPM's high-pass filter). All but 'none' remove the mean too.
 */
export type Detrend = { kind: 'none' } | { kind: 'legendre'; order: number } | { kind: 'highpass'; seconds: number };

const kForms = "'none', 'linear', 'legendre:ORDER' (order 1 to 20) or 'highpass:SECONDS' (as in highpass:128)";

/** Reads `none`, `linear`, `legendre:3`, `highpass:128`. @throws RangeError (ERR_ARGUMENT). */
export function parseDetrend(text: string): Detrend {
  if (text === 'none') return { kind: 'none' };
  if (text === 'linear') return { kind: 'legendre', order: 1 };
  const [, kind, value] = /^(legendre|highpass):(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  const number = Number(value);
  if (kind === 'legendre' && Number.isInteger(number) && number >= 1 && number <= 20)
    return { kind: 'legendre', order: number };
  if (kind === 'highpass' && number > 0) return { kind: 'highpass', seconds: number };
  throw expected('detrend', kForms, text);
}

/**
 * Orthonormal columns that span the drift of n volumes, constant included: [n][k]. Empty for 'none'.
 * High-pass: cosines `cos(pi k (2i + 1) / 2n)` for k below `floor(2 n tr / seconds) + 1`, as spm_filter has them
 * (Friston et al. 2000, NeuroImage 12, 196-208).
 * @param tr seconds between rows.
 * @throws RangeError when the drift would take all of the n rows.
 */
export function driftBasis(detrend: Detrend, n: number, tr: number): Float64Array[] {
  if (detrend.kind === 'none') return [];
  const count = detrend.kind === 'legendre' ? detrend.order + 1 : Math.floor((2 * n * tr) / detrend.seconds) + 1;
  if (count >= n) throw expected('detrend', `drift of fewer than ${n} terms, as there are ${n} rows of ${tr} s`, count);
  const raw = detrend.kind === 'legendre' ? legendre(count, n) : cosines(count, n);
  const q = new QrDecomposition(raw).orthogonalMatrix; // [n, k]
  return Array.from({ length: count }, (_, k) => Float64Array.from(q.getColumn(k)));
}

/** Legendre polynomials 0 to count - 1 at n even points of [-1, 1], by Bonnet's recursion. */
function legendre(count: number, n: number): Dense {
  const basis = Dense.ones(n, count);
  for (let i = 0; i < n; i++) {
    const x = (2 * i) / (n - 1) - 1;
    for (let k = 1; k < count; k++) {
      const before = k > 1 ? basis.get(i, k - 2) : 0;
      basis.set(i, k, ((2 * k - 1) * x * basis.get(i, k - 1) - (k - 1) * before) / k);
    }
  }
  return basis;
}

function cosines(count: number, n: number): Dense {
  const basis = Dense.ones(n, count);
  for (let i = 0; i < n; i++)
    for (let k = 1; k < count; k++) basis.set(i, k, Math.cos((Math.PI * k * (2 * i + 1)) / (2 * n)));
  return basis;
}

/** The course without what the orthonormal `basis` spans: `y - Q Q' y`, in float64. */
export function removeDrift(course: Float64Array, basis: readonly Float64Array[]): Float64Array {
  const rest = course.slice();
  for (const column of basis) {
    let dot = 0;
    for (let i = 0; i < rest.length; i++) dot += column[i]! * rest[i]!;
    for (let i = 0; i < rest.length; i++) rest[i]! -= dot * column[i]!;
  }
  return rest;
}

/** Mean 0 and population standard deviation 1; all NaN when the values are constant or not finite. */
export function zscore(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2;
  const deviation = Math.sqrt(squares / n);
  // Rounding leaves a constant series a deviation of about 1e-16 of its size.
  const scale = deviation > 1e-12 * Math.abs(mean) && Number.isFinite(deviation) ? 1 / deviation : Number.NaN;
  const scores = new Float64Array(n);
  for (let i = 0; i < n; i++) scores[i] = (values[i]! - mean) * scale;
  return scores;
}
