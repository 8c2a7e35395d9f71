// Six runs on one copy of the model: three ways of tuning at two learning rates, followed step by step; one saved as a PEFT adapter.
//   node examples/node/2-tune.mjs [MODEL] [FOLDER]
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { follow, loadAdapter, loadModel, saveAdapter, tune } from 'cortune';

const tiny = `untrained:${fileURLToPath(new URL('../tiny', import.meta.url))}`;
const [name = tiny, folder = await mkdtemp(join(tmpdir(), 'cortune-'))] = process.argv.slice(2);
const texts = ['the rabbit ran over the hill', 'rain fell on the river', 'nobody answered', 'a door opened'];

const model = await loadModel(name);
const runs = ['lora', 'ia3', 'layernorm'].flatMap((method) => [1e-3, 1e-2].map((lr) => ({ method, lr })));
const tuning = follow((options) => tune(model, texts, { ...options, runs, steps: 20, batch: 4 }));
for await (const { done, total } of tuning) process.stderr.write(`\r${done} of ${total} steps `);
process.stderr.write('\n');

const { lanes, losses, failed } = await tuning.result;
for (const [k, { method, lr }] of runs.entries())
  console.log(
    method,
    lr,
    `loss ${losses[k][0].toFixed(3)} -> ${losses[k].at(-1).toFixed(3)}`,
    failed[k] === null ? '' : 'diverged',
  );

await saveAdapter(model, lanes, 0, folder); // peft.PeftModel.from_pretrained(base, folder) loads it
const again = await loadAdapter(model, folder);
console.log('saved and loaded:', again.count, 'lane in', folder);
for (const each of [again, lanes, model]) each.dispose(); // or `using`, in TypeScript and Node 24
