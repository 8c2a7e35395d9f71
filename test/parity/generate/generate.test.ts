/** Texts that are written here are those that transformers' `generate` writes, bare and with peft's adapters. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import type { GenerateArgs } from '../../../lib/native/types.js';
import { loadAdapter } from '../../../lib/tune/adapter.js';
import type { Lanes } from '../../../lib/tune/lanes.js';
import { type WriteOptions, writeTokens } from '../../helpers/generate.js';
import { kCausalModels, tinyModel } from '../../helpers/tiny-models.js';

interface Beams {
  options: { num_beams: number; length_penalty?: number; early_stopping?: boolean | 'never' };
  /** Prompts after which float32 and float64 write the same. */
  agree: number[];
  texts: number[][];
}
interface Case {
  prompts: number[][];
  ends: number[];
  greedy: number[][];
  ended: number[][];
  beams: Beams[];
}
const kDir = fileURLToPath(new URL('../../fixtures/generate', import.meta.url));
const kGolden = JSON.parse(readFileSync(join(kDir, 'golden.json'), 'utf8')) as {
  newTokens: number;
  models: Record<string, Case>;
  adapters: Record<string, Case>;
};

function beamOptions({ options }: Beams): WriteOptions {
  return {
    beams: options.num_beams,
    lengthPenalty: options.length_penalty ?? 1,
    earlyStopping: String(options.early_stopping ?? false) as GenerateArgs['earlyStopping'],
  };
}

const write = (model: Model, lanes: Lanes | undefined, prompts: number[][], options: WriteOptions = {}) =>
  writeTokens(model, lanes?.handle, prompts, { maxNewTokens: kGolden.newTokens, ...options });

async function expectTexts(model: Model, lanes: Lanes | undefined, golden: Case): Promise<void> {
  const { prompts } = golden;
  expect((await write(model, lanes, prompts))[0], 'greedy').toEqual(golden.greedy);
  const ends = Int32Array.from(golden.ends);
  // Batches of one and of two: whatever a text is written beside.
  for (const batch of [1, 2, 16])
    expect((await write(model, lanes, prompts, { ends, batch }))[0], `greedy, batches of ${batch}`).toEqual(
      golden.ended,
    );
  for (const beams of golden.beams) {
    expect(beams.agree.length).toBeGreaterThan(3);
    const texts = (await write(model, lanes, prompts, { ends, ...beamOptions(beams) }))[0]!;
    const pick = (list: number[][]) => beams.agree.map((i) => list[i]);
    expect(pick(texts), JSON.stringify(beams.options)).toEqual(pick(beams.texts));
  }
}

describe.each(kCausalModels)('%s', (name) => {
  it('writes the tokens of transformers, greedily and by beams', async () => {
    using model = await loadModel(tinyModel(name));
    await expectTexts(model, undefined, kGolden.models[name]!);
  });
});

describe.each(['llama', 'gpt2'])('%s with an adapter', (name) => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
  });
  afterAll(() => model.dispose());

  it.each(['lora', 'ia3', 'prompt', 'prefix'])('of %s writes the tokens of peft', async (method) => {
    using lanes = await loadAdapter(model, join(kDir, `${name}-${method}`));
    await expectTexts(model, lanes, kGolden.adapters[`${name}-${method}`]!);
  });
});
