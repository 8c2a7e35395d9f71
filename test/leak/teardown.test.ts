/** Exits, terminated workers, cancelled jobs and freed memory, each in a process of its own: a crash would be a signal. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';

const script = fileURLToPath(new URL('scenarios.mjs', import.meta.url));

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

async function run(name: string, kind = ''): Promise<Ended> {
  const child = spawn(process.execPath, [script, name, kind], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out, err })));
}

// Two workers of two threads each on two cores, on a machine that may be busy: slow is not wrong here.
vi.setConfig({ testTimeout: 180_000 });

describe.each(['embed', 'tune', 'encode'])('in the middle of a job (%s)', (kind) => {
  it('process.exit keeps its code', async () => {
    expect(await run('exit', kind)).toMatchObject({ code: 7, signal: null, err: '' });
  });

  it('an uncaught error ends the process as ever', async () => {
    const ended = await run('throw', kind);
    expect(ended).toMatchObject({ code: 1, signal: null });
    expect(ended.err).toContain('thrown in mid-job');
  });

  it('workers are terminated, two at a time, and the main thread goes on', async () => {
    expect(await run('terminate', kind)).toEqual({ code: 0, signal: null, out: 'worked after\n', err: '' });
  });

  it('cancelling stops it soon and the next job works', async () => {
    const ended = await run('cancel', kind);
    expect(ended).toMatchObject({ code: 0, signal: null, err: '' });
    const { code, ms } = JSON.parse(ended.out) as { code: string; ms: number };
    expect(code).toBe('ERR_CANCELLED');
    expect(ms).toBeLessThan(3000); // checked every 100 ms or so; the rest is for a busy machine
  });

  it('disposing the model crashes nothing', async () => {
    expect(await run('dispose', kind)).toEqual({ code: 0, signal: null, out: 'worked after\n', err: '' });
  });
});

describe('memory', () => {
  // 30 models of 28 MB are 840 MB: what is left may be a few models' worth of allocator slack, never all of them.
  const kSlack = 150e6;

  it('is given back when handles are disposed', async () => {
    const ended = await run('disposed');
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect((JSON.parse(ended.out) as { grown: number }).grown).toBeLessThan(kSlack);
  });

  it('is given back when handles are forgotten', async () => {
    const ended = await run('forgotten');
    expect(ended).toMatchObject({ code: 0, signal: null });
    // The collector acts when external memory has grown by its own measure: far below the 1,680 MB made.
    expect((JSON.parse(ended.out) as { grown: number }).grown).toBeLessThan(600e6);
  });
});
