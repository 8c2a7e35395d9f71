/** The study of the sweep suite: four ways of tuning x learning rates x seeds, on the words of Alice against the recordings. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sentences } from '../harness/texts.mjs';

/**
 * What a lab compares that looks for the cheapest way of tuning that moves alignment: LoRA where its paper put it, LoRA everywhere, IA3 and
 * prompt tuning, by PEFT's defaults. Full fine-tuning, whose runs share nothing, is a case of the suite `tune`.
 */
const kMethods = {
  'lora q v': { method: 'lora', rank: 8, alpha: 8, targets: ['q_proj', 'v_proj'], lr: [1e-4, 3e-4, 1e-3, 3e-3] },
  'lora all': { method: 'lora', rank: 8, alpha: 8, targets: 'all-linear', lr: [1e-4, 3e-4, 1e-3, 3e-3] },
  ia3: { method: 'ia3', lr: [1e-3, 3e-3, 1e-2, 3e-2] },
  prompt: { method: 'prompt', virtual_tokens: 20, lr: [3e-3, 1e-2, 3e-2, 1e-1] },
};

/** All of it, and what shows that the machinery works. */
const kSizes = {
  whole: { rates: 4, seeds: 4, steps: 8, warmup: 1 },
  quick: { rates: 1, seeds: 1, steps: 2, warmup: 0 },
};
/** As many short sentences as the story has. */
const kSentences = 180;

/** The study as an object; `model`: a folder, `text`: a file of sentences, `size`: of kSizes. The least rates come first. */
export function sweepStudy(model, text, size) {
  const { rates, seeds, steps, warmup } = kSizes[size];
  return {
    name: 'sweep',
    data: { dataset: 'alice', subjects: 'mean', detrend: 'none' },
    models: [model],
    methods: Object.entries(kMethods).map(([name, { lr, ...method }]) => ({ name, ...method, lr: lr.slice(0, rates) })),
    seeds: Array.from({ length: seeds }, (_, seed) => seed),
    tasks: [{ name: 'sentences', text }],
    tune: { steps, batch: 8, packing: 'texts', schedule: 'linear', warmup },
    embed: { context: 'cumulative', layers: 'all' },
    align: { method: 'mean', delays: [1, 2, 3, 4] },
    encode: { folds: 'contiguous:5', inner_folds: 5, trim: 5, alphas: 'logspace:-1:8:10' },
  };
}

/**
 * Writes the studies for `cortune run`: the sweep, and one for the comparison of numbers (the model as it is, and a run after two updates). Resolves to
 * their paths.
 */
export async function writeStudies(folder, model, size) {
  const text = join(folder, 'sentences.txt');
  await writeFile(text, `${(await sentences(kSentences)).join('\n')}\n`);
  const sweep = sweepStudy(model, text, size);
  const [first] = sweep.methods;
  const check = { ...sweep, name: 'check', methods: ['untuned', { ...first, lr: [first.lr.at(-1)] }], seeds: [0] };
  check.tune = { ...sweep.tune, steps: kSizes.quick.steps, warmup: 0 };
  const write = async (study) => {
    const path = join(folder, `${study.name}.json`);
    await writeFile(path, JSON.stringify(study, null, 1));
    return path;
  };
  return { sweep: await write(sweep), check: await write(check) };
}
