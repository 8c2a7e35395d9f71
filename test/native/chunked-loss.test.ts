/** The vocabulary projection in many chunks: a vocabulary of copies has the small model's losses and gradients, plus ln(copies). */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../lib/model/load.js';
import { expectEachClose } from '../helpers/arrays.js';
import { forward, loss } from '../helpers/run-model.js';
import { readPlain, writePlain } from '../helpers/safetensors.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel, tuneGoldenOf } from '../helpers/tiny-models.js';
import { allParameters, loraLanes, lossesOf, runTune, tuneArgs } from '../helpers/tuning.js';

// 192,000 tokens: a chunk of the projection then holds about 20 rows, a batch of the goldens about twice as many.
const kCopies = 600;
const kTemporary = temporaryFolder();
// ln(600) is added and taken away again: float32 keeps about 1e-6 of the sum, and AdamW lets rounding grow.
const kTolerance = 1e-4;

/** The model with every token there `kCopies` times: p of a token is shared by its copies, and W^T p stays what it was. */
function withCopies(name: string, tables: readonly string[]): string {
  const folder = join(kTemporary, name);
  cpSync(tinyModel(name), folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const tensors = readPlain(path);
  for (const table of tables) {
    const { shape, data } = tensors.get(table)!;
    const tiled = new Float32Array(data.length * kCopies);
    for (let i = 0; i < kCopies; i++) tiled.set(data, i * data.length);
    tensors.set(table, { shape: [shape[0]! * kCopies, shape[1]!], data: tiled });
  }
  writePlain(path, tensors);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { vocab_size: number };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, vocab_size: config.vocab_size * kCopies }));
  return folder;
}

describe.each([
  ['llama', ['model.embed_tokens.weight']],
  ['neox-parallel', ['gpt_neox.embed_in.weight', 'embed_out.weight']],
])('%s', (name, tables) => {
  const folder = withCopies(name, tables);
  const golden = tuneGoldenOf(name);
  const shifted = (values: ArrayLike<number>) => Array.from(values, (value) => value - Math.log(kCopies));

  it('has the same loss', async () => {
    using small = await loadModel(tinyModel(name));
    using large = await loadModel(folder);
    const reference = await loss(small, golden.sequences);
    expectEachClose(shifted(await loss(large, golden.sequences)), reference, kTolerance, 'loss');
    expect((await forward(large, [[3, 4]])).logits!.shape).toEqual([2, 320 * kCopies]);
  });

  it('has the same losses while two LoRA lanes learn', { timeout: 180_000 }, async () => {
    const losses: number[][][] = [];
    for (const path of [tinyModel(name), folder]) {
      using model = await loadModel(path);
      const lanes = loraLanes(golden, [
        { lr: 2e-2, seed: 1 },
        { lr: 5e-3, seed: 2 },
      ]);
      const args = tuneArgs(model, golden, { method: 'lora', targets: golden.lora.modules, lanes });
      const result = await runTune(args);
      losses.push([lossesOf(result, 0), lossesOf(result, 1)]);
      result.lanes.dispose();
    }
    for (const k of [0, 1]) expectEachClose(shifted(losses[1]![k]!), losses[0]![k]!, kTolerance, `lane ${k}`);
  });

  it('sums the gradient of the projection over chunks: a batch given twice teaches the same', {
    timeout: 180_000,
  }, async () => {
    using model = await loadModel(folder);
    const part = {
      method: 'whole',
      targets: allParameters(model),
      lanes: [{ lr: 1e-2, weightDecay: 0, seed: 0, rank: 0, alpha: 0 }],
      steps: 3,
      schedule: new Float64Array(3).fill(1),
    };
    const order = golden.order.slice(0, 3);
    const losses: number[][] = [];
    for (const rows of [order, order.map((row) => [...row, ...row])]) {
      const batch = rows[0]!.length;
      const result = await runTune(tuneArgs(model, golden, { ...part, order: Int32Array.from(rows.flat()), batch }));
      losses.push(lossesOf(result));
      result.lanes.dispose();
    }
    expectEachClose(losses[1]!, losses[0]!, kTolerance, 'loss');
    expect(losses[0]![2]).toBeLessThan(losses[0]![0]!);
  });
});
