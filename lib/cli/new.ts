/** `cortune new`: writes a commented study, asking a few questions on a terminal. */
import { existsSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { closest } from 'fastest-levenshtein';
import type { CommandModule } from 'yargs';
import { parseDescription } from '../config.js';
import { kControls } from '../data/controls.js';
import { knownDatasets } from '../data/paths.js';
import { isSimulated } from '../data/simulate.js';
import { CortuneError, expected } from '../errors.js';
import { kPackageDir } from '../native/load.js';
import { ioError } from '../study/atomic.js';
import { studySchema } from '../study/schema.js';
import { kMethodNames } from '../study/schema-methods.js';
import { kNewStudy, type NewStudy, studyText } from '../study/template.js';
import { type CommandContext, type CommonOptions, runCommand } from './output.js';

interface Options extends CommonOptions {
  file: string;
  name?: string | undefined;
  data?: string | undefined;
  model?: string | undefined;
  method?: string | undefined;
  lr?: string | undefined;
  rank?: string | undefined;
  seed?: string | undefined;
  steps?: number | undefined;
  controls?: string | undefined;
  permutations?: number | undefined;
  yes: boolean;
}

const words = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);

function numbers(name: string, text: string): number[] {
  const values = words(text).map(Number);
  if (values.length === 0 || values.some((value) => !Number.isFinite(value)))
    throw expected(name, 'numbers with commas between', text);
  return values;
}

/** The study that the options ask for. */
function fromOptions({
  data,
  model,
  method,
  lr,
  rank,
  seed,
  steps,
  controls,
  permutations,
  ...rest
}: Options): NewStudy {
  return {
    name: rest.name ?? nameOf(rest.file),
    data: data ?? kNewStudy.data,
    models: model === undefined ? kNewStudy.models : words(model),
    methods: method === undefined ? kNewStudy.methods : words(method),
    lr: lr === undefined ? undefined : numbers('lr', lr),
    rank: rank === undefined ? undefined : numbers('rank', rank),
    seeds: seed === undefined ? kNewStudy.seeds : numbers('seed', seed),
    steps: steps ?? kNewStudy.steps,
    controls: controls === undefined ? kNewStudy.controls : words(controls).filter((name) => name !== 'none'),
    permutations: permutations ?? kNewStudy.permutations,
  };
}

function nameOf(file: string): string {
  const base = file.split(/[\\/]/).at(-1)!;
  return base.replace(/\.(ya?ml|json)$/i, '') || 'study';
}

interface Question {
  key: 'data' | 'model' | 'method' | 'lr' | 'rank' | 'seed' | 'controls' | 'permutations';
  ask: string;
  /** Shown and taken for an empty answer. */
  otherwise: string;
  /** Whether it matters, given the answers so far. */
  when?(study: NewStudy): boolean;
}

const tuned = ({ methods }: NewStudy) => methods.some((name) => name !== 'untuned' && name !== 'untrained');
const kQuestions: Question[] = [
  {
    key: 'data',
    ask: `Which data? (${[...knownDatasets(), 'simulated'].join(', ')}, or a path)`,
    otherwise: kNewStudy.data,
  },
  { key: 'model', ask: 'Which models? (names, Hub ids or folders)', otherwise: kNewStudy.models.join(',') },
  { key: 'method', ask: `How tuned? (${kMethodNames.join(', ')})`, otherwise: kNewStudy.methods.join(',') },
  { key: 'lr', ask: 'Which learning rates?', otherwise: '1e-4,1e-3', when: tuned },
  {
    key: 'rank',
    ask: 'Which ranks?',
    otherwise: '8',
    when: ({ methods }) => methods.some((name) => /lora/.test(name)),
  },
  { key: 'seed', ask: 'Which seeds?', otherwise: kNewStudy.seeds.join(',') },
  {
    key: 'controls',
    ask: `Which controls? (${Object.keys(kControls).join(', ')}, none)`,
    otherwise: kNewStudy.controls.join(','),
  },
  { key: 'permutations', ask: 'How many permutations for p-values? (0 for no tests)', otherwise: '0' },
];

/** Asks what the options leave open; a wrong answer is told and asked for again. @throws ERR_CANCELLED at Ctrl-C or the end of the input. */
export async function askAll(
  options: Options,
  signal: AbortSignal,
  { input, output }: { input: Readable; output: Writable } = { input: process.stdin, output: process.stderr },
): Promise<NewStudy> {
  const terminal = createInterface({ input, output });
  const ended = new AbortController();
  terminal.on('close', () => ended.abort());
  // readline takes Ctrl-C for itself while it asks.
  terminal.on('SIGINT', () => process.emit('SIGINT'));
  try {
    for (const { key, ask, otherwise, when } of kQuestions) {
      if (options[key] !== undefined || (when && !when(fromOptions(options)))) continue;
      Object.assign(options, {
        [key]: await answer(
          terminal,
          options,
          { key, ask, otherwise },
          AbortSignal.any([signal, ended.signal]),
          output,
        ),
      });
    }
    return fromOptions(options);
  } catch (error) {
    if (ended.signal.aborted || signal.aborted)
      throw new CortuneError('ERR_CANCELLED', 'Interrupted.', { cause: error });
    throw error;
  } finally {
    terminal.close();
  }
}

