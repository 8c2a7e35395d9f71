/** The models of the benchmarks, as Hugging Face folders that both sides read: the same float32 values on both. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadModel, saveModel, tune } from '../../dist/index.js';
import { cacheDir, installFolder, withLock } from '../../dist/native/cache.js';

const kGpt2Small = {
  model_type: 'gpt2',
  architectures: ['GPT2LMHeadModel'],
  vocab_size: 50257,
  n_positions: 1024,
  n_embd: 768,
  n_layer: 12,
  n_head: 12,
  activation_function: 'gelu_new',
  layer_norm_epsilon: 1e-5,
  initializer_range: 0.02,
};
/** transformers would drop out in training, where cortune does not. */
const kNoDropout = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };

/** So small that no weight changes in float32, but for zeros, which stay zero for all that is measured. */
const kNoRate = 1e-30;

async function exportTo(folder, model, changes) {
  const { lanes } = await tune(model, ['one step'], { method: 'full', lr: [kNoRate], steps: 1 });
  await saveModel(model, lanes, 0, folder);
  lanes.dispose();
  const file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...changes }));
}

/** SmolLM2-135M with its trained weights. */
const smollm2 = (folder, source) => exportTo(folder, source, {});

/** Random weights in the shape of GPT-2 small, read through SmolLM2's tokenizer, whose ids all fit. */
async function gpt2(folder, source) {
  const parts = source.tokenizerParts();
  await writeFile(join(folder, 'config.json'), JSON.stringify(kGpt2Small));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(parts.json));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(parts.config));
  const model = await loadModel(`untrained:${folder}`);
  await exportTo(folder, model, kNoDropout);
  model.dispose();
}

const kModels = { 'SmolLM2-135M': smollm2, 'GPT-2-small shape': gpt2 };

/** The folder of a model in the user cache, made on first use; of SmolLM2 as it is resolved on this machine. */
export async function modelFolder(name) {
  const source = await loadModel('smollm2-135m');
  try {
    const folder = join(cacheDir(), 'bench', `${name.replaceAll(' ', '-')}-${source.hash.slice(0, 12)}`);
    const make = async () => {
      if (!existsSync(folder)) await installFolder(folder, (staging) => kModels[name](staging, source));
    };
    await withLock(`${folder}.lock`, make);
    return folder;
  } finally {
    source.dispose();
  }
}
