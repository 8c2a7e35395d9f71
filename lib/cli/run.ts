/** `cortune run`: does a whole study, prints the table of methods x layers, writes the report. */
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { report } from '../report/report.js';
import { runTitle } from '../study/plan.js';
import type { Results, Summary, SummaryRow } from '../study/results.js';
import { ceilingText, summarize } from '../study/results.js';
import { type DryRun, dryRun, runStudy } from '../study/run.js';
import { type CommandContext, type CommonOptions, FailedResult, runCommand, table } from './output.js';
import { bytes, duration } from './progress.js';

interface Options extends CommonOptions {
  study: string;
  out?: string | undefined;
  data?: string | undefined;
  size?: string | undefined;
  dryRun: boolean;
  force: boolean;
  retryFailed: boolean;
  workers?: number | undefined;
}

/** Lines that fit beside each other on a terminal; more are in the report. */
const kColumns = 8;

export const command: CommandModule<object, Options> = {
  command: 'run <study>',
  describe: 'Run a whole study: tune, embed, score, report',
  builder: (yargs) =>
    yargs
      .positional('study', { type: 'string', demandOption: true, describe: 'Study file (YAML or JSON)' })
      .option('out', { type: 'string', describe: 'Results folder; by default results/ and the name of the study file' })
      .option('data', { type: 'string', describe: 'Folder of the data, instead of the one the study names' })
      .option('size', { type: 'string', requiresArg: true, describe: 'One of the `sizes` that the study has' })
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'Show the plan, its cost, and what is done; compute nothing',
      })
      .option('retry-failed', { type: 'boolean', default: false, describe: 'Compute runs again that failed before' })
      .option('workers', {
        type: 'number',
        requiresArg: true,
        describe: 'Worker processes, 0 for none; by default by cores, GPUs and memory',
      })
      .option('force', { type: 'boolean', default: false, describe: 'Compute everything again and replace it' })
      .example('$0 run examples/quick.yaml', 'A small study on a simulated subject')
      .example('$0 run examples/alice.yaml --dry-run', 'What it would do')
      .example('$0 run study.yaml --out results/mine --data ~/data/alice', 'With the data somewhere else')
      .epilogue(
        'Ctrl-C (or a crash, or kill -9) loses at most the lane batch in flight: the same command goes on from there and\nends with the same numbers. Runs that are complete are used again, also by other studies in the same folder.\nexamples/alice.yaml explains the study file.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const out = argv.out ?? join('results', studyStem(argv.study));
      const common = { dataRoot: argv.data, size: argv.size, ...ctx.job, note: ctx.note };
      if (argv.dryRun) {
        const { force, retryFailed, workers } = argv;
        const plan = await dryRun(argv.study, { ...common, out, force, retryFailed, workers, calibrate: true });
        ctx.result(planJson(plan), () => planText(plan));
        return;
      }
      const { force, retryFailed, workers = 'auto' } = argv;
      const results = await runStudy(argv.study, { ...common, out, force, retryFailed, workers }).catch((error) => {
        if (ctx.signal.aborted) ctx.note(`What is complete stays in ${out}; the same command goes on from there.`);
        throw error;
      });
      await show(results, out, ctx);
    }),
};

function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}

/** The name of a study's file without its ending: what its results folder is called. */
export function studyStem(study: string): string {
  return (study.split(/[\\/]/).at(-1) ?? 'study').replace(/\.[^.]*$/, '');
}

async function show(results: Results, out: string, ctx: CommandContext): Promise<void> {
  const summary = summarize(results);
  const page = resolve(await report(out, { study: results.studies[0]?.name }));
  const sources = sourcesOf(results);
  ctx.result(resultJson(results, summary, page), () =>
    [...sources, '', tableText(summary), '', `Report: ${page}`].join('\n'),
  );
  const failed = summary.rows.filter((row) => row.status === 'failed');
  for (const row of failed) ctx.note(`Failed: ${row.title}: ${row.error}`);
  if (failed.length === summary.rows.length) throw new FailedResult();
}

/** Which data, which model: said plainly, before any number. */
function sourcesOf({ runs }: Results): string[] {
  const records = runs.map((run) => run.record);
  const data = new Set(records.map((record) => `Data: ${record.data.source}`));
  const models = new Set(records.flatMap((record) => (record.model ? [`Model: ${record.model.source}`] : [])));
  const warnings = new Set(records.flatMap((record) => record.warnings.filter((line) => /shuffled/i.test(line))));
  return [...data, ...models, ...warnings];
}

function resultJson(results: Results, summary: Summary, page: string): unknown {
  const rows = summary.rows.map(({ r, bestR, bestNormalized, ...row }) => ({
    ...row,
    r,
    best_r: bestR,
    best_r_over_ceiling: bestNormalized,
  }));
  const { data, model } = results.runs[0]?.record ?? {};
  return { out: results.folder, report: page, data, model, over: summary.over, ceiling: summary.ceiling, runs: rows };
}

