/** `cortune score`: predicted texts against references. */

import { extname } from 'node:path';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { readRecords } from '../data/formats/records.js';
import { CortuneError, expected, show } from '../errors.js';
import { loadModel } from '../model/load.js';
import { mean } from '../numbers.js';
import { exactMatch, tokenF1 } from '../tasks/scores/answers.js';
import { bertScore } from '../tasks/scores/bert-score.js';
import { bleu } from '../tasks/scores/bleu.js';
import { chrf } from '../tasks/scores/chrf.js';
import { kRouge, rouge } from '../tasks/scores/rouge.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions {
  predictions: string;
  field: string;
  references: string;
  referenceField: string;
  metrics?: string | undefined;
  stemmer: boolean;
  encoder?: string | undefined;
  layer?: number | undefined;
  idf: boolean;
  baseline?: string | undefined;
}

type Texts = readonly string[];
type Lists = readonly Texts[];

const over = (predictions: Texts, golds: Lists, score: (text: string, golds: Texts) => number) =>
  mean(predictions.map((text, i) => score(text, golds[i]!)));

/** Corpus scores, 0 to 1 but for BLEU and chrF (0 to 100, as sacrebleu). */
const kScores: Record<string, (predictions: Texts, golds: Lists, options: Options) => number> = {
  exact_match: (predictions, golds) => over(predictions, golds, exactMatch),
  f1: (predictions, golds) => over(predictions, golds, tokenF1),
  ...Object.fromEntries(
    kRouge.map((kind) => [
      kind,
      (predictions: Texts, golds: Lists, { stemmer }: Options) =>
        over(predictions, golds, (text, own) => rouge(text, own, kind, { stemmer }).f),
    ]),
  ),
  bleu: (predictions, golds) => bleu(predictions, golds).score,
  chrf: (predictions, golds) => chrf(predictions, golds),
};

function metricsOf(asked: string | undefined): string[] {
  const names = asked?.split(',').map((name) => name.trim()) ?? Object.keys(kScores);
  const wrong = names.find((name) => !(name in kScores));
  if (wrong !== undefined) throw expected('metrics', `some of ${Object.keys(kScores).join(', ')}`, wrong);
  return names;
}

/** One text or a list of them in field `field` of each row. */
async function readField(path: string, field: string): Promise<string[][]> {
  if (!['.jsonl', '.csv', '.tsv', '.parquet'].includes(extname(path).toLowerCase()))
    throw new CortuneError('ERR_FORMAT', `Expected a .jsonl, .csv, .tsv or .parquet file, got ${path}.`);
  const { rows } = await readRecords(path);
  return rows.map((row, i) => {
    const value = row[field];
    const list = Array.isArray(value) ? (value as unknown[]) : [value];
    if (list.every((text) => typeof text === 'string')) return list;
    throw new CortuneError(
      'ERR_DATA',
      `${path}: Expected a text, or a list of texts, in \`${field}\` of item ${i + 1}, got ${show(value)}.`,
    );
  });
}

function baselineOf(text: string | undefined): [number, number, number] | undefined {
  const numbers = text?.split(',').map(Number);
  if (numbers && (numbers.length !== 3 || !numbers.every((value) => Number.isFinite(value) && value < 1)))
    throw expected('baseline', 'three numbers below 1 (precision, recall, F), as 0.3,0.3,0.31', text);
  return numbers as [number, number, number] | undefined;
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const names = metricsOf(options.metrics);
  const baseline = baselineOf(options.baseline);
  const predictions = (await readField(options.predictions, options.field)).map((list) => list[0]!);
  const golds = await readField(options.references, options.referenceField);
  if (golds.length !== predictions.length)
    throw new CortuneError(
      'ERR_DATA',
      `Expected references of each of the ${predictions.length} predictions, got those of ${golds.length}.`,
    );
  const scores: Record<string, number> = {};
  for (const name of names) scores[name] = kScores[name]!(predictions, golds, options);
  if (options.encoder !== undefined) {
    using model = await loadModel(options.encoder, { signal: ctx.signal, onProgress: ctx.progress, note: ctx.note });
    const { signal, progress: onProgress } = ctx;
    const found = await bertScore(model, predictions, golds, {
      ...{ layer: options.layer, idf: options.idf, baseline, signal, onProgress },
    });
    for (const [part, values] of Object.entries(found)) scores[`bert_score_${part}`] = mean(values as number[]);
  }
  ctx.result({ items: predictions.length, scores }, () => table(['metric', 'score'], Object.entries(scores)));
}

export const command: CommandModule<object, Options> = {
  command: 'score',
  describe: 'Predicted texts against references: exact match, F1, ROUGE, BLEU, chrF, BERTScore',
  builder: (yargs) =>
    yargs
      .option('predictions', {
        type: 'string',
        demandOption: true,
        describe: 'File of predictions, as `cortune generate --out` writes it: .jsonl, .csv, .tsv or .parquet',
      })
      .option('field', { type: 'string', default: 'text', describe: 'Field of the predictions' })
      .option('references', { type: 'string', demandOption: true, describe: 'File of references, item by item' })
      .option('reference-field', {
        type: 'string',
        default: 'completion',
        describe: 'Field of the references: a text, or in .jsonl a list of texts',
      })
      .option('metrics', { type: 'string', describe: `Some of ${Object.keys(kScores).join(',')}; all by default` })
      .option('stemmer', { type: 'boolean', default: false, describe: "ROUGE: Porter's stemmer" })
      .option('encoder', { type: 'string', describe: 'BERTScore by this BERT-family model' })
      .option('layer', { type: 'number', describe: 'BERTScore: layer that is compared; the last by default' })
      .option('idf', { type: 'boolean', default: false, describe: 'BERTScore: rare tokens count more' })
      .option('baseline', { type: 'string', describe: 'BERTScore: P,R,F of unrelated texts, to rescale by' })
      .example(
        '$0 score --predictions texts.jsonl --references items.jsonl --metrics f1,rougeL',
        'Answers',
      ) as unknown as Argv<Options>,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
