/** What tuned runs learn and how well they do it: the section `tasks` of a study. */
import { z } from 'zod';
import { integer, listOf, oneOf, real, section, text, written } from '../config.js';
import { kMetricNames } from '../tasks/metrics.js';
import { kObjectives } from '../tune/examples.js';

/** The texts of the data set's stimuli, in the place of a file. */
export const kStimuli = 'stimuli';

const columns = ['column', 'prompt', 'completion', 'label', 'choices', 'references'] as const;

/** The keys of a decoding, by the names of the options they are. */
const write = section('`write`', {
  max_new_tokens: integer(1, 1_000_000).default(64).describe('Tokens of a text at most.'),
  stop: listOf(z.string().min(1), 'texts', 20).optional().describe('Strings that end a text.'),
  beams: integer(1, 1000).optional().describe('Beam search with so many beams.'),
  length_penalty: real(-100, 100).optional().describe('Beams: above 0 favours long texts; by default 1.'),
  top_p: real(0, 1, { above: true }).optional().describe('Draw from the fewest tokens with this probability.'),
  top_k: integer(1, 1_000_000).optional().describe('Draw from so many of the most likely tokens.'),
  temperature: real(0, 1000, { above: true }).optional().describe('Draw from softmax(logits / temperature).'),
  seed: integer(0, Number.MAX_SAFE_INTEGER).default(0).describe('Of draws.'),
});
export type WriteSection = z.output<typeof write>;

const generate = section('`generate`', {
  kind: oneOf(['decisions']).describe('Context-dependent decisions, described in words.'),
  train: integer(1, 1_000_000).default(2000).describe('Trials to tune on.'),
  test: integer(1, 1_000_000).default(200).describe('Trials to test, of other wordings and strengths.'),
  noise: real(0, 1000)
    .default(0)
    .describe('Standard deviation added to strengths before they are described, in per cent.'),
  distractors: integer(0, 20).default(0).describe('Sentences before each trial that do not matter.'),
  seed: integer(0, 2 ** 31 - 1)
    .default(0)
    .describe('Of the draw.'),
});
export type GeneratorEntry = z.output<typeof generate>;

const taskSection = section('a task', {
  name: text('a name')
    .max(80, { error: 'a name of at most 80 characters' })
    .describe('What tables and figures call it.'),
  text: text('a file')
    .default(kStimuli)
    .describe('What to learn: .txt, .jsonl, .csv, .tsv or .parquet; by default `stimuli`, the texts of the data set.'),
  generate: generate.optional().describe('Items that are made, to tune on and to test, in the place of files.'),
  column: text('a column').optional().describe('Column of the texts in its files.'),
  prompt: text('a column').optional().describe('Column of prompts, with `completion`.'),
  completion: text('a column').optional().describe('Column of completions: they alone are learnt.'),
  label: text('a column').optional().describe('Column of classes or values to predict from the texts.'),
  choices: z
    .union([text('a column'), z.array(text()).min(2).max(1000)], {
      error: 'a column, or a list of at least two completions',
    })
    .optional()
    .describe(
      'Completions to choose from, for `accuracy`: a column of lists (or their JSON), or one list for all items. The right one is among them.',
    ),
  references: text('a column')
    .optional()
    .describe(
      'Column of the answers that count as right for what is written: a text, or a list (or its JSON). By default the completions.',
    ),
  write: write
    .optional()
    .describe(
      'How texts are written, for metrics of written texts: `max_new_tokens` (64), `stop`, `beams`, `length_penalty`, `top_p`, `top_k`, `temperature`, `seed`; by default greedily.',
    ),
  objective: oneOf(kObjectives)
    .optional()
    .describe('What is learnt; by default by the labels, else `causal`, for encoders `masked`.'),
  validation: text('a file').optional().describe('Held-out items that `tune.patience` watches, a file as `text`.'),
  test: text('a file')
    .optional()
    .describe(
      'Held-out items that every run of the task is evaluated on after tuning, a file as `text`, or `stimuli`.',
    ),
  metrics: listOf(oneOf(kMetricNames), 'names of metrics', 100)
    .optional()
    .describe('Of task quality; by default those that fit the items.'),
  by: text('a variable')
    .optional()
    .describe('What test items differ in, a column of their file: quality is told for the items of each value, too.'),
  limit: integer(1, 2 ** 31 - 1)
    .optional()
    .describe('Items of each of its files at most, the first ones.'),
}).superRefine((task, context) => {
  const issue = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  const files = [task.text, task.validation, task.test].filter((path) => path !== undefined && path !== kStimuli);
  for (const key of columns)
    if (task[key] !== undefined && files.length === 0)
      issue(key, `Expected \`text\` to name the file of \`${key}\`, got none`);
  for (const key of ['test', ...columns] as const)
    if (task.generate && task[key] !== undefined)
      issue(key, `Expected \`${key}\` left out beside \`generate\`, which makes the items, got one`);
  if (task.generate && task.text !== kStimuli)
    issue('text', 'Expected `text` left out beside `generate`, which makes the items, got one');
  for (const key of ['metrics', 'write', 'by'] as const)
    if (task[key] !== undefined && task.test === undefined && !task.generate)
      issue(key, `Expected \`test\` to name held-out items for \`${key}\`, got none`);
});

/** `stimuli` is short for `{name: stimuli}`. */
const read = z.preprocess((value, context) => {
  if (value === kStimuli) return { name: kStimuli };
  if (typeof value === 'string')
    context.addIssue({ code: 'custom', message: `\`${kStimuli}\` or a mapping with keys \`name\`, \`text\` and more` });
  return value;
}, taskSection);
export const task = written(read, z.literal(kStimuli), taskSection);
export type TaskEntry = z.output<typeof taskSection>;
