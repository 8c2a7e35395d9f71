/** Models from folders and GGUF files: the same weights, identities, memory, and what is refused. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type LoadOptions, loadModel } from '../../lib/model/load.js';
import { difference } from '../helpers/arrays.js';
import { asGguf, type GgufValue, ggufBytes } from '../helpers/gguf.js';
import { realModel } from '../helpers/real-models.js';
import { forward } from '../helpers/run-model.js';
import { type PlainTensors, readPlain, writePlain } from '../helpers/safetensors.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { goldenOf, tinyModel } from '../helpers/tiny-models.js';

const root = temporaryFolder();
let count = 0;

/** A copy of a tiny model that may be spoiled. */
function copyOf(name: string): string {
  const folder = join(root, String(count++));
  cpSync(tinyModel(name), folder, { recursive: true });
  return folder;
}

function weightsOf(name: string): PlainTensors {
  const shards = name === 'qwen2' ? ['model-00001-of-00002', 'model-00002-of-00002'] : ['model'];
  return new Map(shards.flatMap((shard) => [...readPlain(join(tinyModel(name), `${shard}.safetensors`))]));
}

type RawConfig = Record<string, number | boolean>;
const configOf = (name: string) => JSON.parse(readFileSync(join(tinyModel(name), 'config.json'), 'utf8')) as RawConfig;

describe('GGUF', () => {
  const pairs = [
    ['llama', 'llama'],
    ['qwen2', 'qwen2'],
    ['gpt2', 'gpt2'],
    ['gptneox', 'neox-parallel'],
    ['gptneox', 'neox-sequential'],
    ['bert', 'bert'],
  ] as const;
  it.each(pairs)('architecture %s computes what the folder %s computes', async (architecture, name) => {
    const path = join(root, `${name}.gguf`);
    const raw = configOf(name);
    const share = (raw.rope_parameters as unknown as { partial_rotary_factor?: number } | undefined)
      ?.partial_rotary_factor;
    writeFileSync(path, asGguf(architecture, { ...raw, ...(share ? { rotary_pct: share } : {}) }, weightsOf(name)));
    using fromGguf = await loadModel(path);
    using fromFolder = await loadModel(tinyModel(name));
    const { ids } = goldenOf(name);
    const [a, b] = [await forward(fromGguf, ids), await forward(fromFolder, ids)];
    // The same weights in the same order of operations: epsilon alone is float32 in GGUF.
    expect(difference(a.hidden.data, b.hidden.data)).toBeLessThan(2e-6);
  });

  it('reads rotary scaling of Llama 3 from its divisors', async () => {
    const name = 'llama';
    const [weights, raw] = [weightsOf(name), configOf(name)];
    const d = Number(raw.hidden_size) / Number(raw.num_attention_heads);
    const divisors = (factor: number) =>
      Float32Array.from({ length: d / 2 }, (_, i) => {
        const wavelength = 2 * Math.PI * 500000 ** ((2 * i) / d);
        const share = Math.min(1, Math.max(0, (8192 / wavelength - 1) / 3));
        return 1 / ((1 - share) / factor + share);
      });
    const write = (values: Float32Array) => {
      const path = join(root, 'llama3.gguf');
      const tensors = new Map([...weights, ['rope_freqs.weight', { shape: [d / 2], data: values }]]);
      writeFileSync(path, asGguf('llama', { ...raw, rope_theta: 500000 }, tensors));
      return path;
    };
    using model = await loadModel(write(divisors(32)));
    expect(model.config).toMatchObject({
      ropeScaling: 'llama3',
      ropeTheta: 500000,
      ropeLowFactor: 1,
      ropeHighFactor: 4,
    });
    expect(model.config.ropeFactor).toBeCloseTo(32, 4);
    await expect(loadModel(write(Float32Array.from({ length: d / 2 }, (_, i) => 1 + i)))).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('rope_freqs.weight'),
    });
  });

  const text = (value: string): GgufValue => ({ type: 'string', value });
  const refused: [string, Record<string, GgufValue>, RegExp][] = [
    [
      'another architecture',
      { 'general.architecture': text('mamba') },
      /architecture llama, qwen2, gpt2, gptneox, bert, got `mamba`/,
    ],
    ['no architecture', {}, /`general\.architecture`/],
    [
      'no table',
      {
        'general.architecture': text('llama'),
        'llama.embedding_length': { type: 'u32', value: 8 },
        'llama.attention.head_count': { type: 'u32', value: 2 },
      },
      /table `token_embd\.weight`/,
    ],
    ['no size', { 'general.architecture': text('gpt2') }, /`gpt2\.embedding_length` as a positive number/],
    [
      'a part of a model',
      { 'general.architecture': text('llama'), 'split.count': { type: 'u16', value: 3 } },
      /one of 3 parts/,
    ],
  ];
  it.each(refused)('refuses %s', async (_, metadata, message) => {
    const path = join(root, 'refused.gguf');
    writeFileSync(path, ggufBytes({ metadata, tensors: [] }));
    await expect(loadModel(path)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(message),
    });
  });
});

