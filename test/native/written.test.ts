/** Task quality of written texts: what lanes write, scored against several right answers; and what wrong items are told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { generate } from '../../lib/generate/generate.js';
import { loadModel } from '../../lib/model/load.js';
import { evaluate } from '../../lib/tasks/evaluate.js';
import { bleu } from '../../lib/tasks/scores/bleu.js';
import { rouge } from '../../lib/tasks/scores/rouge.js';
import type { Completion } from '../../lib/tune/examples.js';
import { readExamples } from '../../lib/tune/read-examples.js';
import { tune } from '../../lib/tune/tune.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

const model = await loadModel(tinyModel('llama'));
const { lanes } = await tune(model, ['one two three four', 'five six seven'], { lr: [1e-2, 3e-2], rank: 2, steps: 3 });
afterAll(() => {
  lanes.dispose();
  model.dispose();
});
const folder = temporaryFolder();

describe('metrics of written texts', () => {
  const decoding = { maxNewTokens: 6, beams: 2 };
  const prompts = ['the rabbit ran over', 'she asked whether'];

  it('score what each lane writes, against the answers that count as right', async () => {
    const texts = (await generate(model, prompts, { ...decoding, lanes })).map(({ text }) => text.trim());
    const items = prompts.map((prompt, i) => ({
      prompt,
      completion: 'nothing like it',
      references: i === 0 ? ['no', texts[0]!] : ['some other words'],
    }));
    const metrics = ['exact_match', 'rougeL', 'bleu'];
    const found = await evaluate(model, lanes, items, metrics, { generate: decoding });
    expect(found).toHaveLength(2);
    const references = items.map((item) => item.references);
    expect(found[0]).toEqual([
      { metric: 'exact_match', value: 0.5, items: 2 },
      { metric: 'rougeL', value: (1 + rouge(texts[1]!, references[1]!, 'rougeL').f) / 2, items: 2 },
      { metric: 'bleu', value: bleu(texts, references).score, items: 2 },
    ]);
  });

  it('are not asked of texts, and not measured unless asked for', async () => {
    await expect(evaluate(model, undefined, ['plain text'], ['bleu'])).rejects.toThrow(
      'Expected `metrics` to be some of',
    );
    const [scores] = await evaluate(model, undefined, [{ prompt: 'a', completion: ' b' }]);
    expect(scores!.map(({ metric }) => metric)).toEqual(['loss', 'token_accuracy']);
  });

  it('name the item whose prompt is beyond the context', async () => {
    const items = ['a', 'word '.repeat(70)].map((prompt) => ({ prompt, completion: ' b' }));
    await expect(evaluate(model, undefined, items, ['f1'], { generate: decoding })).rejects.toThrow(
      /Expected prompts of at most 58 tokens .* at number 2\. Shorten it, or ask for fewer new tokens\./,
    );
  });
});

describe('files of items', () => {
  const read = (rows: object[]) => {
    const file = join(folder, 'items.jsonl');
    writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return readExamples(file, { prompt: 'prompt', completion: 'completion', references: 'answers' });
  };

  it('hold several answers, or one', async () => {
    const items = await read([
      { prompt: 'a', completion: 'b', answers: ['b', 'c'] },
      { prompt: 'd', completion: 'e', answers: 'e' },
    ]);
    expect(items.map((item) => (item as Completion).references)).toEqual([['b', 'c'], ['e']]);
  });

  it('name the item without answers', async () => {
    const rows = [
      { prompt: 'a', completion: 'b', answers: ['b'] },
      { prompt: 'd', completion: 'e', answers: [] },
    ];
    await expect(read(rows)).rejects.toThrow(
      'Expected a text, or a list of texts, in `answers` of line 2, got `[]` (array)',
    );
  });
});
