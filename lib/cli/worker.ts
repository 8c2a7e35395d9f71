/** `cortune worker`: one task of what `cortune submit` has submitted; Slurm calls it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandModule } from 'yargs';
import { runTask } from '../study/task.js';
import { type CommonOptions, runCommand } from './output.js';

interface Options extends CommonOptions {
  dir: string;
  job: string;
  task: number;
}

/** s in which Slurm ends a task that it has put back into the queue; its own word for that is KillWait. */
const kEnd = 60;

export const command: CommandModule<object, Options> = {
  command: 'worker <dir>',
  describe: 'Compute one task of a submitted study; Slurm calls it',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder' })
      .option('job', { type: 'string', demandOption: true, requiresArg: true, describe: 'Folder of it in DIR/jobs' })
      .option('task', { type: 'number', demandOption: true, requiresArg: true, describe: 'Number of the task, from 0' })
      .example('$0 worker results/alice --job alice-1f0c9a2b --task 3', 'The fourth lane batch, by hand')
      .epilogue(
        'SIGUSR1 says that the time limit is near: what is being computed is given up, what is complete stays, and the\ntask puts itself back into the queue.',
      ) as never,
  handler: (argv) => {
    const limit = new AbortController();
    process.on('SIGUSR1', () => limit.abort());
    return runCommand(argv, async (ctx) => {
      const { SLURM_JOB_ID: slurmJob, SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: index } = process.env;
      const ended = await runTask(argv.dir, argv.job, argv.task, {
        limit: limit.signal,
        signal: ctx.signal,
        onProgress: ctx.progress,
        note: ctx.note,
        slurmJob,
        label: array === undefined ? undefined : `${array}_${index}`,
      });
      ctx.result({ task: argv.task, ended }, `Task ${argv.task}: ${ended}.`);
      // Slurm ends a task that is in the queue again; leaving first would look like its end.
      if (ended === 'requeued') await sleep(kEnd * 1000, undefined, { signal: ctx.signal }).catch(() => {});
    });
  },
};