/** Layers down, methods across; below it one line a run. */
function tableText(summary: Summary): string {
  const ceiling = ceilingText(summary);
  const done = summary.rows.filter((row) => row.status === 'done');
  const curves = done.filter((row) => row.layers.length > 1);
  const parts = [`Mean held-out Pearson r over ${summary.over}.`];
  if (curves.length > 0 && curves.length <= kColumns) parts.push(layersText(curves));
  else if (curves.length > kColumns) parts.push(`${curves.length} runs; the report shows every layer of each.`);
  parts.push(
    table(
      ['run', 'best layer', 'r', 'r/ceiling'],
      done.map((row) => [
        row.title,
        row.layers.length > 1 ? row.bestLayer : '-',
        row.bestR.toFixed(3),
        row.bestNormalized.toFixed(3).replace('NaN', '-'),
      ]),
    ),
    ceiling === undefined ? 'No ceiling could be estimated.' : `Ceiling: ${ceiling}.`,
  );
  return parts.join('\n\n');
}

function layersText(rows: SummaryRow[]): string {
  const layers = [...new Set(rows.flatMap((row) => row.layers))].sort((a, b) => a - b);
  const titles = shortTitles(rows);
  return table(
    ['layer', ...titles],
    layers.map((layer) => [String(layer), ...rows.map((row) => cell(row, layer))]),
  );
}

function cell(row: SummaryRow, layer: number): string {
  const value = row.r[row.layers.indexOf(layer)] ?? Number.NaN;
  if (!Number.isFinite(value)) return '-';
  return `${value.toFixed(3).replace('-0.000', '0.000')}${layer === row.bestLayer ? ' *' : '  '}`;
}

/** Methods alone when they tell the runs apart, else whole titles. */
function shortTitles(rows: SummaryRow[]): string[] {
  const methods = rows.map((row) => row.method);
  return new Set(methods).size === methods.length ? methods : rows.map((row) => row.title);
}

function planJson({ study, plan, batches, speed, shares }: DryRun): unknown {
  return {
    name: study.name,
    runs: plan.runs.length,
    seconds: Math.round(timeOf(batches) * 10) / 10,
    workers: shares?.workers ?? 0,
    estimated_from: speed?.from ?? null,
    batches: plan.batches.map((batch, i) => ({
      method: batch.method,
      model: batch.model,
      lanes: batch.runs.length,
      pending: batches[i]!.pending,
      flops: batches[i]!.cost.flops,
      memory_bytes: batches[i]!.cost.memory,
      seconds: Math.round(batches[i]!.seconds * 10) / 10,
      runs: batch.runs.map((run) => ({ id: run.id, title: runTitle(run.labels), ...run.labels })),
    })),
  };
}

/** s of all that is to do. Workers share the cores: together they are taken to be as fast as one that has all. */
function timeOf(batches: DryRun['batches']): number {
  return batches.reduce((sum, { seconds }) => sum + seconds, 0);
}

function planText({ study, plan, batches, data, models, speed, shares }: DryRun): string {
  const sources = data.map(({ simulated, measured, name, rows, targets }) => {
    const files = measured?.simulated ? 'SIMULATED responses in the files of a data set' : 'real measurements';
    const what = simulated ? 'a simulated subject' : `${files} (${measured?.name})`;
    return `Data: ${data.length > 1 ? `${name}: ` : ''}${what}, ${rows} rows, ${targets} targets`;
  });
  const rows = plan.batches.map((batch, i) => {
    const { cost, pending, seconds } = batches[i]!;
    const state = pending === 0 ? 'done' : pending < batch.runs.length ? `${pending} to do` : 'to do';
    return [
      batch.runs.map((run) => runTitle(run.labels)).join(', '),
      String(batch.runs.length),
      state,
      flopsText(cost.flops),
      bytes(cost.memory),
      pending === 0 ? '-' : duration(seconds * 1000),
    ];
  });
  const left = batches.filter(({ pending }) => pending > 0).map(({ cost }) => cost);
  const total = left.reduce((sum, cost) => sum + cost.flops, 0);
  const peak = Math.max(0, ...left.map((cost) => cost.memory));
  const shapes = [...models.values()].map(
    (model) =>
      `${model.name}: ${model.parameters.toLocaleString('en')} parameters, ${model.config.layers} layers; ${model.source}`,
  );
  return [
    `${study.name}: ${counted(plan.runs.length, 'run')} in ${counted(plan.batches.length, 'lane batch', 'lane batches')}`,
    ...sources,
    ...shapes.map((line) => `Model: ${line}`),
    '',
    table(['batch', 'lanes', 'state', 'work', 'memory', 'time'], rows),
    '',
    `To do: ${flopsText(total)}, ${bytes(peak)} of memory at the peak${timeText(batches, speed, shares)}.`,
  ].join('\n');
}

function flopsText(flops: number): string {
  return flops >= 1e12 ? `${(flops / 1e12).toFixed(1)} TFLOP` : `${(flops / 1e9).toFixed(1)} GFLOP`;
}

/** `; about 12 min here with 1 worker of 8 threads, by a short measurement (estimates)` */
function timeText(batches: DryRun['batches'], speed: DryRun['speed'], shares: DryRun['shares']): string {
  if (!speed || !shares) return ' (estimates)';
  const { workers, threads } = shares;
  const who = `${workers} ${workers === 1 ? 'worker' : 'workers'} of ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const by = speed.from === 'runs' ? 'by the runs that are done' : 'by a short measurement';
  return `; about ${duration(timeOf(batches) * 1000)} here with ${who}, ${by} (estimates)`;
}
