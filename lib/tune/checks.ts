/** Checks of option values that tuning shares. */
import { expected } from '../errors.js';

/** A finite number above 0 (or from 0), or an integer; else a TypeError or RangeError. */
export function positive(name: string, value: number, { zero = false, integer = false } = {}): number {
  const fine = typeof value === 'number' && Number.isFinite(value) && (zero ? value >= 0 : value > 0);
  const kind = `${zero ? 'a non-negative' : 'a positive'} ${integer ? 'integer' : 'number'}`;
  if (!fine || (integer && !Number.isInteger(value)))
    throw expected(name, kind, value, typeof value === 'number' ? 'range' : 'type');
  return value;
}

/** A share of the past that a running mean keeps. */
export function share(name: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value < 1))
    throw expected(name, 'a number from 0 to below 1', value, typeof value === 'number' ? 'range' : 'type');
  return value;
}

/** The value of lane `k`: one for all lanes, or a list of one each. */
export function ofLane<T>(name: string, values: T | readonly T[], k: number, count: number): T {
  if (!Array.isArray(values)) return values as T;
  if (values.length !== count) throw expected(name, `one value or ${count}, one a lane`, values);
  return values[k] as T;
}
