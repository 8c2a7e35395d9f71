/** `submit`, `status`, `watch` and `cancel` on a real Slurm of one node: the store is that of a local run, whatever happens to the tasks. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { liveProcesses } from '../../lib/study/live.js';
import { type Slurm, startSlurm, whyNoSlurm } from '../helpers/slurm.js';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'bin', 'cortune.mjs');
const why = whyNoSlurm();
if (why) console.warn(`The tests on Slurm are skipped: ${why}.`);

const kStudy = `
name: cluster
data: simulated:layer=3
models: ["untrained:${join(root, 'examples', 'tiny')}"]
methods:
  - untuned
  - untrained
  - {method: lora, lr: [1e-3, 3e-3], rank: 2}
  - {method: full, lr: [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4]}
seeds: [1]
tune: {steps: 50, batch: 2, block: 32}
encode: {folds: "contiguous:3", inner_folds: 3, trim: 5}
controls: [word_rate]
`;

describe.skipIf(why !== undefined)(`on a real Slurm${why ? ` (${why})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'cortune-cluster-'));
  const study = join(folder, 'cluster.yaml');
  const out = join(folder, 'slurm');
  let slurm: Slurm;

  beforeAll(async () => {
    writeFileSync(study, kStudy);
    slurm = await startSlurm(2);
  });
  afterAll(async () => {
    await slurm?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const cortune = (...args: string[]) => {
    const env = { ...process.env, ...slurm.env };
    return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env });
  };
  const submit = (to: string, ...more: string[]) =>
    cortune(
      'submit',
      study,
      '--out',
      to,
      '--partition',
      'main',
      '--time',
      '5',
      '--mem',
      '1G',
      '--cpus',
      '1',
      '--json',
      ...more,
    );
  const queue = () => slurm.run('squeue', '-h', '-r', '-o', '%F_%K %T').split('\n').filter(Boolean);
  /** Looks until there is something; what is waited for here takes seconds. */
  const waitFor = async <T>(what: string, look: () => T | undefined): Promise<T> => {
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) {
      const found = look();
      if (found !== undefined) return found;
    }
    throw new Error(`Waited in vain for ${what}; in the queue: ${queue().join(', ') || 'nothing'}.`);
  };
  const ended = () => waitFor('the end of all tasks', () => (queue().length === 0 ? true : undefined));
  /** A task that is at work on such a batch, other than that of process `but`. */
  const working = (store: string, title: RegExp, but?: number) =>
    waitFor(`a task that works on ${title}`, () => {
      const found = liveProcesses(store).find(
        ({ kind, batch, owner }) => kind === 'slurm' && owner.pid !== but && title.test(batch?.title ?? ''),
      );
      return found && { pid: found.owner.pid, task: found.task! };
    });
  /** A task that was put back into the queue starts at once, for which Slurm would wait two minutes. */
  const startAgain = async (task: string) => {
    await waitFor(`task ${task} in the queue again`, () => queue().find((line) => line === `${task} PENDING`));
    slurm.run('scontrol', 'update', `JobId=${task}`, 'StartTime=now');
  };

  it('prints the script, and writes nothing', () => {
    const { status, stdout } = cortune(
      'submit',
      study,
      '--out',
      out,
      '--time',
      '1:00:00',
      '--sbatch',
      'account=lab',
      '--dry-run',
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^#!\/bin\/bash\n#SBATCH --job-name=cortune-cluster\n#SBATCH --time=1:00:00\n#SBATCH --signal=B:USR1@120\n/,
    );
    expect(stdout).toMatch(/#SBATCH --mem=\dG\n/);
    expect(stdout).toContain('#SBATCH --account=lab\n');
    expect(readdirSync(folder)).toEqual(['cluster.yaml']);
    expect(spawnSync('bash', ['-n'], { input: stdout }).status).toBe(0);
  });

  it('ends with the table of a local run after a killed, a requeued and a timed-out task', async () => {
    const { stdout, stderr } = submit(out);
    expect(stderr).toBe('');
    const { jobs, tasks } = JSON.parse(stdout) as { jobs: string[]; tasks: number };
    expect(tasks).toBe(10);
    expect(jobs).toHaveLength(2); // the cluster's arrays hold eight tasks at most
    const watch = spawn(process.execPath, [program, 'watch', out, '--json', '--every', '1'], {
      env: { ...process.env, ...slurm.env },
    });
    let seen = '';
    watch.stdout.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
    });
    const watched = new Promise((resolve) => watch.on('exit', resolve));
    expect(JSON.parse(submit(out).stdout)).toMatchObject({ jobs: [], tasks: 0 });

    // What Slurm sends before the time limit; then the task must be in the queue again, by its own doing.
    const late = await working(out, /lora/);
    process.kill(late.pid, 'SIGUSR1');
    await startAgain(late.task);
    const killed = await working(out, /full/);
    process.kill(killed.pid, 'SIGKILL');
    const requeued = await working(out, /full/, killed.pid);
    slurm.run('scontrol', 'requeue', requeued.task);
    await startAgain(requeued.task);
    await ended();
    expect(
      readFileSync(join(out, 'jobs', readdirSync(join(out, 'jobs'))[0]!, `task-${late.task}.log`), 'utf8'),
    ).toMatch(/Stopped at the time limit; task \d goes back into the queue/);

    // The killed task is not run again by Slurm: what it left is submitted again, and nothing else.
    expect(cortune('status', out).stdout).toMatch(/^cluster: 11 runs: 10 done, 1 left/);
    expect(JSON.parse(submit(out).stdout)).toMatchObject({ tasks: 1, queued: 0 });
    await ended();
    expect(await watched).toBe(0);
    const last = JSON.parse(seen.trim().split('\n').at(-1)!) as {
      studies: { done: number }[];
      best: { layer: number }[];
    };
    expect(last.studies[0]!.done).toBe(11);
    expect(last.best[0]!.layer).toBe(3);

    const local = join(folder, 'local');
    expect(cortune('run', study, '--out', local).status).toBe(0);
    expect(cortune('export', out).stdout).toBe(cortune('export', local).stdout);
    expect(cortune('verify', out).status).toBe(0);
    expect(readdirSync(join(out, 'claims'))).toEqual([]);
  });

  it('shares one store with two local workers, and computes nothing twice', async () => {
    const both = join(folder, 'both');
    expect(JSON.parse(submit(both).stdout)).toMatchObject({ tasks: 10 });
    await working(both, /./);
    const here = spawn(process.execPath, [program, 'run', study, '--out', both, '--workers', '2'], { stdio: 'ignore' });
    expect(await new Promise((resolve) => here.on('exit', resolve))).toBe(0);
    await ended();
    const alone = join(folder, 'local');
    expect(cortune('run', study, '--out', alone).status).toBe(0); // nothing to do after the test above
    expect(cortune('export', both).stdout).toBe(cortune('export', alone).stdout);
    expect(JSON.parse(cortune('verify', both, '--json').stdout)).toMatchObject({ ok: true, runs: 11, missing: 0 });
    expect(readdirSync(join(both, 'claims'))).toEqual([]);
  });

  it('cancels the whole array, and knows what is left', async () => {
    const other = join(folder, 'cancelled');
    submit(other);
    await working(other, /./);
    const { status, stdout } = cortune('cancel', other);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/Cancelled \d+ tasks of Slurm job \d+/)]);
    await ended();
    expect(cortune('status', other).stdout).toMatch(/^cluster: 11 runs: (\d+ done, )?\d+ left/);
    expect(cortune('cancel', other).stdout).toBe('Nobody computes here.\n');
  });
});

describe('without Slurm', () => {
  it('says that it is not there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cortune-cluster-'));
    const study = join(folder, 'cluster.yaml');
    writeFileSync(study, kStudy);
    const env = { ...process.env, PATH: folder };
    const run = spawnSync(process.execPath, [program, 'submit', study, '--out', join(folder, 'out')], {
      encoding: 'utf8',
      env,
    });
    expect([run.status, run.stderr]).toEqual([
      1,
      expect.stringContaining("Expected Slurm's `scontrol` on the PATH, and it is not there"),
    ]);
    rmSync(folder, { recursive: true });
  });
});
