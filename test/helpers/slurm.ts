/**
 * A real Slurm of one node for tests: munged, slurmctld and slurmd started by hand in a temporary folder, without systemd. It needs root, and
 * Debian's packages `slurm-wlm` and `munge`. The daemons end with this process, however it ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const kPrograms = [
  '/usr/sbin/munged',
  '/usr/sbin/slurmctld',
  '/usr/sbin/slurmd',
  '/usr/bin/sbatch',
  '/usr/bin/setpriv',
];
const kStart = 20_000; // ms

/** Why there can be no Slurm here; undefined when there can. */
export function whyNoSlurm(): string | undefined {
  const missing = kPrograms.filter((path) => !existsSync(path));
  if (missing.length > 0) return `Slurm is not installed: no ${missing.join(', ')} (apt-get install slurm-wlm munge)`;
  return process.getuid?.() === 0 ? undefined : 'its daemons need root';
}

export interface Slurm {
  /** For the environment of its commands. */
  env: { SLURM_CONF: string };
  /** Runs one of its commands; returns what it prints. */
  run(command: string, ...args: string[]): string;
  stop(): Promise<void>;
}

/** Starts the cluster: partition `main`, one node of `cpus` processors. */
export async function startSlurm(cpus: number): Promise<Slurm> {
  const folder = mkdtempSync(join(tmpdir(), 'cortune-slurm-'));
  chmodSync(folder, 0o755); // munged is another user
  const munge = join(folder, 'munge');
  const { uid, gid } = userNamed('munge');
  mkdirSync(munge);
  chownSync(munge, uid, gid);
  const key = join(munge, 'key');
  writeFileSync(key, randomBytes(128), { mode: 0o400 });
  chownSync(key, uid, gid);
  const config = join(folder, 'slurm.conf');
  writeFileSync(config, configText(folder, cpus, await freePorts(2)));
  for (const part of ['state', 'spool']) mkdirSync(join(folder, part));
  const env = { SLURM_CONF: config };
  const children: ChildProcess[] = [];
  // Without a parent they are killed: nothing of this outlives the tests.
  const start = (more: string[], ...command: string[]) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...more, ...command], {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    });
    children.push(child);
  };
  const asMunge = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const own = (name: string) => `--${name}-file=${join(munge, name)}`;
  start(
    asMunge,
    'munged',
    '--foreground',
    '--force',
    `--socket=${join(munge, 'socket')}`,
    `--key-file=${key}`,
    ...['pid', 'log', 'seed'].map(own),
  );
  await until(() => existsSync(join(munge, 'socket')), 'munged');
  start([], 'slurmctld', '-D', '-f', config);
  start([], 'slurmd', '-D', '-f', config);
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const stop = async () => {
    try {
      run('scancel', '--full', '--signal=KILL', '--user=root');
      run('scancel', '--user=root');
    } catch {
      // It is gone already.
    }
    const ended = children.map(
      (child) =>
        new Promise((resolve) =>
          (child.exitCode ?? child.signalCode) !== null ? resolve(0) : child.on('exit', resolve),
        ),
    );
    for (const child of children.reverse()) child.kill('SIGTERM');
    const late = setTimeout(() => children.forEach((child) => void child.kill('SIGKILL')), 5000);
    await Promise.all(ended);
    clearTimeout(late);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    await until(() => run('sinfo', '-h', '-o', '%T').trim() === 'idle', 'Slurm');
  } catch (error) {
    const log = join(folder, 'slurmctld.log');
    console.error(existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-15).join('\n') : 'no log');
    await stop();
    throw error;
  }
  return { env, run, stop };
}

async function until(ready: () => boolean, what: string): Promise<void> {
  const end = Date.now() + kStart;
  for (;;) {
    try {
      if (ready()) return;
    } catch {
      // Not yet.
    }
    if (Date.now() > end) throw new Error(`${what} did not start`);
    await sleep(100);
  }
}

function userNamed(name: string): { uid: number; gid: number } {
  const [, , uid, gid] = execFileSync('getent', ['passwd', name], { encoding: 'utf8' }).split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function configText(folder: string, cpus: number, [controller, daemon]: number[]): string {
  const host = hostname().split('.')[0];
  return `
ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${controller}
SlurmdPort=${daemon}
AuthType=auth/munge
AuthInfo=socket=${join(folder, 'munge', 'socket')}
SlurmUser=root
SlurmdUser=root
StateSaveLocation=${join(folder, 'state')}
SlurmdSpoolDir=${join(folder, 'spool')}
SlurmctldPidFile=${join(folder, 'slurmctld.pid')}
SlurmdPidFile=${join(folder, 'slurmd.pid')}
SlurmctldLogFile=${join(folder, 'slurmctld.log')}
SlurmdLogFile=${join(folder, 'slurmd.log')}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
KillWait=2
JobRequeue=1
MaxArraySize=8
NodeName=${host} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`;
}
