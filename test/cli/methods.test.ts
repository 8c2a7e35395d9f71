/** `cortune methods`, `cortune merge` and the methods of `cortune tune` as real processes. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../lib/model/load.js';
import { loadAdapter } from '../../lib/tune/adapter.js';
import { expectClose, float32Tolerance } from '../helpers/arrays.js';
import { forward } from '../helpers/run-model.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const kTemporary = temporaryFolder();
const at = (name: string) => join(kTemporary, name);

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

interface Row {
  name: string;
  paper: string;
  peft: string | null;
  trainable?: number | null;
  reason?: string;
  options: { name: string; default?: unknown }[];
}

describe('cortune methods', () => {
  it('lists every method, with what it trains on a model', () => {
    const { status, stdout } = cortune('methods', '--model', tinyModel('llama'), '--json');
    expect(status).toBe(0);
    const { methods, parameters } = JSON.parse(stdout) as { methods: Row[]; parameters: number };
    const row = (name: string) => methods.find((each) => each.name === name)!;
    expect(row('full').trainable).toBe(parameters);
    expect(row('lora')).toMatchObject({ peft: 'LORA', trainable: 3 * 8 * (32 + 32 + 32 + 16) });
    expect(row('bitfit')).toMatchObject({ trainable: null, reason: expect.stringContaining('biases') });
    for (const { name, options } of methods) expect(options.length, name).toBeGreaterThan(0);
    expect(cortune('methods', '--model', tinyModel('llama')).stdout).toMatch(/lora +2,688 +8\.\d+ %/);
  });

  it('shows the options of one, and knows no others', () => {
    expect(cortune('methods', 'lora').stdout).toMatch(/rslora +false +scale by alpha/);
    const wrong = cortune('methods', 'lorra');
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('one of lora, adalora');
  });
});

describe('tuning and merging', () => {
  const texts = at('texts.txt');
  const tune = (out: string, ...more: string[]) =>
    cortune(
      'tune',
      '--model',
      tinyModel('llama'),
      '--text',
      texts,
      '--steps',
      '3',
      '--batch',
      '2',
      '--out',
      at(out),
      '--quiet',
      ...more,
    );
  let tuned: ReturnType<typeof tune>;
  beforeAll(() => {
    writeFileSync(texts, 'the rabbit ran over a small hill\nit was only the wind\n');
    tuned = tune(
      'tuned',
      '--method',
      'lora,ia3,prompt,adalora',
      '--set',
      'dora=true',
      '--set',
      'virtualTokens=3',
      '--lr',
      '1e-2',
      '--json',
    );
  });

  it('tunes several methods in one pass, each saved as its own kind of adapter', () => {
    expect(tuned.stderr).toBe('');
    expect(tuned.status).toBe(0);
    const { runs } = JSON.parse(tuned.stdout) as { runs: { name: string; method: string; dir: string }[] };
    const types = runs.map(({ dir }) => {
      const config = JSON.parse(readFileSync(join(dir, 'adapter', 'adapter_config.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      return [config.peft_type, config.use_dora, config.num_virtual_tokens].filter((each) => each !== undefined);
    });
    expect(types).toEqual([['LORA', true], ['IA3'], ['PROMPT_TUNING', 3], ['ADALORA']]);
  });

  it('merges an adapter into a model that says the same, and leaves both as they were', async () => {
    const adapter = join(at('tuned'), 'lora-lr-0.01', 'adapter');
    const { status, stderr } = cortune('merge', adapter, '--model', tinyModel('llama'), '--out', at('merged'));
    expect(status, stderr).toBe(0);
    using base = await loadModel(tinyModel('llama'));
    using lanes = await loadAdapter(base, adapter);
    using merged = await loadModel(at('merged'));
    const ids = [[5, 6, 7, 8]];
    const [ours, theirs] = [await forward(merged, ids), await forward(base, ids, lanes.handle)];
    // one rounding more of every weight
    expectClose(ours.logits!.data, theirs.logits!.data, float32Tolerance(49, 24), 'logits');
    const again = cortune('merge', adapter, '--model', tinyModel('llama'), '--out', at('merged'));
    expect(again.status).toBe(2);
    expect(again.stderr).toContain('--force');
  });

  it('refuses to merge virtual tokens, and leaves nothing behind', () => {
    const adapter = join(at('tuned'), 'prompt-lr-0.01', 'adapter');
    const { status, stderr } = cortune('merge', adapter, '--model', tinyModel('llama'), '--out', at('no'));
    expect(status).toBe(2);
    expect(stderr).toContain('cannot be merged');
    expect(existsSync(at('no'))).toBe(false);
  });

  it.each([
    [['--method', 'ia3', '--set', 'dora=true'], 'an option of ia3'],
    [['--set', 'dora'], 'dora=true'],
    [['--set', 'init=pisa'], 'did you mean `pissa`'],
    [['--set', 'dora=1'], 'true or false'],
    [['--rank', '33'], 'an integer from 1 to 32'],
    [['--targets', 'q_porj'], 'Did you mean `q_proj`'],
    [['--method', 'prompt', '--set', 'virtualTokens=63'], 'from 1 to 62'],
    [['--method', 'bitfit'], 'biases'],
  ])('%j is answered in one sentence', (args, says) => {
    const { status, stderr } = tune('wrong', ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
