/** What tuned runs learn from (a file of the study, or its stimuli; all of it or a share), and the tuning of one lane batch. */
import { readTexts } from '../data/formats/index.js';
import type { Stimuli } from '../data/types.js';
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import { Random } from '../random.js';
import type { Example } from '../tune/examples.js';
import { parseMemory } from '../tune/memory.js';
import { readExamples } from '../tune/read-examples.js';
import { type SweepPart, sweep } from '../tune/sweep.js';
import { tuningTexts } from './data.js';
import type { Batch, Run } from './plan.js';
import { type Study, studyPath } from './schema.js';

/** The files of a study's sections `tune` and `decode`, read. */
export interface Training {
  /** Undefined where runs learn from the stimuli. */
  examples: Example[] | undefined;
  validation: Example[] | undefined;
  /** A label for each row of the responses, for classifiers. */
  labels?: string[] | undefined;
}

/** Reads them. Throws what `readExamples` throws. */
export async function readTraining(study: Study): Promise<Training> {
  const { text, validation, column, prompt, completion, label } = study.tune;
  const read = (path: string | undefined) =>
    path === undefined ? undefined : readExamples(studyPath(study, path), { column, prompt, completion, label });
  const { labels, column: of } = study.decode ?? {};
  return {
    examples: await read(text),
    validation: await read(validation),
    labels: labels === undefined ? undefined : await readTexts(studyPath(study, labels), { column: of }),
  };
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
  { examples, validation }: Training,
  job: JobOptions,
): AsyncGenerator<TunedPart, void, undefined> {
  const lanes = batch.together ?? batch.runs;
  const wanted = new Set(batch.runs.map((run) => run.id));
  const texts = shareOf(examples ?? tuningTexts(stimuli), batch.fraction, batch.dataSeed);
  const parts = sweep(model, texts, {
    ...job,
    ...sweepOptions(study, model),
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
  const { steps, batch, accumulate, packing, block, clip, checkpointing, precision } = study.tune;
  const { objective, evaluate_every, patience, halving, rungs, memory } = study.tune;
  return {
    ...{ steps, batch, accumulate, packing, clip, checkpointing, precision },
    block: Math.min(block, model.config.maxPositions),
    ...(objective && { objective }),
    ...(evaluate_every !== undefined && { evaluateEvery: evaluate_every }),
    ...(patience !== undefined && { patience }),
    ...(halving !== undefined && { halving: { factor: halving, ...(rungs !== undefined && { rungs }) } }),
    ...(memory !== undefined && { memory: parseMemory(memory) }),
  };
}
