/** `cortune tune`: a model tuned on texts, a grid of runs at once. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { CortuneError } from '../errors.js';
import { loadModel, type Model } from '../model/load.js';
import { precisionOf } from '../precision.js';
import { loadAdapter, saveAdapter } from '../tune/adapter.js';
import { parseMemory } from '../tune/memory.js';
import { methodOf } from '../tune/methods.js';
import { readExamples } from '../tune/read-examples.js';
import { saveModel } from '../tune/save-model.js';
import { type SweepOptions, sweep } from '../tune/sweep.js';
import type { TuneResult } from '../tune/tune.js';
import { type CommandContext, runCommand, table } from './output.js';
import { checkFolders, writeFolder } from './places.js';
import { type GridRun, gridOf } from './tune-grid.js';
import { type TuneCommandOptions, tuneOptions } from './tune-options.js';

/** What one run came to. */
interface RunReport {
  name: string;
  dir: string;
  method: string;
  lr: number;
  seed: number;
  options: Record<string, number>;
  trainable: number;
  firstLoss: number | null;
  lastLoss: number | null;
  /** Of the state that is saved; null without validation texts. */
  validationLoss: number | null;
  /** Updates behind the state that is saved. */
  updates: number;
  failedAt: number | null;
  stopped: { updates: number; by: 'patience' | 'halving' } | null;
}

function settings(options: TuneCommandOptions, grid: readonly GridRun[], ctx: CommandContext): SweepOptions {
  const { steps, batch, accumulate, packing, block, clip, dataSeed, checkpointing } = options;
  const precision = precisionOf(options.precision);
  const { objective, evaluateEvery, patience, halving, rungs, memory } = options;
  const chosen = { objective, evaluateEvery, patience };
  return {
    ...{
      runs: grid.map(({ run }) => run),
      steps,
      batch,
      accumulate,
      packing,
      block,
      clip,
      dataSeed,
      checkpointing,
      precision,
    },
    ...Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined)),
    ...(halving === undefined
      ? {}
      : { halving: { factor: halving, ...(rungs === undefined ? {} : { rungs: rungs.split(',').map(Number) }) } }),
    memory: memory === undefined ? undefined : parseMemory(memory),
    signal: ctx.signal,
    onProgress: ctx.progress,
  };
}

const finite = (loss: number | undefined) => (loss !== undefined && Number.isFinite(loss) ? loss : null);

/** One line a step: its loss, and the validation loss after it where there is one. */
function history(result: TuneResult, k: number): string {
  const held = new Map(result.validation[k]!.map(({ updates, loss }) => [updates - 1, loss]));
  return result.losses[k]!.map((loss, step) => {
    const validation = held.get(step);
    return `${JSON.stringify({ step, loss: finite(loss), ...(validation === undefined ? {} : { validation }) })}\n`;
  }).join('');
}

/** The folder of one run: its adapter (or model) and its losses. */
async function saveRun(
  model: Model,
  result: TuneResult,
  k: number,
  name: string,
  { out, force, signal }: { out: string; force: boolean; signal: AbortSignal },
): Promise<RunReport> {
  const { name: method, spec } = result.lanes.lane(k);
  const failedAt = result.failed[k]!;
  const save = methodOf(method).adapter
    ? (dir: string) => saveAdapter(model, result.lanes, k, join(dir, 'adapter'), { signal })
    : (dir: string) => saveModel(model, result.lanes, k, join(dir, 'model'), { signal });
  await writeFolder(out, name, force, async (dir) => {
    if (failedAt === null) await save(dir);
    await writeFile(join(dir, 'losses.jsonl'), history(result, k));
  });
  const losses = result.losses[k]!;
  const updates = result.best[k]!;
  return {
    name,
    dir: join(out, name),
    method,
    ...{ lr: spec.lr, seed: spec.seed, options: spec.options ?? {}, trainable: result.trainable[k]! },
    firstLoss: finite(losses[0]),
    lastLoss: finite(losses[(result.stopped[k]?.updates ?? losses.length) - 1]),
    validationLoss: finite(result.validation[k]!.find((each) => each.updates === updates)?.loss),
    updates,
    failedAt,
    stopped: result.stopped[k]!,
  };
}

async function run(options: TuneCommandOptions, ctx: CommandContext): Promise<void> {
  const grid = gridOf(options);
  const out = resolve(options.out);
  const sweepOptions = settings(options, grid, ctx);
  const examples = await readExamples(options.text, options);
  const validation = options.validation === undefined ? undefined : await readExamples(options.validation, options);
  await checkFolders(
    out,
    grid.map(({ name }) => name),
    options.force,
  );
  const seed = grid[0]!.run.seed ?? 0;
  using model = await loadModel(options.model, { ...ctx.job, note: ctx.note, seed });
  ctx.note(model.source);
  using from = options.from === undefined ? undefined : await loadAdapter(model, options.from, { signal: ctx.signal });
  const reports: RunReport[] = [];
  let last: TuneResult | undefined;
  const parts = sweep(model, examples, {
    ...sweepOptions,
    onPrepared: ({ fresh, data }) => {
      if (fresh.length > 0)
        ctx.note(
          `${model.name} has no ${fresh.join(', ')} for objective ${data.objective}: drawn at random, as transformers does.`,
        );
    },
    ...(validation ? { validation } : {}),
    ...(from ? { from } : {}),
  });
  for await (const { runs, result } of parts) {
    using _lanes = result.lanes;
    last = result;
    for (const [k, number] of runs.entries())
      reports.push(
        await saveRun(model, result, k, grid[number]!.name, { out, force: options.force, signal: ctx.signal }),
      );
  }
  const { objective, classes, fresh } = last!;
  ctx.result(
    {
      model: { name: options.model, source: model.source, hash: model.hash, fresh },
      objective,
      classes,
      runs: reports,
    },
    () =>
      [
        `${reports.length === 1 ? 'One run' : `${reports.length} runs`} of ${options.steps} steps, objective ${objective}.`,
        table(kHeader, reports.map(row)),
      ].join('\n'),
  );
  complain(reports);
}

/** Runs that diverged end the command with an error, after everything else is saved and shown. */
function complain(reports: readonly RunReport[]): void {
  const failed = reports.filter((report) => report.failedAt !== null);
  if (failed.length > 0)
    throw new CortuneError(
      'ERR_NUMERIC',
      `Expected finite losses and gradients, got none from step ${failed[0]!.failedAt! + 1} on in ${failed.map(({ name }) => name).join(', ')}. The other runs are saved; use a lower rate or a longer warm-up.`,
    );
}

const kHeader = ['run', 'parameters', 'first loss', 'last loss', 'validation', 'updates', 'saved'];

function row({ failedAt, stopped, ...report }: RunReport): (string | number | null)[] {
  const { name, trainable, firstLoss, lastLoss, validationLoss, updates, dir } = report;
  const end = failedAt !== null ? `diverged at step ${failedAt + 1}` : stopped ? `${dir} (${stopped.by})` : dir;
  return [name, trainable, firstLoss, lastLoss, validationLoss, updates, end];
}

export const command: CommandModule<object, TuneCommandOptions> = {
  command: 'tune',
  describe: 'Tune a model on texts, a grid of methods, rates, ranks and seeds at once',
  builder: tuneOptions,
  handler: (argv: ArgumentsCamelCase<TuneCommandOptions>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
