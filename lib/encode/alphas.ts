/** Grids of ridge penalties. */
import { type ErrorCode, expected, show } from '../errors.js';

/** 10 values, 0.1 to 1e8 in steps of ten: wide enough for z-scored features from 1 to 100,000 columns. */
export const kDefaultAlphas = 'logspace:-1:8:10';

const kForm = 'positive numbers such as `0.1,1,10`, or `logspace:FROM:TO:COUNT` in powers of ten';
const kMostAlphas = 1000;
/** Beyond it predictions are smaller than what float32 holds. */
const kLargestAlpha = 1e30;

/**
 * A grid of penalties, ascending, without duplicates.
 *
 * @param grid `logspace:FROM:TO:COUNT` (as numpy.logspace: COUNT values from 10^FROM to 10^TO), numbers with commas between, or
 * an array of numbers.
 * @throws RangeError (ERR_ARGUMENT) when it has another form, is empty or longer than 1,000, or holds numbers above 1e30, zero, negative or
 * non-finite ones: without a penalty ridge has no single answer when there are more features than rows.
 */
export function parseAlphas(grid: string | ArrayLike<number>): Float64Array {
  const values = typeof grid === 'string' ? fromText(grid) : Array.from(grid, (value) => Number(value));
  if (values.length < 1 || values.length > kMostAlphas)
    throw expected('alphas', `1 to ${kMostAlphas} ${kForm}`, typeof grid === 'string' ? grid : values);
  for (const value of values) {
    if (value > kLargestAlpha && Number.isFinite(value)) throw expected('alphas', `at most ${kLargestAlpha}`, value);
    if (value > 0 && Number.isFinite(value)) continue;
    throw Object.assign(
      new RangeError(
        `Expected \`alphas\` to be positive: ridge needs a penalty above 0, got ${show(value)}. For next to none use a small one, such as 1e-3.`,
      ),
      { code: 'ERR_ARGUMENT' as ErrorCode },
    );
  }
  return Float64Array.from(new Set(values)).sort();
}

function fromText(text: string): number[] {
  const parts = text.trim().split(':');
  if (parts[0]!.trim().toLowerCase() === 'logspace') return logspace(text, parts.slice(1));
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (values.some(Number.isNaN)) throw expected('alphas', kForm, text);
  return values;
}

function logspace(text: string, parts: string[]): number[] {
  const [from, to, count] = parts.map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  const valid =
    parts.length === 3 &&
    Math.abs(from!) <= 300 &&
    Math.abs(to!) <= 300 &&
    Number.isInteger(count) &&
    count! >= 1 &&
    count! <= kMostAlphas;
  if (!valid)
    throw expected('alphas', `\`logspace:FROM:TO:COUNT\` with powers of ten and 1 to ${kMostAlphas} values`, text);
  const step = count === 1 ? 0 : (to! - from!) / (count! - 1);
  // The last value is TO itself, not FROM plus rounded steps.
  return Array.from({ length: count! }, (_, i) => 10 ** (i > 0 && i === count! - 1 ? to! : from! + i * step));
}
