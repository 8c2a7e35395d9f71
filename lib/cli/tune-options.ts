/** The options of `cortune tune`. */

import type { Argv } from 'yargs';
import { kPrecisions } from '../precision.js';
import { kObjectives, kPackings, type Objective, type Packing } from '../tune/examples.js';
import { kMethods } from '../tune/methods.js';
import type { ReadExamplesOptions } from '../tune/read-examples.js';
import { kSchedules } from '../tune/schedule.js';
import { kModelOption } from './model-options.js';
import type { CommonOptions } from './output.js';
import type { GridOptions } from './tune-grid.js';

export interface TuneCommandOptions extends CommonOptions, GridOptions, ReadExamplesOptions {
  model: string;
  text: string;
  objective?: Objective | undefined;
  validation?: string | undefined;
  evaluateEvery?: number | undefined;
  patience?: number | undefined;
  halving?: number | undefined;
  rungs?: string | undefined;
  steps: number;
  batch: number;
  accumulate: number;
  packing: Packing;
  block: number;
  clip: number;
  dataSeed: number;
  memory?: string | undefined;
  checkpointing: boolean;
  precision: string;
  from?: string | undefined;
  out: string;
  force: boolean;
}

const kLists = 'a comma list is a grid';

/** Adds them to a command. */
export function tuneOptions(yargs: Argv): Argv<TuneCommandOptions> {
  return yargs
    .option('model', kModelOption)
    .option('text', {
      type: 'string',
      demandOption: true,
      describe: 'What to learn: .txt (one text a line), .jsonl, .csv, .tsv or .parquet',
    })
    .option('column', { type: 'string', describe: 'Column of the texts [default: text, sentence or stimulus]' })
    .option('prompt', { type: 'string', describe: 'Column of prompts, with --completion [default: prompt]' })
    .option('completion', {
      type: 'string',
      describe: 'Column of completions: they alone are learnt [default: completion]',
    })
    .option('label', { type: 'string', describe: 'Column of classes or values to predict from the texts' })
    .option('objective', {
      choices: kObjectives,
      describe: 'What is learnt [default: by the labels; else causal, for encoders masked]',
    })
    .option('validation', { type: 'string', describe: 'Held-out texts, a file as --text' })
    .option('evaluate-every', {
      type: 'number',
      describe: 'Updates between evaluations [default: a tenth of the steps]',
    })
    .option('patience', {
      type: 'number',
      describe: 'Evaluations without a better loss that end a run; the best state is kept',
    })
    .option('halving', {
      type: 'number',
      describe: 'One run in so many of a batch goes on after each rung (successive halving)',
    })
    .option('rungs', { type: 'string', describe: 'With --halving: the updates after which runs are compared' })
    .option('method', {
      type: 'string',
      default: 'lora',
      describe: `Tuning method (${kMethods.map((method) => method.name).join(', ')}); ${kLists}`,
    })
    .option('lr', { type: 'string', describe: `Learning rates; ${kLists} [default: the method's]` })
    .option('rank', { type: 'string', describe: `LoRA and its kin: rank; ${kLists} [default: the method's]` })
    .option('alpha', {
      type: 'string',
      describe: `LoRA and its kin: the effect is scaled by alpha / rank; ${kLists} [default: 8]`,
    })
    .option('targets', {
      type: 'string',
      describe: "Modules, q_proj,v_proj or all-linear or /a regular expression/ [default: PEFT's for the family]",
    })
    .option('set', {
      type: 'string',
      array: true,
      describe: 'Another option of the method, such as dora=true; `cortune methods NAME` lists them',
    })
    .option('steps', { type: 'number', default: 50, describe: 'Updates' })
    .option('batch', { type: 'number', default: 8, describe: 'Sequences in a pass' })
    .option('accumulate', { type: 'number', default: 1, describe: 'Passes whose gradients add up to one update' })
    .option('packing', {
      choices: kPackings,
      default: 'texts' as Packing,
      describe: 'One sequence a text, or texts joined and cut into blocks',
    })
    .option('block', { type: 'number', default: 128, describe: 'Tokens in a block, with --packing blocks' })
    .option('schedule', {
      type: 'string',
      default: 'linear',
      describe: `Learning rate after the warm-up (${kSchedules.join(', ')}); ${kLists}`,
    })
    .option('warmup', { type: 'string', default: '0', describe: `Steps of warm-up; ${kLists}` })
    .option('weight-decay', { type: 'string', default: '0', describe: `Decoupled weight decay; ${kLists}` })
    .option('clip', { type: 'number', default: 1, describe: 'Largest gradient norm of a run; 0 for no clipping' })
    .option('seed', {
      type: 'string',
      default: '0',
      describe: `Draws fresh adapters; the first, the weights of an untrained model; ${kLists}`,
    })
    .option('data-seed', { type: 'number', default: 0, describe: 'Draws the order of the texts' })
    .option('memory', {
      type: 'string',
      describe: 'Memory to stay within, such as 8GB: runs are divided into batches that fit',
    })
    .option('precision', {
      choices: kPrecisions,
      default: 'fp32',
      describe: "Products with the model's weights in float32 or bfloat16 (faster with AMX or AVX512-BF16)",
    })
    .option('checkpointing', {
      type: 'boolean',
      default: false,
      describe: 'Compute blocks again in the backward pass: less memory, more time, same losses',
    })
    .option('from', { type: 'string', describe: 'Folder of an adapter to go on from' })
    .option('out', {
      type: 'string',
      demandOption: true,
      describe: 'Folder: one folder a run, with adapter/ (or model/) and losses.jsonl',
    })
    .option('force', { type: 'boolean', default: false, describe: 'Replace runs of these names that are there' })
    .example(
      '$0 tune --model smollm2-135m --text story.txt --lr 1e-4,3e-4,1e-3,3e-3 --rank 4,16 --seed 0,1 --out tuned',
      'Sixteen LoRA runs, together',
    )
    .example(
      '$0 tune --model smollm2-135m --text pairs.jsonl --validation held.jsonl --patience 3 --lr 1e-4,1e-3 --out tuned',
      'Completions; each run ends with its best state',
    )
    .example(
      '$0 tune --model smollm2-135m --text story.txt --method lora,ia3,prompt --set dora=true --out tuned',
      'Three methods in one pass, LoRA as DoRA',
    )
    .example(
      '$0 tune --model smollm2-135m --text story.txt --method full --lr 2e-5 --out tuned',
      'Every weight',
    ) as never; // yargs' types leave camel-case names out
}
