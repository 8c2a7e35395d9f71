/** `cortune submit`: a study as a Slurm job array, one lane batch a task. */
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { type Submitted, submitStudy } from '../study/submit.js';
import { type CommonOptions, runCommand } from './output.js';
import { studyStem } from './run.js';

interface Options extends CommonOptions {
  study: string;
  out?: string | undefined;
  data?: string | undefined;
  size?: string | undefined;
  partition?: string | undefined;
  time?: string | undefined;
  mem?: string | undefined;
  cpus?: number | undefined;
  atOnce?: number | undefined;
  sbatch: string[];
  dryRun: boolean;
  force: boolean;
  retryFailed: boolean;
}

export const command: CommandModule<object, Options> = {
  command: 'submit <study>',
  describe: 'Submit a study to Slurm as a job array, one lane batch a task',
  builder: (yargs) =>
    yargs
      .positional('study', { type: 'string', demandOption: true, describe: 'Study file (YAML or JSON)' })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'Results folder, which every node sees; by default results/ and the name of the study file',
      })
      .option('data', {
        type: 'string',
        requiresArg: true,
        describe: 'Folder of the data, instead of the one the study names',
      })
      .option('size', { type: 'string', requiresArg: true, describe: 'One of the `sizes` that the study has' })
      .option('partition', {
        type: 'string',
        requiresArg: true,
        describe: "Slurm's partition [default: the cluster's]",
      })
      .option('time', {
        type: 'string',
        requiresArg: true,
        describe: "Time limit of a task: 90 (minutes), 1:30:00, 2-12 [default: the partition's]",
      })
      .option('mem', { type: 'string', requiresArg: true, describe: 'Memory of a task: 16G [default: by estimate]' })
      .option('cpus', { type: 'number', requiresArg: true, describe: 'Cores of a task [default: 4]' })
      .option('at-once', { type: 'number', requiresArg: true, describe: 'Tasks that may run at once' })
      .option('sbatch', {
        type: 'string',
        array: true,
        default: [] as string[],
        requiresArg: true,
        describe: 'Another option of sbatch: account=lab, gres=gpu:1',
      })
      .option('dry-run', { type: 'boolean', default: false, describe: 'Print the script; submit and write nothing' })
      .option('retry-failed', { type: 'boolean', default: false, describe: 'Compute runs again that failed before' })
      .option('force', { type: 'boolean', default: false, describe: 'Compute everything again and replace it' })
      .example('$0 submit study.yaml --partition cpu --time 2:00:00 --mem 16G', 'Then: cortune watch results/study')
      .example('$0 submit study.yaml --sbatch account=lab --dry-run', 'The script')
      .epilogue(
        'Only runs that are neither done nor queued are submitted. A task that is killed, preempted or requeued starts its batch\nanew; one whose time ends stops cleanly and goes back into the queue.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const out = argv.out ?? join('results', studyStem(argv.study));
      const { partition, time, mem, cpus, atOnce, dryRun, force, retryFailed, size } = argv;
      const submitted = await submitStudy(argv.study, {
        ...{
          out,
          size,
          partition,
          time,
          mem: mem?.replace(/B$/i, ''),
          cpus,
          atOnce,
          more: argv.sbatch,
          dryRun,
          force,
          retryFailed,
        },
        ...{ dataRoot: argv.data, ...ctx.job, note: ctx.note },
      });
      ctx.result({ out, ...submitted }, () => (dryRun ? submitted.script : said(submitted, out)));
    }),
};

function said({ jobs, tasks, queued }: Submitted, out: string): string {
  const already = queued > 0 ? ` ${queued} runs are in the queue already.` : '';
  if (jobs.length === 0) return `Nothing to submit.${already || ' Every run is there.'}`;
  const what = `${tasks} ${tasks === 1 ? 'task' : 'tasks'} as Slurm job ${jobs.join(', ')}`;
  return `Submitted ${what}.${already}\nSee: cortune watch ${out}; cortune status ${out}; cortune cancel ${out}`;
}
