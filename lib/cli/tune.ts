/** `cortune tune`: a model tuned on a text, several learning rates at once. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { readTexts } from '../data/formats/index.js';
import { CortuneError, expected } from '../errors.js';
import { loadModel, type Model } from '../model/load.js';
import { loadAdapter, saveAdapter } from '../tune/adapter.js';
import { kPackings, type Packing } from '../tune/batches.js';
import { kMethods, methodOf } from '../tune/methods.js';
import { saveModel } from '../tune/save-model.js';
import { kSchedules, type Schedule } from '../tune/schedule.js';
import { type TuneOptions, type TuneResult, tune } from '../tune/tune.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';
import { checkFolders, writeFolder } from './places.js';

interface Options extends CommonOptions {
  model: string;
  text: string;
  column?: string | undefined;
  method: string;
  lr?: string | undefined;
  rank?: number | undefined;
  alpha?: number | undefined;
  targets?: string | undefined;
  steps: number;
  batch: number;
  packing: Packing;
  block: number;
  schedule: Schedule;
  warmup: number;
  weightDecay: number;
  clip: number;
  seed: number;
  dataSeed: number;
  from?: string | undefined;
  out: string;
  force: boolean;
}

/** What one lane came to. */
interface LaneReport {
  name: string;
  dir: string;
  lr: number;
  firstLoss: number | null;
  lastLoss: number | null;
  failedAt: number | null;
}

function parseRates(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const rates = text.split(',').map((part) => Number(part.trim() === '' ? Number.NaN : part));
  if (rates.some((rate) => !Number.isFinite(rate) || rate <= 0))
    throw expected('lr', 'positive numbers separated by commas, such as `1e-4,3e-4`', text);
  if (new Set(rates).size < rates.length) throw expected('lr', 'different learning rates', text);
  return rates;
}

function settings(options: Options, ctx: CommandContext): TuneOptions {
  const { method, steps, batch, packing, block, schedule, warmup, clip, seed } = options;
  const given = { signal: ctx.signal, onProgress: ctx.progress };
  const targets =
    options.targets === 'all-linear' ? options.targets : options.targets?.split(',').map((name) => name.trim());
  return {
    ...given,
    ...{
      method,
      steps,
      batch,
      packing,
      block,
      schedule,
      warmup,
      clip,
      seeds: seed,
      weightDecay: options.weightDecay,
      dataSeed: options.dataSeed,
    },
    ...(options.rank === undefined ? {} : { rank: options.rank }),
    ...(options.alpha === undefined ? {} : { alpha: options.alpha }),
    ...(targets === undefined ? {} : { targets }),
  };
}

/** The name of a lane's folder. */
function laneName(lr: number): string {
  return `lr-${lr}`;
}

/** The folder of one lane: its adapter (or model) and its losses. */
async function saveLane(
  model: Model,
  result: TuneResult,
  k: number,
  { out, force, signal }: { out: string; force: boolean; signal: AbortSignal },
): Promise<LaneReport> {
  const lane = result.lanes.lane(k);
  const { lr } = lane.spec;
  const failedAt = result.failed[k]!;
  const name = laneName(lr);
  const losses = result.losses[k]!.map((loss) => (Number.isFinite(loss) ? loss : null));
  const lines = losses.map((loss, step) => `${JSON.stringify({ step, loss })}\n`);
  const save = methodOf(lane.name).adapter
    ? (dir: string) => saveAdapter(model, result.lanes, k, join(dir, 'adapter'), { signal })
    : (dir: string) => saveModel(model, result.lanes, k, join(dir, 'model'), { signal });
  await writeFolder(out, name, force, async (dir) => {
    if (failedAt === null) await save(dir);
    await writeFile(join(dir, 'losses.jsonl'), lines.join(''));
  });
  return { name, dir: join(out, name), lr, firstLoss: losses[0]!, lastLoss: losses.at(-1)!, failedAt };
}

