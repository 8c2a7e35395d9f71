/** `cortune watch`: a study while it is computed, on a terminal, as lines, or as JSON lines. Ends when the study does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { CommandModule } from 'yargs';
import { bestLayers, type Watched } from '../study/best.js';
import { type KnownRun, type Overview, overview } from '../study/overview.js';
import { type CommandContext, type CommonOptions, FailedResult, runCommand } from './output.js';
import { processLine, statusJson, studyLine } from './status.js';

interface Options extends CommonOptions {
  dir: string;
  study?: string | undefined;
  every: number;
}

/** Looks at a store where nobody works, after which watching ends: who starts both at once should not miss it. */
const kIdle = 10;
const kSparks = '▁▂▃▄▅▆▇█';
const kBest = 5;
/** Characters of a loss curve. */
const kCurve = 40;

export const command: CommandModule<object, Options> = {
  command: 'watch <dir>',
  describe: 'Watch a study while it runs: losses, best layers, time left',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder' })
      .option('study', { type: 'string', requiresArg: true, describe: 'Only the study of this name' })
      .option('every', { type: 'number', default: 1, requiresArg: true, describe: 'Seconds between looks' })
      .example('$0 watch results/alice', 'Until it ends; Ctrl-C stops watching, not the study')
      .example('$0 watch results/alice --json', 'One JSON document a line, for programs')
      .epilogue(
        'Ends with 0 when every run is there, with 1 when runs are left and nobody works on them. Without a terminal a line\nis printed when something has changed.',
      ) as never,
  handler: (argv) => runCommand(argv, (ctx) => watch(argv, ctx)),
};

async function watch({ dir, study, every }: Options, ctx: CommandContext): Promise<void> {
  const screen = screenFor(ctx);
  const known = new Map<string, KnownRun>();
  const best: Watched = { seen: new Set(), best: [] };
  let idle = 0;
  for (;;) {
    const now = await overview(dir, { study, known });
    await bestLayers(dir, now, best);
    const left = now.studies.reduce((sum, { counts }) => sum + counts.running + counts.queued + counts.left, 0);
    screen.show(now, best);
    if (left === 0) break;
    idle = now.processes.length + now.tasks.length > 0 ? 0 : idle + 1;
    if (idle >= kIdle) {
      ctx.note(
        `Nobody computes here, and ${left} runs are left. \`cortune run\` or \`cortune submit\` goes on with them.`,
      );
      screen.end();
      throw new FailedResult();
    }
    await sleep(Math.max(0.1, every) * 1000, undefined, { signal: ctx.signal }).catch(() => {});
    if (ctx.signal.aborted) break;
  }
  screen.end();
}

interface Screen {
  show(now: Overview, best: Watched): void;
  end(): void;
}

function screenFor({ json, quiet }: CommandContext): Screen {
  const print = (line: string) => process.stdout.write(`${line}\n`);
  let last = '';
  const whenNew = (line: string) => {
    if (line !== last) print(line);
    last = line;
  };
  if (json)
    return {
      show: (now, { best }) => whenNew(JSON.stringify({ ...statusJson(now, false), best })),
      end: () => {},
    };
  if (!process.stdout.isTTY || quiet)
    return { show: (now) => whenNew(now.studies.map((study) => plainLine(study)).join('\n')), end: () => {} };
  const terminal = createLogUpdate(process.stdout);
  return {
    show: (now, best) => terminal(viewText(now, best, process.stdout.columns ?? 80, process.stdout.rows ?? 24)),
    end: () => terminal.done(),
  };
}

/** Without the time left, which changes at every look. */
function plainLine(study: Overview['studies'][number]): string {
  return studyLine({ ...study, secondsLeft: null });
}

/** The whole view, cut to the size of the terminal. */
export function viewText(now: Overview, { best }: Watched, columns: number, rows: number): string {
  const lines: string[] = [];
  for (const study of now.studies) {
    const { done, failed } = study.counts;
    lines.push(studyLine(study), bar((done + failed) / Math.max(1, study.runs.length), Math.min(60, columns - 2)));
  }
  if (now.studies.length === 0) lines.push('No study yet.');
  for (const process of now.processes) {
    lines.push('', processLine(process));
    for (const [k, losses] of (process.batch?.losses ?? []).entries())
      if (losses.length > 1)
        lines.push(
          `  ${sparkline(losses, kCurve).padEnd(kCurve)} ${shown(losses.at(-1)!)}  ${process.batch!.lanes[k]}`,
        );
  }
  const waiting = now.tasks.filter(({ state }) => state !== 'RUNNING').length;
  if (waiting > 0) lines.push('', `${waiting} ${waiting === 1 ? 'task' : 'tasks'} in Slurm's queue`);
  if (best.length > 0) lines.push('', 'Best layers so far (mean r over targets):');
  for (const { title, layer, r } of best.slice(0, kBest)) lines.push(`  ${r.toFixed(3)}  layer ${layer}  ${title}`);
  for (const { title, error } of now.studies
    .flatMap(({ runs }) => runs.filter(({ state }) => state === 'failed'))
    .slice(-3))
    lines.push(`Failed: ${title}: ${error}`);
  const fit = lines.length > rows - 1 ? [...lines.slice(0, rows - 2), '...'] : lines;
  return fit.map((line) => (line.length > columns - 1 ? `${line.slice(0, columns - 2)}…` : line)).join('\n');
}

function bar(share: number, width: number): string {
  const filled = Math.round(share * width);
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
}

function shown(loss: number | null): string {
  return loss !== null && Number.isFinite(loss) ? loss.toFixed(3) : 'diverged';
}

/** A curve in one line of at most `width` characters, each the mean of the points it stands for; `!` where one of them is not finite. */
export function sparkline(values: readonly (number | null)[], width: number): string {
  const count = Math.min(values.length, width);
  const points = Array.from({ length: count }, (_, i) => {
    const some = values.slice(Math.floor((i * values.length) / count), Math.floor(((i + 1) * values.length) / count));
    return some.reduce<number>((sum, value) => sum + (value ?? Number.NaN), 0) / some.length;
  });
  const finite = points.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const spark = (value: number) =>
    Number.isFinite(value) ? kSparks[high > low ? Math.round(((value - low) / (high - low)) * 7) : 0] : '!';
  return points.map(spark).join('');
}
