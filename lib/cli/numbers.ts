/** Numbers as the tables of commands print them. */

/** Three decimals even of a whole number; a dash for none. */
export function decimals(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(3).padStart(6);
}

/** `0.123 to 0.456`; a dash for none. */
export function intervalText(lower: number, upper: number): string {
  return Number.isNaN(lower) ? '-' : `${decimals(lower)} to ${decimals(upper)}`;
}

/** Four decimals, or a power of ten for less; a dash for none. */
export function pText(p: number): string {
  if (Number.isNaN(p)) return '-';
  return p < 0.0001 ? p.toExponential(0) : p.toFixed(4);
}
