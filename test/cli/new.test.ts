/** `cortune new`: from options and by questions; what it writes runs, and nothing is overwritten. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { askAll } from '../../lib/cli/new.js';
import { readStudy } from '../../lib/study/schema.js';
import { temporaryFolder } from '../helpers/temporary.js';

// Real processes on cores that other tests share.
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = temporaryFolder();

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'bin', 'cortune.mjs'), ...args], { encoding: 'utf8', cwd: folder });
}

describe('cortune new without a terminal', () => {
  it('writes a study from options, and it runs', () => {
    const model = `untrained:${join(root, 'examples', 'tiny')}`;
    const options = [
      '--model',
      model,
      '--method',
      'untuned,lora',
      '--rank',
      '2',
      '--steps',
      '4',
      '--controls',
      'word_rate',
    ];
    const { status, stdout, stderr } = cortune('new', 'mine.yaml', ...options);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Next: cortune run mine.yaml --dry-run');
    // What it says next works, warm-up and all.
    expect(cortune('run', 'mine.yaml', '--out', 'out', '--dry-run').stdout).toMatch(/about .* by a short measurement/);
    const { status: ran, stderr: said } = cortune('run', 'mine.yaml', '--out', 'out', '--quiet');
    expect([ran, said]).toEqual([0, '']);
    expect(cortune('query', 'out', 'select count(*) n from runs', '--json').stdout).toMatch(/"n":3/);
    expect(cortune('query', 'out', '--format', 'csv').stdout).toMatch(/^table,rows,columns\nruns,3,"run, model,/);
  });

  it('writes every default, with the schema for editors', async () => {
    expect(cortune('new').status).toBe(0);
    const text = readFileSync(join(folder, 'study.yaml'), 'utf8');
    const schema = fileURLToPath(/^# yaml-language-server: \$schema=(file:.*)$/m.exec(text)![1]!);
    expect(existsSync(schema)).toBe(true);
    const study = await readStudy(join(folder, 'study.yaml'));
    expect(study.methods.map(({ method }) => method)).toEqual(['untrained', 'untuned', 'lora']);
  });

  it('overwrites nothing', () => {
    writeFileSync(join(folder, 'there.yaml'), 'precious');
    const { status, stderr } = cortune('new', 'there.yaml');
    expect([status, stderr]).toEqual([2, expect.stringMatching(/Expected no file at .*there\.yaml, and there is one/)]);
    expect(readFileSync(join(folder, 'there.yaml'), 'utf8')).toBe('precious');
  });

  it.each([
    [['--method', 'lorra'], /Expected `method` to be one of untrained, untuned, lora/],
    [['--lr', 'fast'], /Expected `lr` to be numbers with commas between, got `fast`/],
    [['--lr', '1e9'], /Expected `methods\[2\]\.lr\[0\]` to be a number above 0, at most 10, got `1000000000`/],
    [['--controls', 'sleep'], /`controls\[0\].*to be one of `word_rate`/],
    [['--steps', '0'], /Expected `tune\.steps` to be an integer from 1/],
  ])('answers %j in one sentence and writes nothing', (options, says) => {
    const { status, stderr } = cortune('new', 'wrong.yaml', ...options);
    expect(status).toBe(2);
    expect(stderr).toMatch(says);
    expect(existsSync(join(folder, 'wrong.yaml'))).toBe(false);
  });

  it('writes names as texts, whatever is in them', async () => {
    const name = '<b>&"\'{x}: [y] # z';
    expect(cortune('new', 'odd.yaml', '--name', name, '--data', './a: [b', '--model', 'x y/#z').status).toBe(0);
    const study = await readStudy(join(folder, 'odd.yaml'));
    expect([study.name, study.data[0]!.dataset, study.models]).toEqual([name, './a: [b', [{ name: 'x y/#z' }]]);
  });
});

describe('cortune new on a terminal', () => {
  function terminal() {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let said = '';
    output.on('data', (part) => {
      said += part;
    });
    const until = async (text: string) => {
      while (!said.includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
      said = said.slice(said.indexOf(text) + text.length);
    };
    return { input, output, until };
  }

  it('asks what is open, takes defaults for empty answers, and asks again after a wrong one', async () => {
    const { input, output, until } = terminal();
    const study = askAll({ file: 'mine.yaml', yes: false, model: 'm' }, new AbortController().signal, {
      input,
      output,
    });
    await until('Which data?');
    input.write('\n');
    await until('How tuned?');
    input.write('untuned,lorra\n');
    await until('Expected `method` to be one of');
    await until('How tuned?');
    input.write('untuned, ia3\n');
    await until('Which learning rates?');
    input.write('1e-3\n');
    // IA3 has no rank.
    await until('Which seeds?');
    input.write('0,1\n');
    await until('Which controls?');
    input.write('none\n');
    await until('How many permutations');
    input.write('99\n');
    expect(await study).toEqual({
      ...{ name: 'mine', data: 'simulated', models: ['m'], methods: ['untuned', 'ia3'], lr: [1e-3], rank: undefined },
      ...{ seeds: [0, 1], steps: 50, controls: [], permutations: 99 },
    });
  }, 15_000);

  it('ends at the end of the input and at Ctrl-C', async () => {
    const ended = terminal();
    const one = askAll({ file: 'x.yaml', yes: false }, new AbortController().signal, ended);
    await ended.until('Which data?');
    ended.input.end();
    await expect(one).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    const [interrupted, controller] = [terminal(), new AbortController()];
    const two = askAll({ file: 'x.yaml', yes: false }, controller.signal, interrupted);
    await interrupted.until('Which data?');
    controller.abort();
    await expect(two).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});
