/** Every tuning method writes from the cache what whole passes over the same words give, all of them in one batch. */
import { describe, expect, it } from 'vitest';
import { rms } from '../../helpers/arrays.js';
import { writeTokens } from '../../helpers/generate.js';
import { forward } from '../../helpers/run-model.js';
import { methodRuns, specOf } from '../../helpers/tune-methods.js';

const kPrompts = [
  [7, 9, 250, 31, 4],
  [33, 34],
];
const kNew = 4;

// Two orders of float32 sums of at most 48 products, through three blocks: 1.2e-5 of the RMS in the tests of the forward pass; the cache adds
// one order of its own.
const kClose = 5e-5;

describe.each(['llama', 'gpt2'] as const)('%s', (name) => {
  it('writes with lanes of all methods at once', { timeout: 60_000 }, async () => {
    const runs = methodRuns(name);
    using model = await runs.load();
    const specs = Object.keys(runs.golden.cases).map((key) => specOf(model, runs.golden, key, [3e-3]));
    const { lanes } = await runs.run(model, specs);
    const texts = await writeTokens(model, lanes, kPrompts, { maxNewTokens: kNew });
    expect(texts).toHaveLength(lanes.lanes);
    for (const [lane, written] of texts.entries())
      for (const [b, tokens] of written.entries()) {
        expect(tokens).toHaveLength(kNew);
        const { logits } = await forward(model, [[...kPrompts[b]!, ...tokens]], lanes, lane);
        const [rows, width] = logits!.shape as [number, number];
        for (const [t, token] of tokens.entries()) {
          const row = logits!.data.subarray((rows - kNew + t - 1) * width, (rows - kNew + t) * width);
          expect(row[token], `lane ${lane}, prompt ${b}, token ${t}`).toBeGreaterThan(
            Math.max(...row) - kClose * rms(row),
          );
        }
      }
    lanes.dispose();
  });
});
