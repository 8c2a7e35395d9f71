/** `cortune data`: lists the data sets that are described, shows one, checks a downloaded copy; and writes the trials of the decision task. */
import { existsSync, statSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { readDescription } from '../config.js';
import { checkDataset, type DatasetCheck } from '../data/check.js';
import { dataFolder, descriptionPath, knownDatasets } from '../data/paths.js';
import { recognise } from '../data/recognise.js';
import { type DatasetDescription, kDatasetSchema } from '../data/schema.js';
import { expected } from '../errors.js';
import { decisions, jsonLines } from '../tasks/decisions.js';
import { type CommandContext, type CommonOptions, FailedResult, runCommand, table } from './output.js';
import { writeFiles } from './probe-options.js';

interface Options extends CommonOptions {
  action?: string | undefined;
  what?: string | undefined;
  as?: string | undefined;
  data?: string | undefined;
  variant?: string | undefined;
  checksums: boolean;
  out?: string | undefined;
  train?: number | undefined;
  test?: number | undefined;
  noise?: number | undefined;
  distractors?: number | undefined;
  seed?: number | undefined;
}

const kActions = ['list', 'describe', 'check', 'decisions'] as const;

async function describedAs(name: string): Promise<{ described: DatasetDescription; file: string }> {
  const file = descriptionPath(name);
  return { described: (await readDescription(file, kDatasetSchema)).value, file };
}

/** Where the data is, or undefined when no folder of the description is there. */
function whereIs(described: DatasetDescription, file: string, given?: string): string | undefined {
  try {
    return dataFolder(described, file, given);
  } catch {
    return undefined;
  }
}

const triedText = ({ tried }: { tried?: boolean | string | undefined }) =>
  tried === true ? 'yes' : typeof tried === 'string' ? tried : 'no';

async function list(ctx: CommandContext): Promise<void> {
  const sets: {
    name: string;
    stimuli: string | null;
    licence: string;
    tried: boolean | string;
    root: string | null;
  }[] = [];
  for (const name of knownDatasets()) {
    const { described, file } = await describedAs(name);
    const { licence, tried = false, stimuli } = described;
    sets.push({ name, stimuli: stimuli?.kind ?? null, licence, tried, root: whereIs(described, file) ?? null });
  }
  ctx.result({ datasets: sets }, () =>
    [
      table(
        ['name', 'stimuli', 'licence', 'tried on the files', 'where'],
        sets.map((set) => [
          set.name,
          set.stimuli ?? 'images',
          set.licence,
          set.tried === true ? 'yes' : typeof set.tried === 'string' ? 'in part' : 'no',
          set.root ?? 'not here',
        ]),
      ),
      '',
      'cortune data describe NAME: what to cite, where to get it. cortune data check FOLDER: whether a copy is whole.',
    ].join('\n'),
  );
}

async function describe(name: string, ctx: CommandContext, given?: string): Promise<void> {
  const { described, file } = await describedAs(name);
  const { citation, licence, source, notes, files, variants } = described;
  const root = whereIs(described, file, given);
  const rows: [string, string | undefined][] = [
    ['name', described.name],
    ['cite', citation],
    ['licence', licence],
    ['source', source],
    ['variants', variants?.join(', ')],
    ['tried', `${triedText(described)} (on the real files)`],
    ['here', root ?? 'no; give the folder of a copy as --data, or set CORTUNE_DATA to the folder above it'],
    ['described in', file],
  ];
  ctx.result({ ...described, root: root ?? null, description: file }, () =>
    [
      ...rows.filter(([, value]) => value).map(([label, value]) => `${label.padEnd(14)}${value}`),
      '',
      table(
        ['file', 'count', 'what'],
        files.map(({ path, count, about, optional }) => [
          path,
          count === undefined ? '' : String(count),
          `${about ?? ''}${optional ? ' (optional)' : ''}`,
        ]),
      ),
      ...(notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []),
    ].join('\n'),
  );
}

async function check(options: Options, ctx: CommandContext): Promise<void> {
  const { what, as, data, variant, checksums } = options;
  if (what === undefined) throw expected('what', 'a folder or the name of a data set after `check`', what, 'type');
  const isFolder = existsSync(what) && statSync(what).isDirectory() && !knownDatasets().includes(what);
  const name = as ?? (isFolder ? await recognise(what, knownDatasets()) : what);
  const found = await checkDataset(name, { root: data ?? (isFolder ? what : undefined), checksums, variant });
  ctx.result(found, () => report(found));
  if (!found.ok) throw new FailedResult();
}

function report({ name, root, tried, files, reading, ok, advice }: DatasetCheck): string {
  return [
    `${name} in ${root}`,
    '',
    ...(files.length > 0
      ? [
          table(
            ['file', 'state', ''],
            files.map(({ path, state, detail }) => [path, state, detail]),
          ),
          '',
        ]
      : []),
    reading,
    ok ? 'Nothing that is needed is missing or wrong.' : 'Not as it should be.',
    ...advice.map((line) => `- ${line}`),
    ...(tried === true
      ? []
      : [`The description was ${tried === false ? 'not tried on the real files' : `tried ${tried}`}.`]),
  ].join('\n');
}

async function writeTrials(options: Options, ctx: CommandContext): Promise<void> {
  const { out, train, test, noise, distractors, seed } = options;
  if (out === undefined) throw expected('out', 'a folder to write the trials into, after `decisions`', out, 'type');
  const made = decisions({ train, test, noise, distractors, seed });
  const files = await writeFiles(out, { 'train.jsonl': jsonLines(made.train), 'test.jsonl': jsonLines(made.test) });
  ctx.result({ train: made.train.length, test: made.test.length, files }, () =>
    [
      `${made.train.length} trials to train on, ${made.test.length} to test, such as:`,
      `  ${made.train[0]?.prompt ?? ''}${made.train[0]?.completion ?? ''}`,
      ...files.map((file) => `Wrote ${file}`),
    ].join('\n'),
  );
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { action = 'list', what, data } = options;
  if (action === 'list') return list(ctx);
  if (action === 'check') return check(options, ctx);
  if (action === 'decisions') return writeTrials(options, ctx);
  if (action !== 'describe') throw expected('action', `one of ${kActions.join(', ')}`, action);
  if (what === undefined) throw expected('what', 'the name of a data set after `describe`', what, 'type');
  return describe(what, ctx, data);
}

export const command: CommandModule<object, Options> = {
  command: 'data [action] [what]',
  describe: 'List known data sets, show one, or check a downloaded copy',
  builder: (yargs) =>
    yargs
      .positional('action', { type: 'string', describe: 'list (default), describe, check, or decisions' })
      .positional('what', { type: 'string', describe: 'A data set, or the folder of a copy to check' })
      .option('as', { type: 'string', describe: 'check: the data set that the folder holds; else it is recognised' })
      .option('data', { type: 'string', describe: 'The folder of the copy, where a name is given' })
      .option('variant', { type: 'string', describe: 'check: the variant that is read to see whether it can be' })
      .option('checksums', {
        type: 'boolean',
        default: false,
        describe: 'check: compare checksums of large files, too',
      })
      .option('out', { type: 'string', describe: 'decisions: folder for train.jsonl and test.jsonl' })
      .option('train', { type: 'number', describe: 'decisions: trials to train on [default: 2000]' })
      .option('test', {
        type: 'number',
        describe: 'decisions: trials to test, of other words and strengths [default: 200]',
      })
      .option('noise', {
        type: 'number',
        describe: 'decisions: standard deviation added to strengths before they are described [default: 0]',
      })
      .option('distractors', {
        type: 'number',
        describe: 'decisions: sentences before each trial that do not matter [default: 0]',
      })
      .option('seed', { type: 'number', describe: 'decisions: of the draw [default: 0]' })
      .example('$0 data', 'Data sets that are described here')
      .example('$0 data describe lebel2023', 'What to cite, where to get it, what it consists of')
      .example('$0 data check ~/data/alice', 'Is this copy whole, and does it read?')
      .example('$0 data decisions --out trials', 'Context-dependent decisions, described in words')
      .epilogue(
        'check compares files found with the description: sizes, checksums and shapes where they are known. Exit code 1 when something that is\nneeded is missing or wrong. --json prints the same.',
      ) as never,
  handler: (argv) => runCommand(argv, (ctx) => run(argv, ctx)),
};
