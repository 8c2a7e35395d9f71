/** `cortune status`: the studies of a results folder, who works on them on any host, and what waits in Slurm's queue. */
import type { CommandModule } from 'yargs';
import type { LiveProcess } from '../study/live.js';
import { type Overview, overview, type RunState, type StudyView } from '../study/overview.js';
import { type CommonOptions, runCommand, table } from './output.js';
import { duration } from './progress.js';

interface Options extends CommonOptions {
  dir: string;
  study?: string | undefined;
  runs: boolean;
}

export const command: CommandModule<object, Options> = {
  command: 'status <dir>',
  describe: 'Show what of a study is done, what runs where, what is queued',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder' })
      .option('study', { type: 'string', requiresArg: true, describe: 'Only the study of this name' })
      .option('runs', { type: 'boolean', default: false, describe: 'List every run with its state' })
      .example('$0 status results/alice', 'One line a study, and one for everybody at work')
      .example('$0 status results/alice --runs', 'Every run')
      .epilogue(
        'Shows processes of `cortune run` on any host that shares the folder, and tasks of `cortune submit` where `squeue` is.\nThe time left is an estimate from the batches that are done.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const found = await overview(argv.dir, { study: argv.study });
      ctx.result(statusJson(found, argv.runs), () => statusText(found, argv.runs));
    }),
};

/** The state of a store for machines. */
export function statusJson({ folder, studies, processes, tasks }: Overview, runs: boolean): object {
  return {
    out: folder,
    studies: studies.map((study) => ({
      name: study.name,
      file: study.file,
      runs: study.runs.length,
      ...study.counts,
      seconds_left: study.secondsLeft === null ? null : Math.round(study.secondsLeft),
      ...(runs && { list: study.runs }),
    })),
    processes: processes.map(({ owner, kind, study, workers, task, started, batch }) => ({
      kind,
      host: owner.host,
      pid: owner.pid,
      study,
      workers,
      task: task ?? null,
      started: new Date(started).toISOString(),
      batch: batch ? { ...batch, since: new Date(batch.since).toISOString() } : null,
    })),
    slurm: tasks,
  };
}

function statusText({ folder, studies, processes, tasks }: Overview, runs: boolean): string {
  if (studies.length === 0) return `${folder} holds no study yet.`;
  const parts = studies.map((study) => studyLine(study));
  const working = processes.map((process) => `  ${processLine(process)}`);
  if (working.length > 0) parts.push('', 'At work:', ...working);
  const waiting = tasks.filter(({ state }) => state !== 'RUNNING');
  if (waiting.length > 0) parts.push('', `In Slurm's queue: ${queueLine(waiting)}`);
  const failed = studies.flatMap((study) => study.runs.filter(({ state }) => state === 'failed'));
  if (failed.length > 0) parts.push('', ...failed.slice(0, 10).map(({ title, error }) => `Failed: ${title}: ${error}`));
  if (failed.length > 10) parts.push(`... and ${failed.length - 10} more failed.`);
  if (runs)
    for (const study of studies)
      parts.push(
        '',
        table(
          ['run', 'state', 'what'],
          study.runs.map(({ id, state, title }) => [id, state, title]),
        ),
      );
  return parts.join('\n');
}

const kStates: readonly RunState[] = ['done', 'failed', 'running', 'queued', 'left'];

/** `alice: 64 runs: 12 done, 4 running, 48 left; about 12 min to go` */
export function studyLine({ name, runs, counts, secondsLeft }: StudyView): string {
  const states = kStates.filter((state) => counts[state] > 0).map((state) => `${counts[state]} ${state}`);
  const time = secondsLeft === null || secondsLeft <= 0 ? '' : `; about ${duration(secondsLeft * 1000)} to go`;
  return `${name}: ${runs.length} runs: ${states.join(', ') || 'none'}${time}`;
}

/** `worker 4711 on node3: 2/9 lora x 4: tune 12/50` */
export function processLine({ kind, owner, workers, task, batch, study }: LiveProcess): string {
  const who = kind === 'slurm' ? `task ${task}` : `${kind} ${owner.pid}`;
  const what = batch
    ? batchText(batch)
    : workers > 0
      ? `${workers} ${workers === 1 ? 'worker' : 'workers'}`
      : 'between batches';
  return `${who} on ${owner.host}, ${study}: ${what}`;
}

/** A batch's stage says its title too. */
function batchText({ title, stage, done, total }: NonNullable<LiveProcess['batch']>): string {
  const said = stage.startsWith(title) ? stage : [title, stage].filter(Boolean).join(': ');
  return total > 0 ? `${said} ${done}/${total}` : said;
}

function queueLine(tasks: Overview['tasks']): string {
  const reasons = new Map<string, number>();
  for (const { state, reason } of tasks) {
    const text = state === 'PENDING' ? `waiting ${reason}` : state.toLowerCase();
    reasons.set(text, (reasons.get(text) ?? 0) + 1);
  }
  return [...reasons].map(([text, count]) => `${count} ${count === 1 ? 'task' : 'tasks'} ${text}`).join(', ');
}
