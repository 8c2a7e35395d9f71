/** Unique variance on responses whose parts are known. */
import { describe, expect, it } from 'vitest';
import { uniqueVariance } from '../../lib/analysis/unique.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

describe('uniqueVariance', () => {
  it.each([
    ['ridge', 600, 0.07],
    ['banded', 200, 0.15],
  ] as const)(
    'recovers what each part explains: only the model, only the controls, both; %s',
    async (joint, n, tolerance) => {
      const random = new Random(7);
      const [p, q] = [6, 3];
      const model = Float32Array.from({ length: n * p }, () => random.normal());
      const controls = Float32Array.from({ length: n * q }, () => random.normal());
      const data = new Float32Array(n * 3);
      for (let row = 0; row < n; row++) {
        // The last column of the model is the first of the controls: what both know.
        model[row * p + p - 1] = controls[row * q]!;
        const [own, shared, theirs] = [model[row * p]!, controls[row * q]!, controls[row * q + 1]!];
        data.set([own + random.normal(), theirs + random.normal(), own + shared + theirs + random.normal()], row * 3);
      }
      using features = Tensor.from(model, [1, n, p]);
      const { layers } = await uniqueVariance(
        features,
        { data: controls, rows: n, columns: q },
        { data, rows: n, columns: 3 },
        { names: ['model', 'controls', 'all'], layers: [4], joint, gammas: 5, innerFolds: 3 },
      );
      expect(layers[0]!.layer).toBe(4);
      // Shares of the variance 2, 2 and 4. R2 of 600 held-out rows has a standard error near 0.02, of 200 near 0.04: more than three.
      const wanted = { model: [0.5, 0, 0], controls: [0, 0.5, 0], all: [0.25, 0.25, 0.25] };
      for (const { name, unique, uniqueControls, shared } of layers[0]!.targets)
        for (const [i, value] of [unique, uniqueControls, shared].entries())
          expect(Math.abs(value - wanted[name as keyof typeof wanted][i]!), `${name} ${i}`).toBeLessThan(tolerance);
    },
  );

  it('says what is wrong', async () => {
    using features = Tensor.from(new Float32Array(12), [6, 2]);
    const controls = { data: new Float32Array(4), rows: 4, columns: 1 };
    await expect(uniqueVariance(features, controls, controls)).rejects.toThrow(/Expected 6 rows of controls/);
  });
});
