/** The command line as a user meets it: help, wrong use, exit codes, set-up and doctor, each a real process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { kCommands } from '../../lib/cli/main.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const empty = mkdtempSync(join(tmpdir(), 'cortune-cli-'));

afterAll(() => rmSync(empty, { recursive: true, force: true }));

function cortune(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

describe('help', () => {
  it('lists every command', () => {
    const { status, stdout } = cortune(['--help']);
    expect(status).toBe(0);
    for (const { name, describe: text } of kCommands) expect(stdout).toMatch(new RegExp(`cortune ${name} +${text}`));
    expect(cortune([]).stdout).toBe(stdout);
  });

  it.each(kCommands.map(({ name }) => name))('of %s teaches with examples', (name) => {
    const { status, stdout } = cortune([name, '--help']);
    expect(status).toBe(0);
    expect(stdout).toContain(`cortune ${name}`);
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('--json');
  });
});

describe('wrong use ends with 2 and one sentence', () => {
  it('for an unknown command', () => {
    expect(cortune(['docter'])).toEqual({
      status: 2,
      stdout: '',
      stderr: 'cortune: There is no command `docter`. Did you mean `doctor`? See: cortune --help [ERR_ARGUMENT]\n',
    });
  });

  it('for an unknown option', () => {
    const { status, stderr } = cortune(['setup', '--biuld']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/There is no option `--biuld`\. Did you mean `--build`\?/);
  });

  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(empty, name), content);
    return join(empty, name);
  };

  it.each<[string, () => string[], RegExp]>([
    ['nothing to work on', () => ['run'], /Expected more than `cortune run` alone\. See: cortune run --help/],
    [
      'a choice that there is not',
      () => ['report', empty, '--format', 'pdf'],
      /Expected `format` to be one of html, md, got `pdf`/,
    ],
    [
      'an empty study',
      () => ['run', file('empty.yaml', '\n')],
      /empty\.yaml: Expected YAML or JSON, got an empty file\./,
    ],
    ['a study of bytes', () => ['run', file('bytes.yaml', Uint8Array.of(0, 1, 27, 0))], /got bytes that are no text\./],
    [
      'a data set with a slip',
      () => ['new', join(empty, 'x.yaml'), '--data', 'alise'],
      /simulated or a path \(nearest: alice\), got `alise`/,
    ],
    [
      'a method with a slip',
      () => ['new', join(empty, 'x.yaml'), '--method', 'lorra'],
      /`method` to be one of untrained, .*got `lorra`/,
    ],
  ])('for %s', (_, args, says) => {
    const { status, stderr } = cortune(args());
    expect(stderr).toMatch(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });

  it('and never moves the cursor of a terminal by what a file holds', () => {
    const { stderr } = cortune(['run', file('colour.yaml', 'data: simulated\nmodels: m\nmethods: ["a\\e[2Jb"]\n')]);
    expect(stderr).toContain('a?[2Jb');
    expect(stderr).not.toContain('\u001b');
  });

  it('as JSON too', () => {
    const { status, stdout } = cortune(['models', 'fetch', '--json']);
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'ERR_ARGUMENT' } });
  });
});

describe('doctor', () => {
  it('finds everything here', () => {
    const { status, stdout } = cortune(['doctor', '--json']);
    expect(status).toBe(0);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ ok: true, libtorch: { version: expect.stringMatching(/^2\.13\./) } });
    expect(found.compute.threads).toBeGreaterThan(0);
    expect(found.tools.map((tool: { name: string }) => tool.name)).toContain('CMake');
  });

  it('tells that there is a token, never the token', () => {
    const { stdout } = cortune(['doctor'], { HF_TOKEN: 'hf_secret' });
    expect(stdout).toContain('token set');
    expect(stdout).not.toContain('hf_secret');
  });

  it('ends with 1 and the command that mends it when libtorch is missing', () => {
    const { status, stdout } = cortune(['doctor'], { CORTUNE_LIBTORCH: empty });
    expect(status).toBe(1);
    expect(stdout).toMatch(/MISSING: Expected CORTUNE_LIBTORCH to be a folder .* Mend it with: unset CORTUNE_LIBTORCH/);
  });
});

describe('models', () => {
  it('are described from their configuration', () => {
    const { status, stdout } = cortune(['models', 'minilm', '--json'], { HF_HUB_OFFLINE: '1', HF_HOME: empty });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ config: { family: 'bert', layers: 6 }, parameters: 22_565_376 });
  });

  it('that are nowhere are said to be', () => {
    const { status, stderr } = cortune(['models', 'org/none'], { HF_HUB_OFFLINE: '1', HF_HOME: empty });
    expect(status).toBe(1);
    expect(stderr).toMatch(/org\/none is not in the Hugging Face cache and HF_HUB_OFFLINE is set/);
  });
});
