/** `cortune cancel`: stops whoever computes in a results folder: processes of `cortune run` on any host, and Slurm jobs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandModule } from 'yargs';
import { askToStop, liveProcesses } from '../study/live.js';
import { studiesNamed } from '../study/results.js';
import { cancelJobs } from '../study/slurm.js';
import { Store } from '../study/store.js';
import { storeTasks, submissions } from '../study/submissions.js';
import { type CommonOptions, FailedResult, runCommand } from './output.js';

interface Options extends CommonOptions {
  dir: string;
  study?: string | undefined;
}

/** ms that processes are given: they look once a second, and stop within another. */
const kPatience = 8_000;

export const command: CommandModule<object, Options> = {
  command: 'cancel <dir>',
  describe: 'Stop a study, here and on Slurm; what is complete stays',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder' })
      .option('study', { type: 'string', requiresArg: true, describe: 'Only the study of this name' })
      .example('$0 cancel results/alice', 'The same as Ctrl-C where it runs, and scancel')
      .epilogue('`cortune run` or `cortune submit` with the same study goes on from there.') as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const store = await Store.open(argv.dir);
      await studiesNamed(store, argv.study);
      const named = (study: string | undefined) => argv.study === undefined || study === argv.study;
      const all = await submissions(argv.dir);
      const tasks = (await storeTasks(argv.dir)).filter(({ submission }) => named(all.get(submission)?.name));
      const jobs = [...new Set(tasks.map(({ job }) => job))];
      if (jobs.length > 0) await cancelJobs(jobs);
      const asked = await askToStop(argv.dir, ({ kind, study }) => kind === 'run' && named(study));
      const pids = new Set(asked.map(({ owner }) => `${owner.host} ${owner.pid}`));
      const still = () => liveProcesses(argv.dir).filter(({ owner }) => pids.has(`${owner.host} ${owner.pid}`));
      const until = Date.now() + kPatience;
      while (still().length > 0 && Date.now() < until) await sleep(100, undefined, { signal: ctx.signal });
      const left = still();
      ctx.result(
        { stopped: asked.length - left.length, not_yet: left.length, slurm_jobs: jobs, tasks: tasks.length },
        () => said(asked.length, left.length, jobs, tasks.length),
      );
      if (left.length > 0) throw new FailedResult();
    }),
};

function said(asked: number, left: number, jobs: string[], tasks: number): string {
  const parts = [
    asked > left ? `Stopped ${asked - left} ${asked - left === 1 ? 'process' : 'processes'} of cortune run.` : '',
    left > 0 ? `${left} of ${asked} have not answered yet; they stop when they look again.` : '',
    jobs.length > 0 ? `Cancelled ${tasks} ${tasks === 1 ? 'task' : 'tasks'} of Slurm job ${jobs.join(', ')}.` : '',
  ].filter(Boolean);
  return parts.join('\n') || 'Nobody computes here.';
}
