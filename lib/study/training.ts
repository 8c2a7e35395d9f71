/** What tuned runs learn from (files of the study's tasks, or its stimuli; all of it or a share), and the tuning of one lane batch. */
import { readTexts } from '../data/formats/index.js';
import { readRecords } from '../data/formats/records.js';
import type { Stimuli } from '../data/types.js';
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { ProbeItem } from '../probe/items.js';
import { variablesOf } from '../probe/read-items.js';
import { Random } from '../random.js';
import { decisions } from '../tasks/decisions.js';
import { type Completion, type Example, isCompletion, type Packing } from '../tune/examples.js';
import { parseMemory } from '../tune/memory.js';
import { type ReadExamplesOptions, readExamples } from '../tune/read-examples.js';
import { type SweepPart, sweep } from '../tune/sweep.js';
import { tuningTexts } from './data.js';
import type { Batch, Run } from './plan.js';
import { type Study, studyPath } from './schema.js';
import { kStimuli, type TaskEntry } from './schema-tasks.js';

/** The files of a task, read. */
export interface TaskItems {
  /** Undefined where these are the texts of the stimuli. */
  examples: Example[] | undefined;
  validation: Example[] | undefined;
  /** Undefined without a test; `stimuli` where it is their texts. */
  test: Example[] | typeof kStimuli | undefined;
  /** The same with their variables, for `probe`; undefined where they have no prompts and completions. */
  items?: ProbeItem[] | undefined;
}

/** The files of a study's sections `tasks` and `decode`, read. */
export interface Training {
  /** Of each task of the study. */
  tasks: TaskItems[];
  /** A label for each row of the responses, for classifiers. */
  labels?: string[] | undefined;
}

/** Reads them. Throws what `readExamples` throws. */
export async function readTraining(study: Study): Promise<Training> {
  const { labels, column: of } = study.decode ?? {};
  const tasks: TaskItems[] = [];
  for (const task of study.tasks) tasks.push(await readTask(study, task));
  return {
    tasks,
    labels: labels === undefined ? undefined : await readTexts(studyPath(study, labels), { column: of }),
  };
}

async function readTask(study: Study, task: TaskEntry): Promise<TaskItems> {
  if (task.generate) {
    const { train, test } = decisions(task.generate);
    const asExamples = (trials: typeof train) =>
      trials.slice(0, task.limit).map(({ variables: _, ...example }) => example);
    return {
      examples: asExamples(train),
      validation: undefined,
      test: asExamples(test),
      items: test.slice(0, task.limit),
    };
  }
  const { text, validation, test, column, prompt, completion, label, choices, references, by, limit } = task;
  const read = (path: string | undefined, more: ReadExamplesOptions = {}) =>
    path === undefined || path === kStimuli
      ? undefined
      : readExamples(studyPath(study, path), { column, prompt, completion, label, limit, ...more });
  const held = test === kStimuli ? kStimuli : await read(test, { choices, references });
  const probed = (study.probe ?? by) !== undefined && Array.isArray(held) && held.every(isCompletion);
  return {
    examples: await read(text),
    validation: await read(validation),
    test: held,
    ...(probed && { items: await probedItems(studyPath(study, test!), held) }),
  };
}

/** Test items with what else their file says of them. */
async function probedItems(path: string, held: readonly Completion[]): Promise<ProbeItem[]> {
  const { rows } = await readRecords(path);
  return held.map((item, i) => ({ ...item, variables: variablesOf(rows[i]!) }));
}

/** How a task's examples become sequences: plain texts as the study says, all else one each. */
export function packingOf(study: Study, examples: readonly Example[]): Packing {
  return examples.every((example) => typeof example === 'string') ? study.tune.packing : 'texts';
}

/**
 * A share of the examples, in their order: the first words of a single text, else some of several, drawn by `seed`. What is in a smaller
 * share is in the larger ones, too.
 */
export function shareOf(examples: readonly Example[], fraction: number, seed: number): Example[] {
  if (fraction >= 1) return [...examples];
  const [only] = examples;
  if (examples.length === 1 && typeof only === 'string') {
    const words = only.split(/(?<=\s)(?=\S)/);
    return [
      words
        .slice(0, Math.ceil(fraction * words.length))
        .join('')
        .trimEnd(),
    ];
  }
  const count = Math.ceil(fraction * examples.length);
  const chosen = [...new Random(seed).permutation(examples.length)].slice(0, count).sort((a, b) => a - b);
  return chosen.map((i) => examples[i]!);
}

/** A part of a lane batch after tuning: its runs, and their places among the lanes. */
export interface TunedPart extends Omit<SweepPart, 'runs'> {
  runs: { run: Run; lane: number }[];
}

/**
 * Tunes the lanes of a batch, in parts where `memory` is limited. Runs that halving compares are tuned with those that are there already, and
 * only the others are given back. Dispose the lanes of each part.
 */
export async function* tuneBatch(
  model: Model,
  batch: Batch,
  study: Study,
  stimuli: Stimuli,
  training: Training,
  job: JobOptions,
): AsyncGenerator<TunedPart, void, undefined> {
  const lanes = batch.together ?? batch.runs;
  const wanted = new Set(batch.runs.map((run) => run.id));
  const { examples, validation } = training.tasks[batch.task]!;
  const { objective, limit } = study.tasks[batch.task]!;
  const texts = shareOf(examples ?? tuningTexts(stimuli).slice(0, limit), batch.fraction, batch.dataSeed);
  const parts = sweep(model, texts, {
    ...job,
    ...sweepOptions(study, model),
    ...(objective && { objective }),
    packing: packingOf(study, texts),
    runs: lanes.map((run) => run.tuning!),
    dataSeed: batch.dataSeed,
    ...(validation && { validation }),
  });
  let first = true;
  for await (const { runs, result } of parts) {
    if (batch.together && first && runs.length < lanes.length) {
      result.lanes.dispose();
      throw new CortuneError(
        'ERR_MEMORY',
        `Expected \`tune.memory\` to hold the ${lanes.length} runs that \`tune.halving\` compares, and it holds ${runs.length}. Give more, or compare fewer.`,
      );
    }
    first = false;
    const own = runs.map((k, lane) => ({ run: lanes[k]!, lane })).filter(({ run }) => wanted.has(run.id));
    yield { runs: own, result };
  }
}

function sweepOptions(study: Study, model: Model) {
  const { steps, batch, accumulate, block, clip, checkpointing, precision } = study.tune;
  const { image_size, evaluate_every, patience, halving, rungs, memory } = study.tune;
  return {
    ...{ steps, batch, accumulate, clip, checkpointing, precision },
    block: Math.min(block, model.config.maxPositions),
    ...(image_size !== undefined && { imageSize: image_size }),
    ...(evaluate_every !== undefined && { evaluateEvery: evaluate_every }),
    ...(patience !== undefined && { patience }),
    ...(halving !== undefined && { halving: { factor: halving, ...(rungs !== undefined && { rungs }) } }),
    ...(memory !== undefined && { memory: parseMemory(memory) }),
  };
}
