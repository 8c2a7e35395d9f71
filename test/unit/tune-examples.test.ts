/** Examples from files: .txt, .jsonl, tables and Parquet; every failure names the file and the item. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readTexts } from '../../lib/data/formats/index.js';
import { readExamples } from '../../lib/tune/read-examples.js';
import { temporaryFolder } from '../helpers/temporary.js';

const kFixtures = fileURLToPath(new URL('../fixtures/text', import.meta.url));
const kTemporary = temporaryFolder();
const kTexts = ['the rabbit ran', 'rain fell on the river', 'café — naïve'];

function file(name: string, content: string): string {
  const path = join(kTemporary, name);
  writeFileSync(path, content);
  return path;
}

describe('Parquet', () => {
  it.each(['snappy', 'zstd', 'gzip', 'none'])('written by pyarrow, %s', async (codec) => {
    const path = join(kFixtures, `labelled-${codec}.parquet`);
    expect(await readTexts(path)).toEqual(kTexts);
    expect(await readExamples(path)).toEqual(kTexts);
    const labelled = async (label: string) =>
      (await readExamples(path, { label })).map((one) => (one as { label: unknown }).label);
    expect(await labelled('label')).toEqual([2, 0, 1]);
    expect(await labelled('score')).toEqual([0.5, -1.25, 2]);
    expect(await labelled('kind')).toEqual(['a', 'b', 'a']);
  });

  it('prompts may be empty, completions not', async () => {
    const path = join(kFixtures, 'pairs.parquet');
    expect(await readExamples(path)).toEqual([
      { prompt: 'the rabbit', completion: ' ran' },
      { prompt: '', completion: 'rain fell' },
    ]);
    await expect(readExamples(path, { prompt: 'completion', completion: 'prompt' })).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: 'pairs.parquet: Expected a text in `prompt` of item 2, got an empty one.',
    });
  });

  it('names the item without a text, the missing column, the broken file', async () => {
    const path = join(kFixtures, 'missing.parquet');
    await expect(readExamples(path)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('item 2'),
    });
    await expect(readExamples(path, { column: 'txt' })).rejects.toMatchObject({
      message: expect.stringContaining('did you mean `text`'),
    });
    const broken = file('broken.parquet', 'PAR1 this is no Parquet file PAR1');
    await expect(readExamples(broken)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('broken.parquet'),
    });
  });
});

describe('.jsonl and tables', () => {
  it('prompt and completion by their names, or by others', async () => {
    const pairs = [{ prompt: 'a b', completion: ' c' }];
    expect(await readExamples(file('pairs.jsonl', '{"prompt": "a b", "completion": " c"}\n'))).toEqual(pairs);
    const other = file('other.csv', 'question,answer\na b," c"\n');
    expect(await readExamples(other, { prompt: 'question', completion: 'answer' })).toEqual(pairs);
  });

  it('labels of a table are numbers when all are, else texts', async () => {
    expect(await readExamples(file('n.csv', 'text,label\nx,1\ny,2.5\n'), { label: 'label' })).toEqual([
      { text: 'x', label: 1 },
      { text: 'y', label: 2.5 },
    ]);
    expect(await readExamples(file('t.tsv', 'text\tlabel\nx\t1\ny\tgood\n'), { label: 'label' })).toEqual([
      { text: 'x', label: '1' },
      { text: 'y', label: 'good' },
    ]);
  });

  it.each([
    [
      'an empty completion',
      'p.jsonl',
      '{"prompt": "a", "completion": "b"}\n\n{"prompt": "a", "completion": " "}\n',
      {},
      'line 3, got an empty one',
    ],
    ['an empty label', 'e.csv', 'text,label\nx,1\ny,\n', { label: 'label' }, '`label` of line 3, got an empty one'],
    ['no such label', 'l.csv', 'text,label\nx,1\n', { label: 'lable' }, 'did you mean `label`'],
    ['a line that is no JSON', 'b.jsonl', '{"text": "a"}\n{"text"\n', {}, 'Expected JSON in line 2'],
    ['a number for a text', 'x.jsonl', '{"text": 3}\n', {}, '`text` of line 1, got `3`'],
    ['labels of a .txt', 'x.txt', 'a\n', { label: 'label' }, 'no columns'],
    ['prompts and labels', 'y.csv', 'prompt,label\na,1\n', { prompt: 'prompt', label: 'label' }, 'left out'],
    ['no records', 'z.csv', 'text,label\n', {}, 'at least one item'],
  ] as const)('%s', async (_, name, content, options, says) => {
    await expect(readExamples(file(name, content), options)).rejects.toMatchObject({
      message: expect.stringContaining(says),
    });
  });
});