async function answer(
  terminal: Interface,
  options: Options,
  { key, ask, otherwise }: Question,
  signal: AbortSignal,
  output: Writable,
): Promise<string | number> {
  for (;;) {
    const said = (await terminal.question(`${ask}\n  [${otherwise}] `, { signal })).trim() || otherwise;
    const value = key === 'permutations' ? Number(said) : said;
    try {
      check(fromOptions({ ...options, [key]: value }));
      return value;
    } catch (error) {
      output.write(`  ${(error as Error).message}\n`);
    }
  }
}

/** The text, once it reads as a study. Its own errors would name lines of a file that is not there. */
function check(study: NewStudy): string {
  const text = studyTextOf(study);
  try {
    parseDescription(text, studySchema, 'study');
  } catch (error) {
    throw expectedOf(error as Error);
  }
  return text;
}

function expectedOf(error: Error): Error {
  return new CortuneError('ERR_CONFIG', error.message.replace(/^study:\d+:\d+: /, ''), { cause: error });
}

function studyTextOf(study: NewStudy): string {
  const unknown = study.methods.find((name) => !kMethodNames.includes(name));
  if (unknown !== undefined) throw expected('method', `one of ${kMethodNames.join(', ')}`, unknown);
  checkData(study.data);
  return studyText(study, pathToFileURL(join(kPackageDir, 'schema', 'study.schema.json')).href);
}

/** Names are known to the project; whatever looks like a path may come to be there. */
function checkData(data: string): void {
  const known = knownDatasets();
  if (known.includes(data) || isSimulated(data) || /[./\\]/.test(data) || existsSync(data)) return;
  const nearest = closest(data, [...known, 'simulated']);
  throw expected('data', `${known.join(', ')}, simulated or a path (nearest: ${nearest})`, data);
}

async function write(path: string, text: string): Promise<void> {
  try {
    // Fails when there is a file already, whoever made it in the meantime.
    const file = await open(path, 'wx');
    await writeFile(file, text).finally(() => file.close());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw ioError(error, `write ${path}`);
    throw alreadyThere(path, error);
  }
}

function alreadyThere(path: string, cause?: unknown): CortuneError {
  return new CortuneError(
    'ERR_CONFIG',
    `Expected no file at ${path}, and there is one. Choose another name: nothing is overwritten.`,
    { cause },
  );
}

/** As a shell takes it for one word. */
function shellText(text: string): string {
  return /^[\w./\\:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const path = resolve(options.file);
  const there = await open(path, 'r').then(
    (file) => file.close().then(() => true),
    () => false,
  );
  if (there) throw alreadyThere(path);
  const asks = !options.yes && !options.json && process.stdin.isTTY === true && process.stderr.isTTY === true;
  const text = check(asks ? await askAll({ ...options }, ctx.signal) : fromOptions(options));
  await write(path, text);
  ctx.result({ study: path }, `Wrote ${path}. Next: cortune run ${shellText(options.file)} --dry-run`);
}

export const command: CommandModule<object, Options> = {
  command: 'new [file]',
  describe: 'Write a commented study, by a few questions or from options',
  builder: (yargs) =>
    yargs
      .positional('file', { type: 'string', default: 'study.yaml', describe: 'The file to write' })
      .option('name', { type: 'string', describe: 'Name of the study [default: of the file]' })
      .option('data', { type: 'string', describe: 'Data set: a known name, a dataset.yaml, or simulated' })
      .option('model', { type: 'string', describe: 'Models; a comma list' })
      .option('method', { type: 'string', describe: 'Ways of tuning; a comma list' })
      .option('lr', { type: 'string', describe: "Learning rates; a comma list [default: the method's]" })
      .option('rank', { type: 'string', describe: "Ranks; a comma list [default: the method's]" })
      .option('seed', { type: 'string', describe: 'Seeds; a comma list' })
      .option('steps', { type: 'number', describe: 'Updates of tuned runs' })
      .option('controls', { type: 'string', describe: 'Controls; a comma list, or none' })
      .option('permutations', { type: 'number', describe: 'Permutations of p-values; 0 for no tests' })
      .option('yes', { alias: 'y', type: 'boolean', default: false, describe: 'Ask nothing: defaults for the rest' })
      .example('$0 new', 'Asks, and writes study.yaml')
      .example(
        '$0 new mine.yaml --data alice --method untuned,lora,ia3 --lr 1e-4,1e-3 --seed 0,1 --yes',
        'Asks nothing',
      )
      .epilogue('Without a terminal nothing is asked. A file that is there is never overwritten.') as never,
  handler: (argv) => runCommand(argv, (ctx) => run(argv, ctx)),
};
