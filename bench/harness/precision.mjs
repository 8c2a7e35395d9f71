/** Why bf16 cannot run on this build, or undefined. */
export const noBf16 = await import('../../dist/precision.js').then(
  () => undefined,
  () => 'Precision bf16 is not there yet.',
);
