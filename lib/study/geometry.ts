/** Decoding, classifiers and representational similarity of a run's layers: the sections `decode` and `rsa` of a study. */
import { classify } from '../analysis/classify.js';
import { type DecodeOptions, decode, isConstant } from '../analysis/decode.js';
import { type Rdm, rdms } from '../analysis/rdm.js';
import { fitRdms } from '../analysis/rsa.js';
import type { Dataset, Matrix, Target } from '../data/types.js';
import { CortuneError } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { Tensor } from '../tensor.js';
import type { DecodeRow, LabelRow, RsaRow, Scores } from './records.js';
import type { Study } from './schema.js';
import type { RsaSection } from './schema-sections.js';

type By = RsaSection['by'];

/** What a study asks for beside encoding, of features [L, n, p] with a row for each row of the responses. */
export async function geometryOf(
  features: Tensor,
  dataset: Dataset,
  study: Study,
  layers: readonly number[],
  labels: readonly string[] | undefined,
  job: JobOptions,
): Promise<Pick<Scores, 'decode' | 'labels' | 'rsa'>> {
  const found: Pick<Scores, 'decode' | 'labels' | 'rsa'> = {};
  if (!study.decode && !study.rsa) return found;
  const values = features.toArray();
  const [, n, p] = features.shape as [number, number, number];
  // One layer at a time: decoding all at once would hold predictions of every layer's columns.
  for (const [l, layer] of layers.entries()) {
    using one = Tensor.from(values.subarray(l * n * p, (l + 1) * n * p), [1, n, p]);
    if (study.decode) {
      found.decode = [...(found.decode ?? []), ...(await decodeRows(one, dataset, study, layer, job))];
      if (labels) found.labels = [...(found.labels ?? []), await labelRow(one, labels, dataset, study, layer, job)];
    }
    if (study.rsa) found.rsa = [...(found.rsa ?? []), ...(await rsaRows(one, dataset, study.rsa, layer, job))];
  }
  return found;
}

/** Folds and penalties as the study's encoding has them. */
function fitting({ encode }: Study, dataset: Dataset) {
  const { folds, inner_folds: innerFolds, trim, gap, alphas, standardize, alpha_per: alphaPer } = encode;
  return { folds, innerFolds, trim, gap, alphas, standardize, alphaPer, groups: dataset.groups };
}

/** Of a layer that is the same for all stimuli, as the class token of an image model is before its first block. */
const kNoDecoding = {
  two_vs_two: Number.NaN,
  rank_accuracy: Number.NaN,
  identification: Number.NaN,
  r: Number.NaN,
  p: Number.NaN,
};

async function decodeRows(
  features: Tensor,
  dataset: Dataset,
  study: Study,
  layer: number,
  job: JobOptions,
): Promise<DecodeRow[]> {
  const { by, metric, within, columns, permutations, exchange, refit, seed } = study.decode!;
  const options: DecodeOptions = {
    ...job,
    ...fitting(study, dataset),
    ...{ metric, within, columns, permutations, exchange, refit, seed, layers: [layer] },
  };
  const rows: DecodeRow[] = [];
  const none = isConstant(features.toArray(), features.shape[1]!, features.shape[2]!);
  for (const { region, at } of columnGroups(dataset.targets, by)) {
    if (none) {
      rows.push({ layer, region, ...kNoDecoding });
      continue;
    }
    const { layers } = await decode(columnsOf(dataset.responses, at), features, options);
    const { twoVsTwo, rankAccuracy, identification, r, p } = layers[0]!;
    rows.push({ layer, region, two_vs_two: twoVsTwo, rank_accuracy: rankAccuracy, identification, r, p });
  }
  return rows;
}

async function labelRow(
  features: Tensor,
  labels: readonly string[],
  dataset: Dataset,
  study: Study,
  layer: number,
  job: JobOptions,
): Promise<LabelRow> {
  const { classifier, c, permutations, exchange, seed } = study.decode!;
  const { alphaPer: _, ...fitted } = fitting(study, dataset);
  const options = { ...job, ...fitted, classifier, c, permutations, exchange, seed };
  const { accuracy, balanced, classes, p } = await classify(features, labels, options);
  return { layer, accuracy, balanced, chance: 1 / classes.length, p };
}

