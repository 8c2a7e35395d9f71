/** The command line as a user meets it: help, wrong use, exit codes, set-up and doctor, each a real process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
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