/** Lane batches: all rates together where the method stacks, else one after the other. */
function laneBatches(method: string, rates: number[] | undefined): (number[] | undefined)[] {
  if (rates === undefined || methodOf(method).stackable) return [rates];
  return rates.map((rate) => [rate]);
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const rates = parseRates(options.lr);
  const method = methodOf(options.method);
  const out = resolve(options.out);
  const texts = await readTexts(options.text, { column: options.column });
  await checkFolders(out, (rates ?? [method.lr]).map(laneName), options.force);
  const loading = { signal: ctx.signal, onProgress: ctx.progress, note: ctx.note };
  using model = await loadModel(options.model, { ...loading, seed: options.seed });
  ctx.note(model.source);
  using from = options.from === undefined ? undefined : await loadAdapter(model, options.from, { signal: ctx.signal });
  const reports: LaneReport[] = [];
  let trainable = 0;
  for (const lr of laneBatches(options.method, rates)) {
    const result = await tune(model, texts, {
      ...settings(options, ctx),
      ...(lr ? { lr } : {}),
      ...(from ? { from } : {}),
    });
    using _lanes = result.lanes;
    trainable = result.trainable;
    for (let k = 0; k < result.lanes.count; k++)
      reports.push(await saveLane(model, result, k, { out, force: options.force, signal: ctx.signal }));
  }
  ctx.result(
    {
      model: { name: options.model, source: model.source, hash: model.hash },
      method: options.method,
      trainable,
      runs: reports,
    },
    () =>
      [
        `${options.method}: ${trainable} trainable parameters a run, ${options.steps} steps.`,
        table(['run', 'first loss', 'last loss', 'saved'], reports.map(row)),
      ].join('\n'),
  );
  const failed = reports.filter((report) => report.failedAt !== null);
  if (failed.length > 0)
    throw new CortuneError(
      'ERR_NUMERIC',
      `Expected finite losses, got none from step ${failed[0]!.failedAt! + 1} on at learning rate ${failed.map((lane) => lane.lr).join(', ')}. The other runs are saved; use a lower rate or a longer warm-up.`,
    );
}

function row(report: LaneReport): (string | number | null)[] {
  return [
    report.name,
    report.firstLoss,
    report.lastLoss,
    report.failedAt === null ? report.dir : `diverged at step ${report.failedAt + 1}`,
  ];
}

export const command: CommandModule<object, Options> = {
  command: 'tune',
  describe: 'Tune a model on a text, several learning rates at once',
  builder: (yargs: Argv) =>
    yargs
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Folder, .gguf file, Hub id or known name; `untrained:NAME` for random weights',
      })
      .option('text', {
        type: 'string',
        demandOption: true,
        describe: 'Texts to learn: .txt (one a line), .jsonl, or .csv/.tsv with --column',
      })
      .option('column', { type: 'string', describe: 'Column of the texts in a .csv, .tsv or .jsonl file' })
      .option('method', { choices: kMethods.map((method) => method.name), default: 'lora', describe: 'Tuning method' })
      .option('lr', { type: 'string', describe: "Learning rates, one run each: 1e-4,3e-4 [default: the method's]" })
      .option('rank', { type: 'number', describe: 'LoRA: rank [default: 8]' })
      .option('alpha', { type: 'number', describe: 'LoRA: the effect is scaled by alpha / rank [default: 8]' })
      .option('targets', {
        type: 'string',
        describe: "LoRA: modules, q_proj,v_proj or all-linear [default: PEFT's for the family]",
      })
      .option('steps', { type: 'number', default: 50, describe: 'Updates' })
      .option('batch', { type: 'number', default: 8, describe: 'Sequences in an update' })
      .option('packing', {
        choices: kPackings,
        default: 'texts' as Packing,
        describe: 'One sequence a text, or texts joined and cut into blocks',
      })
      .option('block', { type: 'number', default: 128, describe: 'Tokens in a block, with --packing blocks' })
      .option('schedule', {
        choices: kSchedules,
        default: 'linear' as Schedule,
        describe: 'Learning rate after the warm-up',
      })
      .option('warmup', { type: 'number', default: 0, describe: 'Steps of warm-up' })
      .option('weight-decay', { type: 'number', default: 0, describe: 'Decoupled weight decay' })
      .option('clip', { type: 'number', default: 1, describe: 'Largest gradient norm of a run; 0 for no clipping' })
      .option('seed', {
        type: 'number',
        default: 0,
        describe: 'Draws fresh adapters, and the weights of an untrained model',
      })
      .option('data-seed', { type: 'number', default: 0, describe: 'Draws the order of the texts' })
      .option('from', { type: 'string', describe: 'Folder of a LoRA adapter to go on from' })
      .option('out', {
        type: 'string',
        demandOption: true,
        describe: 'Folder: one folder a run, with adapter/ (or model/) and losses.jsonl',
      })
      .option('force', { type: 'boolean', default: false, describe: 'Replace runs of these rates that are there' })
      .example(
        '$0 tune --model smollm2-135m --text story.txt --lr 1e-4,3e-4 --steps 50 --out tuned',
        'LoRA at two rates, together',
      )
      .example(
        '$0 tune --model smollm2-135m --text story.txt --method full --lr 2e-5 --out tuned',
        'Every weight',
      ) as never, // yargs' types leave `weightDecay` out
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
