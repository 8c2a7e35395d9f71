/** `cortune ceiling`: how well any model could do, estimated from how measurements agree. */
import { basename } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type CeilingKind, ceilingOverRows, groupCeilingOverSubjects, kCeilings } from '../analysis/ceilings.js';
import { loadDataset } from '../data/dataset.js';
import { kMatrixExtensions, type MatrixOptions, type NamedMatrix, readMatrix } from '../data/formats/index.js';
import { CortuneError, expected } from '../errors.js';
import { kPartOptions, type PartOptions, partOf } from './inputs.js';
import { decimals, intervalText } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions, PartOptions {
  responses?: string[] | undefined;
  dataset?: string | undefined;
  data?: string | undefined;
  variant?: string | undefined;
  kind: CeilingKind | 'all';
  resamples: number;
  block: number;
  level: number;
  seed: number;
}

/** The courses of one region: one a subject or repetition. */
interface Region {
  name: string;
  courses: Float64Array[];
}

/** Ceilings of one region; `over` says what was drawn again for the interval. */
interface Estimated {
  region: string;
  courses: number;
  ceilings: Record<string, { value: number; lower: number; upper: number; over: string }>;
}

const kKinds = Object.keys(kCeilings) as CeilingKind[];
/** Those that fit a curve over growing pools of subjects. */
const kSlow: CeilingKind[] = ['extrapolation', 'brain-score'];

async function fromDataset(options: Options, ctx: CommandContext): Promise<Region[]> {
  const { dataset, data: root, variant } = options;
  const { responses, targets, notes } = await loadDataset(dataset!, { root, variant, subjects: 'each' });
  for (const note of notes) ctx.note(`Note: ${note}`);
  const regions = new Map<string, Float64Array[]>();
  for (const [c, { roi }] of targets.entries()) {
    const course = Float64Array.from({ length: responses.rows }, (_, i) => responses.data[i * responses.columns + c]!);
    regions.set(roi, [...(regions.get(roi) ?? []), course]);
  }
  return [...regions].map(([name, courses]) => ({ name, courses }));
}

/** One file a subject or repetition, with the same rows and columns. */
async function fromFiles(paths: readonly string[], part: MatrixOptions): Promise<Region[]> {
  const files: (NamedMatrix & { path: string })[] = [];
  for (const path of paths) files.push({ path, ...(await readMatrix(path, part)) });
  const first = files[0]!;
  for (const { path, matrix, columns: names } of files) {
    if (matrix.rows === first.matrix.rows && names.join('\t') === first.columns.join('\t')) continue;
    throw new CortuneError(
      'ERR_DATA',
      `${basename(path)}: Expected ${first.matrix.rows} rows of the columns ${first.columns.slice(0, 6).join(', ')} as in ${basename(first.path)}, got ${matrix.rows} rows of ${names.slice(0, 6).join(', ')}.`,
    );
  }
  return first.columns.map((name, c) => ({
    name,
    courses: files.map(({ matrix }) =>
      Float64Array.from({ length: matrix.rows }, (_, i) => matrix.data[i * matrix.columns + c]!),
    ),
  }));
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { responses, dataset, kind, resamples, block, level, seed } = options;
  if ((responses === undefined) === (dataset === undefined))
    throw expected('responses', 'given (one file a subject), or else --dataset', responses, 'type');
  if (responses !== undefined && responses.length < 2)
    throw expected('responses', 'two files or more, one a subject or repetition', responses);
  const regions =
    dataset === undefined ? await fromFiles(responses!, partOf(options)) : await fromDataset(options, ctx);
  const kinds = kind === 'all' ? kKinds : [kind];
  const settings = { resamples, block, level, seed };
  const found: Estimated[] = [];
  for (const { name, courses } of regions) {
    const ceilings: Estimated['ceilings'] = {};
    for (const each of kinds) {
      ctx.signal.throwIfAborted();
      if (kSlow.includes(each) && courses.length < 4) {
        if (kind === 'all') continue;
        throw expected('responses', 'of 4 subjects or more to extrapolate from', courses.length);
      }
      ceilings[each] = ceilingOf(each, courses, settings);
    }
    found.push({ region: name, courses: courses.length, ceilings });
  }
  ctx.result(
    { regions: found, level },
    () =>
      `Highest Pearson r that a perfect model could reach; interval of ${100 * level} %\n\n${table(
        ['region', 'ceiling', 'r', 'interval', 'over'],
        found.flatMap(({ region, ceilings }) =>
          Object.entries(ceilings).map(([each, { value, lower, upper, over }]) => [
            region,
            each,
            decimals(value),
            intervalText(lower, upper),
            Number.isNaN(lower) ? '' : over,
          ]),
        ),
      )}`,
  );
}

function ceilingOf(
  kind: CeilingKind,
  courses: Float64Array[],
  settings: { resamples: number; block: number; level: number; seed: number },
): { value: number; lower: number; upper: number; over: string } {
  if (settings.resamples === 0)
    return { value: kCeilings[kind](courses), lower: Number.NaN, upper: Number.NaN, over: '' };
  if (kind === 'group') return { ...groupCeilingOverSubjects(courses, settings), over: 'subjects' };
  // Curves are slow to draw again.
  if (kSlow.includes(kind)) return { value: kCeilings[kind](courses), lower: Number.NaN, upper: Number.NaN, over: '' };
  return { ...ceilingOverRows(courses, kCeilings[kind], settings), over: 'rows' };
}

export const command: CommandModule<object, Options> = {
  command: 'ceiling',
  describe: 'Noise ceilings of responses, with intervals',
  builder: (yargs) =>
    yargs
      .option('responses', {
        type: 'string',
        array: true,
        describe: `Files [n, regions], one a subject or repetition: ${kMatrixExtensions.join(', ')}`,
      })
      .options(kPartOptions)
      .option('dataset', { type: 'string', describe: 'Instead of files: a known data set or a dataset.yaml' })
      .option('data', { type: 'string', describe: "The data set's folder" })
      .option('variant', { type: 'string', describe: 'One of its variants' })
      .option('kind', {
        choices: [...kKinds, 'all'] as const,
        default: 'all' as const,
        describe: 'How it is estimated (see below)',
      })
      .option('resamples', { type: 'number', default: 200, describe: 'Bootstrap resamples; 0 for no intervals' })
      .option('block', { type: 'number', default: 10, describe: 'Rows drawn together; 1 for trials' })
      .option('level', { type: 'number', default: 0.95, describe: 'Share of resamples inside the interval' })
      .option('seed', { type: 'number', default: 0, describe: 'Of the resamples' })
      .example('$0 ceiling --dataset alice --data DIR', 'Every kind, every region')
      .example('$0 ceiling --responses s1.csv s2.csv s3.csv --kind group --json', 'Three subjects, for programs')
      .epilogue(
        'inter-subject: mean r of each subject with the mean of the others (a lower bound for one subject). group: for the mean over\nsubjects, from pairwise r. split-half: for the mean, halves corrected by Spearman-Brown. repetitions: for the mean, from\nexplainable variance. extrapolation, brain-score: for one subject, from r with growing pools of others, continued by the curve of\nSpearman-Brown or by the exponential of Brain-Score, which ends lower.',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
