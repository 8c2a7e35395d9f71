/** Tokenizers of the tiny models against the tokenizers library: ids, offsets, decoded text. */
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../lib/model/load.js';
import { goldenOf, kCausalModels, tinyModel } from '../../helpers/tiny-models.js';

/** Where code point `index` of `text` begins, in UTF-16 units. */
function unitOf(text: string, index: number): number {
  return Array.from(text).slice(0, index).join('').length;
}

describe.each([...kCausalModels, 'bert'])('%s', (name) => {
  it.each(goldenOf(name).tokens)('$text', async ({ text, ids, offsets, decoded }) => {
    using model = await loadModel(tinyModel(name));
    const got = model.tokenizer.encode(text);
    expect([...got.ids]).toEqual(ids);
    // special tokens are at -1, -1 here and at 0, 0 in the library
    const specials = ids.map((id) => id < (name === 'bert' ? 5 : 3) && !(name === 'bert' && id === 1)); // 1 is [UNK] there
    for (const [i, [start, end]] of offsets.entries()) {
      const place = [got.offsets[2 * i], got.offsets[2 * i + 1]];
      expect(place, `token ${i}`).toEqual(specials[i] ? [-1, -1] : [unitOf(text, start), unitOf(text, end)]);
    }
    // the library leaves special tokens out of what it decodes
    expect(model.tokenizer.decode(ids.filter((_, i) => !specials[i]))).toBe(decoded);
  });
});