async function rsaRows(
  features: Tensor,
  dataset: Dataset,
  { by, metric, comparison, permutations, resamples, level, seed }: RsaSection,
  layer: number,
  job: JobOptions,
): Promise<RsaRow[]> {
  const models = await rdms(features, { ...job, metric });
  const rows: RsaRow[] = [];
  for (const { region, subjects } of subjectGroups(dataset.targets, by)) {
    checkColumns(subjects, metric);
    const measured: Rdm[] = [];
    for (const at of subjects) {
      const { data, rows: n, columns } = columnsOf(dataset.responses, at);
      using values = Tensor.from(data, [n, columns]);
      measured.push(...(await rdms(values, { ...job, metric })));
    }
    const { fits, ceiling } = fitRdms(models, measured, { comparison, permutations, resamples, level, seed });
    const { similarity, lower, upper, p } = fits[0]!;
    rows.push({
      ...{ layer, region, similarity, lower, upper, p },
      ...{ ceiling_lower: ceiling.lower, ceiling_upper: ceiling.upper },
    });
  }
  return rows;
}

/** One column has no pattern to correlate. */
function checkColumns(subjects: readonly number[][], metric: RsaSection['metric']): void {
  if (metric !== 'correlation' && metric !== 'cosine') return;
  if (subjects.every((at) => at.length > 1)) return;
  throw new CortuneError(
    'ERR_CONFIG',
    `Expected regions of several columns for \`rsa.metric: ${metric}\`, got one of a single column. Use \`euclidean\`, or \`by: subject\`.`,
  );
}

/** Throws ERR_CONFIG, before anything is computed, for what `rsa` asks of these targets and they cannot give. */
export function checkGeometry({ rsa }: Study, targets: readonly Target[]): void {
  if (rsa) for (const { subjects } of subjectGroups(targets, rsa.by)) checkColumns(subjects, rsa.metric);
}

function regionOf({ name, subject, roi }: Target, by: By): string {
  return { subject, roi: `${subject}:${roi}`, target: name, all: 'all' }[by];
}

/** Columns that are used together. */
function columnGroups(targets: readonly Target[], by: By): { region: string; at: number[] }[] {
  return [...grouped(targets, (target) => regionOf(target, by))].map(([region, at]) => ({ region, at }));
}

/** Regions, and for each the columns of every subject; the mean over subjects counts only where there are no others. */
function subjectGroups(targets: readonly Target[], by: By): { region: string; subjects: number[][] }[] {
  const people = targets.some(({ subject }) => subject !== 'mean');
  const used = targets.map((target, t) => ({ target, t })).filter(({ target }) => !people || target.subject !== 'mean');
  const key = ({ name, roi }: Target) => ({ subject: 'all', all: 'all', roi, target: name })[by];
  const regions = grouped(
    used.map(({ target }) => target),
    key,
  );
  return [...regions].map(([region, at]) => {
    const own = at.map((i) => used[i]!);
    const subjects = grouped(
      own.map(({ target }) => target),
      ({ subject }) => (by === 'all' ? 'all' : subject),
    );
    return { region, subjects: [...subjects.values()].map((list) => list.map((i) => own[i]!.t)) };
  });
}

function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const [i, item] of items.entries()) {
    const list = groups.get(key(item));
    if (list) list.push(i);
    else groups.set(key(item), [i]);
  }
  return groups;
}

function columnsOf({ data, rows, columns }: Matrix, at: readonly number[]): Matrix {
  if (at.length === columns) return { data, rows, columns };
  const out = new Float32Array(rows * at.length);
  for (let row = 0; row < rows; row++)
    for (const [c, from] of at.entries()) out[row * at.length + c] = data[row * columns + from]!;
  return { data: out, rows, columns: at.length };
}
