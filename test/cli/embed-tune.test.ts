/** `cortune embed` and `cortune tune` as a user meets them: what they write, what they refuse, and that nothing half-done stays. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readPlain, writePlain } from '../helpers/safetensors.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const texts = ['a cat sat on the mat', 'the dog ran', 'hello again'];
writeFileSync(at('texts.txt'), `${texts.join('\n')}\n`);

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const embed = (...more: string[]) =>
  cortune('embed', '--model', tinyModel('llama'), '--stimuli', at('texts.txt'), ...more);
const tune = (out: string, ...more: string[]) =>
  cortune('tune', '--model', tinyModel('llama'), '--text', at('texts.txt'), '--steps', '3', '--out', at(out), ...more);
const losses = (run: string) =>
  readFileSync(at(`${run}/losses.jsonl`), 'utf8')
    .trim()
    .split('\n').length;

describe('embed', () => {
  it('writes one tensor of every layer, and says nothing more with --quiet', () => {
    const { status, stderr } = embed('--out', at('f.safetensors'), '--quiet');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readPlain(at('f.safetensors')).get('hidden_states')?.shape).toEqual([4, 3, 32]);
  });

  it.each([
    ['a missing folder', 'no/f.safetensors', 'the folder is not there'],
    ['a folder', '.', 'a folder stands where the file should be'],
    ['a device', '/dev/null', 'no regular file'],
  ])('refuses %s before the model is read', (_, out, says) => {
    const path = out.startsWith('/') ? out : at(out);
    const { status, stderr } = cortune('embed', '--model', 'nothing', '--stimuli', at('texts.txt'), '--out', path);
    expect(status).toBe(1);
    expect(stderr).toContain(says);
    expect(stderr).toContain('[ERR_IO]');
  });

  it.each(['nonsense', '2-1', '0-9999999999', ''])('refuses --layers "%s"', (layers) => {
    const { status, stderr } = embed('--out', at('x.safetensors'), '--layers', layers);
    expect(status).toBe(2);
    expect(stderr).toContain('numbers and ranges such as');
  });

  it('refuses weights that give no numbers', () => {
    cpSync(tinyModel('llama'), at('damaged'), { recursive: true });
    const tensors = readPlain(join(at('damaged'), 'model.safetensors'));
    tensors.get('model.layers.1.mlp.down_proj.weight')?.data.fill(Number.NaN);
    writePlain(join(at('damaged'), 'model.safetensors'), tensors);
    const { status, stderr } = cortune(
      'embed',
      '--model',
      at('damaged'),
      '--stimuli',
      at('texts.txt'),
      '--out',
      at('x.safetensors'),
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/NaN or infinity at layer 2.*\[ERR_NUMERIC\]/);
    expect(readdirSync(folder)).not.toContain('x.safetensors');
  });

  it("refuses another model's tokenizer", () => {
    cpSync(tinyModel('llama'), at('mixed'), { recursive: true });
    cpSync(join(tinyModel('bert'), 'tokenizer.json'), join(at('mixed'), 'tokenizer.json'));
    const { status, stderr } = cortune(
      'embed',
      '--model',
      at('mixed'),
      '--stimuli',
      at('texts.txt'),
      '--out',
      at('x.safetensors'),
    );
    expect(status).toBe(2);
    expect(stderr).toContain('a wrong tokenizer');
  });
});

describe('tune', () => {
  it('writes one whole folder a rate, and replaces it only with --force', () => {
    expect(tune('t', '--lr', '1e-4,3e-4').status).toBe(0);
    expect(readdirSync(at('t')).sort()).toEqual(['lr-0.0001', 'lr-0.0003']);
    expect(readdirSync(at('t/lr-0.0001')).sort()).toEqual(['adapter', 'losses.jsonl']);

    // Before the model is read.
    const again = cortune('tune', '--model', 'nothing', '--text', at('texts.txt'), '--lr', '3e-4', '--out', at('t'));
    expect(again.status).toBe(2);
    expect(again.stderr).toContain('Expected no lr-0.0003');
    expect(losses('t/lr-0.0003')).toBe(3);

    const args = ['--model', tinyModel('llama'), '--text', at('texts.txt'), '--lr', '3e-4', '--out', at('t')];
    expect(cortune('tune', ...args, '--steps', '5', '--force').status).toBe(0);
    expect(losses('t/lr-0.0003')).toBe(5);
    expect(losses('t/lr-0.0001')).toBe(3);
    expect(readdirSync(at('t')).sort()).toEqual(['lr-0.0001', 'lr-0.0003']);
  });

  it('removes what a dead process left', () => {
    mkdirSync(at('left/.lane-host-1-0-00000000'), { recursive: true });
    const host = spawnSync('hostname', { encoding: 'utf8' })
      .stdout.trim()
      .replace(/[^A-Za-z0-9]/g, '_');
    mkdirSync(at(`left/.lane-${host}-4194305-0-00000000/adapter`), { recursive: true });
    expect(tune('left').status).toBe(0);
    expect(readdirSync(at('left')).sort()).toEqual(['.lane-host-1-0-00000000', 'lr-0.0001']);
  });

  it('is one JSON document also when a run diverged', () => {
    const { status, stdout, stderr } = tune('d', '--lr', '1e30,1e-4', '--clip', '0', '--json');
    expect(status).toBe(1);
    const { runs } = JSON.parse(stdout);
    expect(runs.map((run: { failedAt: number | null }) => run.failedAt === null)).toEqual([false, true]);
    expect(stderr).toContain('[ERR_NUMERIC]');
    expect(readdirSync(at('d/lr-1e+30'))).toEqual(['losses.jsonl']);
  });

  it('goes on from an adapter as it is', () => {
    expect(tune('first').status).toBe(0);
    const from = ['--from', at('first/lr-0.0001/adapter')];
    expect(tune('second', ...from).status).toBe(0);
    for (const other of [
      ['--method', 'full'],
      ['--targets', 'k_proj'],
      ['--rank', '4'],
    ]) {
      const { status, stderr } = tune('third', ...from, ...other);
      expect(status).toBe(2);
      expect(stderr).toContain('the adapter to go on from');
    }
  });

  it('refuses a file as its folder', () => {
    const { status, stderr } = tune('texts.txt');
    expect(status).toBe(1);
    expect(stderr).toContain('[ERR_IO]');
  });
});
