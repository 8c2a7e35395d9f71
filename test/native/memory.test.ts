/** The estimate of memory against the measured peak, in processes of their own; and lane batches that keep to a limit. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../lib/model/load.js';
import { divideLanes, parseMemory, showBytes } from '../../lib/tune/memory.js';
import { sweep } from '../../lib/tune/sweep.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

const kTemporary = temporaryFolder();
const kScript = fileURLToPath(new URL('tune-peak.mjs', import.meta.url));
// The bound that the project sets.
const kBound = 0.2;
const kMedium = join(kTemporary, 'medium');
const kText = 'the rabbit ran over a small hill and hid under the old bridge while rain fell on the river '.repeat(40);

beforeAll(() => {
  mkdirSync(kMedium);
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(tinyModel('llama'), name), join(kMedium, name));
  const config = {
    model_type: 'llama',
    vocab_size: 4096,
    hidden_size: 256,
    intermediate_size: 688,
    num_hidden_layers: 8,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 256,
    tie_word_embeddings: true,
  };
  writeFileSync(join(kMedium, 'config.json'), JSON.stringify(config));
});

interface Peak {
  estimate: number;
  peak: number;
  used: number;
}

// The peak is read from /proc, which only Linux has.
describe.skipIf(process.platform !== 'linux')('the estimate is within 20 % of the peak', () => {
  const shared = { steps: 1, packing: 'blocks', block: 128 };
  const lanes = { ...shared, batch: 4, lr: [1e-4, 2e-4, 3e-4, 4e-4], targets: 'all-linear' };
  it.each([
    ['one LoRA lane', { ...shared, batch: 12, lr: [1e-3] }],
    ['four LoRA lanes on all linears', lanes],
    ['the same, blocks computed again', { ...lanes, batch: 8, checkpointing: true }],
    ['every weight', { ...shared, batch: 8, method: 'full', lr: [1e-4] }],
  ])('%s', { timeout: 60_000 }, (_, options) => {
    const said = execFileSync(process.execPath, [
      kScript,
      `untrained:${kMedium}`,
      JSON.stringify({ texts: [kText], options }),
    ]).toString();
    const { estimate, peak, used } = JSON.parse(said) as Peak;
    // Tuning, not the program, must be what is estimated.
    expect(peak).toBeGreaterThan(1.3 * used);
    expect(Math.abs(estimate - peak) / peak, `${showBytes(estimate)} against ${showBytes(peak)}`).toBeLessThan(kBound);
  });
});

describe('lane batches', () => {
  const footprint = { tokens: 64, state: 100, trained: 100, live: Float64Array.of(1000, 1900, 2000, 3800) };
  const lanes = (count: number, stackable = true) =>
    Array.from({ length: count }, () => ({ name: 'lora', stackable, footprint }));
  const pass = { tokens: 64, scored: 0 };

  it('hold as many neighbours as fit, and unstackable runs alone', async () => {
    using model = await loadModel(tinyModel('llama'));
    // A lane takes 300 + 900, all share 100.
    const divide = (count: number, limit: number, stackable = true) =>
      divideLanes(model, lanes(count, stackable), pass, { limit, used: 500 });
    expect(divide(5, 500 + 100 + 2 * 1200)).toEqual([[0, 1], [2, 3], [4]]);
    expect(divide(3, 1e6)).toEqual([[0, 1, 2]]);
    expect(divide(3, 1e6, false)).toEqual([[0], [1], [2]]);
    expect(() => divide(1, 1700)).toThrow('one run of lora');
  });

  it('a run that cannot fit is refused before anything of it is tried', async () => {
    using model = await loadModel(tinyModel('llama'));
    const runs = [{ method: 'full' }];
    const parts = sweep(model, ['a rabbit ran'], { runs, memory: process.memoryUsage().rss, steps: 1, batch: 1 });
    await expect(parts.next()).rejects.toMatchObject({
      code: 'ERR_MEMORY',
      message: expect.stringContaining('of full'),
    });
  });

  it('sizes as people write them', () => {
    expect(['8GB', '8 GiB', '1.5g', '500MB', '1024', '1k'].map(parseMemory)).toEqual([
      8 * 2 ** 30,
      8 * 2 ** 30,
      1.5 * 2 ** 30,
      500 * 2 ** 20,
      1024,
      1024,
    ]);
    for (const wrong of ['', 'GB', '-1GB', '8 apples', '0', 'NaN']) expect(() => parseMemory(wrong)).toThrow('memory');
  });
});
