/** How well the lanes of a batch, or the model as it is, do the tasks of a study on their held-out items. */
import type { Stimuli } from '../data/types.js';
import { CortuneError } from '../errors.js';
import type { DecodingOptions } from '../generate/options.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { ProbeItem } from '../probe/items.js';
import { evaluate } from '../tasks/evaluate.js';
import type { TuneResult } from '../tune/tune.js';
import { tuningTexts } from './data.js';
import type { Batch } from './plan.js';
import type { QualityRow } from './records.js';
import type { Study } from './schema.js';
import { kStimuli, type WriteSection } from './schema-tasks.js';
import { packingOf, type Training } from './training.js';

/** Options of `generate` from a study's section. */
function decodingOf(section: WriteSection): DecodingOptions {
  const { max_new_tokens: maxNewTokens, length_penalty: lengthPenalty, top_p: topP, top_k: topK, ...same } = section;
  return { maxNewTokens, lengthPenalty, topP, topK, ...same };
}

/**
 * Tuned lanes are measured on their own task, others on every task that needs no trained head.
 * @returns rows of each lane (one without lanes); empty where no task has a test.
 * @throws what `evaluate` throws.
 */
export async function qualityOf(
  model: Model,
  batch: Batch,
  study: Study,
  stimuli: Stimuli,
  training: Training,
  tuned: TuneResult | undefined,
  job: JobOptions,
): Promise<QualityRow[][]> {
  const rows: QualityRow[][] = Array.from({ length: tuned?.lanes.count ?? 1 }, () => []);
  const tasks = tuned
    ? [batch.task]
    : [...study.tasks.keys()].filter((number) => study.tasks[number]!.label === undefined);
  for (const number of tasks) {
    const { name, metrics, objective, limit, write, by } = study.tasks[number]!;
    const { test, items: known } = training.tasks[number]!;
    if (test === undefined) continue;
    const all = test === kStimuli ? tuningTexts(stimuli).slice(0, limit) : test;
    const parts = by === undefined ? [] : partsBy(by, name, test, known);
    for (const { task, items } of [{ task: name, items: all }, ...parts]) {
      const found = await evaluate(model, tuned?.lanes, items, metrics, {
        ...job,
        objective: tuned?.objective ?? objective,
        classes: tuned?.classes,
        packing: packingOf(study, items),
        block: Math.min(study.tune.block, model.config.maxPositions),
        imageSize: study.tune.image_size,
        ...(write && { generate: decodingOf(write) }),
        noun: `test item of \`${task}\``,
      });
      for (const [k, measures] of found.entries()) rows[k]!.push(...measures.map((one) => ({ task, ...one })));
    }
  }
  return rows;
}

/** Values that items may be told apart by. */
const kParts = 20;

/** The test items of each value of a variable. @throws ERR_CONFIG for one that items do not have, or of very many values. */
function partsBy(by: string, name: string, test: Training['tasks'][number]['test'], known: ProbeItem[] | undefined) {
  const values = known?.map(({ variables }) => variables?.[by]) ?? [];
  const parts = [...new Set(values)].sort();
  if (!Array.isArray(test) || parts.length === 0 || parts.includes(undefined) || parts.length > kParts)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected \`by\` of task \`${name}\` to be a variable that every test item has, of at most ${kParts} values, got \`${by}\`${parts.length > kParts ? ` of ${parts.length}` : ''}. Items have: ${Object.keys(known?.[0]?.variables ?? {}).join(', ') || 'none'}.`,
    );
  return parts.map((value) => ({
    task: `${name}, ${by} ${value}`,
    items: test.filter((_, i) => values[i] === value),
  }));
}
