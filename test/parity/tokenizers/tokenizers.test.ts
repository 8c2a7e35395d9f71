/** Ids, offsets and decoded text of every kind of tokenizer, against the reference; goldens by make_goldens.py. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../lib/model/load.js';
import { TextTokenizer } from '../../../lib/model/tokenizer.js';
import { tokenizerFromGguf } from '../../../lib/model/tokenizer-gguf.js';
import type { TokenizerJson } from '../../../lib/model/tokenizer-json.js';
import { realModel } from '../../helpers/real-models.js';

const kDir = fileURLToPath(new URL('../../fixtures/tokenizers/', import.meta.url));
const read = <T>(name: string) => JSON.parse(readFileSync(`${kDir}${name}.json`, 'utf8')) as T;

interface Golden {
  tokenizer?: TokenizerJson;
  gguf?: Record<string, unknown>;
  ids: number[][];
  offsets: [number, number][][];
  special: number[];
  decoded: string[];
}

const kTexts = read<string[]>('texts');
const kOthers = ['texts.json', 'versions.json', 'real.json'];
const kNames = readdirSync(kDir)
  .filter((file) => !kOthers.includes(file))
  .map((file) => file.replace('.json', ''));

/** Offsets in code points, as the reference counts. */
function inCodePoints(text: string, offsets: Int32Array): number[] {
  const points = new Map<number, number>();
  let unit = 0;
  let count = 0;
  for (const point of text) {
    points.set(unit, count++);
    unit += point.length;
  }
  points.set(unit, count);
  return Array.from(offsets, (offset) => points.get(offset) ?? -1);
}

function compare(tokenizer: TextTokenizer, golden: Golden): void {
  for (const [i, text] of kTexts.entries()) {
    const { ids, offsets } = tokenizer.encode(text, { special: false });
    expect([text, ...ids]).toEqual([text, ...golden.ids[i]!]);
    expect([text, ...inCodePoints(text, offsets)]).toEqual([text, ...golden.offsets[i]!.flat()]);
    expect(tokenizer.decode(ids)).toBe(golden.decoded[i]);
  }
  expect([...tokenizer.encode(kTexts[2]!).ids]).toEqual(golden.special);
}

describe('small tokenizers', () => {
  it.each(kNames)('%s equals the reference on every text', (name) => {
    const golden = read<Golden>(name);
    const json = golden.tokenizer ?? tokenizerFromGguf(golden.gguf!, name);
    compare(new TextTokenizer({ json, config: {}, path: name }), golden);
  });
});

describe('real tokenizers', () => {
  it.each(['smollm2-135m', 'minilm'] as const)('%s equals the reference on every text', async (name) => {
    using model = await loadModel(await realModel(name));
    compare(model.tokenizer, read<Record<string, Golden>>('real')[name]!);
  });
});