describe('identity', () => {
  const hash = async (name: string, options?: LoadOptions) => {
    using model = await loadModel(name, options);
    return model.hash;
  };

  it('is that of the content, not of the path', async () => {
    const copy = copyOf('llama');
    expect(await hash(copy)).toBe(await hash(tinyModel('llama')));
    expect(await hash(copy)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('changes with any weight, the configuration and the tokenizer', async () => {
    const before = await hash(tinyModel('llama'));
    const weights = copyOf('llama');
    const tensors = readPlain(join(weights, 'model.safetensors'));
    tensors.get('model.norm.weight')!.data[5]! += 1e-6;
    writePlain(join(weights, 'model.safetensors'), tensors);
    const config = copyOf('llama');
    writeFileSync(join(config, 'config.json'), JSON.stringify({ ...configOf('llama'), rope_theta: 20000 }));
    const tokenizer = copyOf('llama');
    writeFileSync(join(tokenizer, 'tokenizer_config.json'), '{}');
    const all = [before, await hash(weights), await hash(config), await hash(tokenizer)];
    expect(new Set(all).size).toBe(4);
  });

  it('of random weights is that of the seed', async () => {
    const name = `untrained:${tinyModel('llama')}`;
    expect(await hash(name, { seed: 1 })).toBe(await hash(name, { seed: 1 }));
    expect(await hash(name, { seed: 1 })).not.toBe(await hash(name, { seed: 2 }));
    expect(await hash(name)).not.toBe(await hash(tinyModel('llama')));
  });
});

describe('loading', () => {
  it('gives random weights that the seed decides', async () => {
    const { ids } = goldenOf('gpt2');
    const hidden = async (seed: number) => {
      using model = await loadModel(`untrained:${tinyModel('gpt2')}`, { seed });
      return (await forward(model, ids)).hidden.data;
    };
    expect(await hidden(3)).toEqual(await hidden(3));
    expect(await hidden(3)).not.toEqual(await hidden(4));
    await expect(loadModel('untrained:x', { seed: -1 })).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('needs no weights for random ones', async () => {
    const folder = copyOf('llama');
    rmSync(join(folder, 'model.safetensors'));
    using model = await loadModel(`untrained:${folder}`);
    expect(model.config.layers).toBe(3);
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('is undone by dispose, once or twice', async () => {
    const model = await loadModel(tinyModel('llama'));
    model.dispose();
    model.dispose();
    await expect(forward(model, goldenOf('llama').ids)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });

  it('stops when asked', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(loadModel(tinyModel('llama'), { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
  });

  it('refuses a truncated file, a missing shard, a broken configuration', async () => {
    const truncated = copyOf('llama');
    truncateSync(join(truncated, 'model.safetensors'), 2000);
    await expect(loadModel(truncated)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('Download'),
    });
    const shard = copyOf('qwen2');
    rmSync(join(shard, 'model-00002-of-00002.safetensors'));
    await expect(loadModel(shard)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: expect.stringContaining('00002-of-00002'),
    });
    const config = copyOf('llama');
    writeFileSync(join(config, 'config.json'), '{"model_type": ');
    await expect(loadModel(config)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('be JSON'),
    });
  });

  it('refuses the tokenizer of another model, and says when there is none', async () => {
    const wrong = copyOf('bert');
    cpSync(join(tinyModel('llama'), 'tokenizer.json'), join(wrong, 'tokenizer.json'));
    using model = await loadModel(wrong);
    const message = /at most 101 tokens, got one with 320 .*wrong tokenizer/;
    expect(() => model.tokenizer).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }),
    );
    const none = copyOf('llama');
    rmSync(join(none, 'tokenizer.json'));
    using bare = await loadModel(none);
    expect(() => bare.tokenizer).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }));
  });

  it('reads the older vocabulary files', async () => {
    const folder = join(root, 'older');
    mkdirSync(folder);
    const { model } = JSON.parse(readFileSync(join(tinyModel('opt'), 'tokenizer.json'), 'utf8')) as {
      model: { vocab: Record<string, number>; merges: [string, string][] };
    };
    for (const file of ['config.json', 'model.safetensors']) cpSync(join(tinyModel('opt'), file), join(folder, file));
    writeFileSync(join(folder, 'vocab.json'), JSON.stringify(model.vocab));
    writeFileSync(
      join(folder, 'merges.txt'),
      `#version: 0.2\n${model.merges.map((merge) => merge.join(' ')).join('\n')}\n`,
    );
    const config = { add_bos_token: true, bos_token: { content: '<s>' }, eos_token: '</s>' };
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
    using older = await loadModel(folder);
    for (const { text: sample, ids } of goldenOf('opt').tokens)
      expect([...older.tokenizer.encode(sample).ids]).toEqual(ids);
  });
});

describe('memory', () => {
  it('of the 135M model stays under 1.3 times its float32 size while it loads', async () => {
    const script = fileURLToPath(new URL('load-peak.mjs', import.meta.url));
    const said = execFileSync(process.execPath, [script, await realModel('smollm2-135m')]).toString();
    const { peak, size } = JSON.parse(said) as { peak: number; size: number };
    expect(size).toBeGreaterThan(500 * 2 ** 20);
    expect(peak).toBeLessThan(1.3 * size);
  });
});
