/** Numbers for people, in the report's words and in its page. */

/** Three decimals, a true minus sign, a dash for none. */
export function decimals(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '\u2013';
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '\u2212');
}
