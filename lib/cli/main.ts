/** The command line: picks the command, loads its module alone, and turns what happens into an exit code. */
import { closest } from 'fastest-levenshtein';
import type { Argv, CommandModule } from 'yargs';
import { expected } from '../errors.js';
import { helpText, versionText } from './help.js';
import { printError } from './output.js';

/** A command's options are its own; main.ts only passes them through. */
// biome-ignore lint/suspicious/noExplicitAny: yargs' own type of a command whose options are not known here
type AnyCommand = CommandModule<any, any>;

interface Entry {
  name: string;
  describe: string;
  load: () => Promise<{ command: AnyCommand }>;
}

/** Every command, in the order of use. Modules are loaded when asked for, and the option parser with them: `cortune --help` stays quick. */
export const kCommands: Entry[] = [
  {
    name: 'setup',
    describe: 'Install libtorch and compile the addon; safe to repeat',
    load: () => import('./setup.js'),
  },
  { name: 'doctor', describe: 'Show what is set up, and how to mend what is not', load: () => import('./doctor.js') },
  { name: 'models', describe: 'List known models, show one, or fetch it', load: () => import('./models.js') },
  {
    name: 'data',
    describe: 'List known data sets, show one, or check a downloaded copy',
    load: () => import('./data.js'),
  },
  {
    name: 'methods',
    describe: 'List the tuning methods, their options and what they train',
    load: () => import('./methods.js'),
  },
  { name: 'embed', describe: 'Hidden states of every layer for a list of stimuli', load: () => import('./embed.js') },
  { name: 'tune', describe: 'Tune a model on a text, several learning rates at once', load: () => import('./tune.js') },
  {
    name: 'merge',
    describe: 'Write a model with an adapter merged into its weights',
    load: () => import('./merge.js'),
  },
  { name: 'generate', describe: 'Let a model write after prompts', load: () => import('./generate.js') },
  { name: 'score', describe: 'Measure predicted texts against references', load: () => import('./score.js') },
  {
    name: 'encode',
    describe: 'Predict brain responses from features, cross-validated',
    load: () => import('./encode.js'),
  },
  {
    name: 'stats',
    describe: 'Scores with permutation p-values, corrections for many targets and intervals',
    load: () => import('./stats.js'),
  },
  {
    name: 'decode',
    describe: 'Predict embeddings or labels from brain responses, cross-validated',
    load: () => import('./decode.js'),
  },
  {
    name: 'probe',
    describe: 'Variables of items read from hidden states, at every token and layer',
    load: () => import('./probe.js'),
  },
  {
    name: 'ablate',
    describe: 'Accuracy and loss of items without each head or layer of a model',
    load: () => import('./ablate.js'),
  },
  {
    name: 'attention',
    describe: 'Average attention maps of every head over items',
    load: () => import('./attention.js'),
  },
  {
    name: 'map',
    describe: 'UMAP of the hidden states of items, coloured by their variables',
    load: () => import('./map.js'),
  },
  {
    name: 'rsa',
    describe: 'Representational similarity: RDMs against responses, CKA of features',
    load: () => import('./rsa.js'),
  },
  { name: 'ceiling', describe: 'Noise ceilings of responses, with intervals', load: () => import('./ceiling.js') },
  {
    name: 'new',
    describe: 'Write a commented study, by a few questions or from options',
    load: () => import('./new.js'),
  },
  { name: 'run', describe: 'Run a whole study: tune, embed, score, report', load: () => import('./run.js') },
  {
    name: 'submit',
    describe: 'Submit a study to Slurm as a job array, one lane batch a task',
    load: () => import('./submit.js'),
  },
  {
    name: 'status',
    describe: 'Show what of a study is done, what runs where, what is queued',
    load: () => import('./status.js'),
  },
  {
    name: 'watch',
    describe: 'Watch a study while it runs: losses, best layers, time left',
    load: () => import('./watch.js'),
  },
  {
    name: 'cancel',
    describe: 'Stop a study, here and on Slurm; what is complete stays',
    load: () => import('./cancel.js'),
  },
  {
    name: 'worker',
    describe: 'Compute one task of a submitted study; Slurm calls it',
    load: () => import('./worker.js'),
  },
  {
    name: 'compare',
    describe: 'Paired comparisons of the runs of a study with one of them',
    load: () => import('./compare.js'),
  },
  {
    name: 'report',
    describe: 'Write a report, HTML or Markdown, for the results of a study',
    load: () => import('./report.js'),
  },
  {
    name: 'query',
    describe: 'Ask questions in SQL over all runs of a results folder',
    load: () => import('./query.js'),
  },
  { name: 'export', describe: 'Print every score of a study as a table', load: () => import('./export.js') },
  {
    name: 'verify',
    describe: 'Check every file of a results folder against its checksum',
    load: () => import('./verify.js'),
  },
  {
    name: 'gc',
    describe: 'Free adapters or embeddings of a results folder by rule; never scores',
    load: () => import('./gc.js'),
  },
];

/** A wrong use of the command line: exit code 2. */
class UsageError extends Error {
  readonly code = 'ERR_ARGUMENT';
}

/** Runs the command line `args` (without node and script) and returns the exit code. */
export async function runCli(args: string[]): Promise<number> {
  try {
    const asked = args.find((arg) => !arg.startsWith('-'));
    const entry = kCommands.find(({ name }) => name === asked);
    if (asked !== undefined && entry === undefined) throw new UsageError(unknownCommand(asked));
    process.exitCode = undefined;
    if (entry === undefined) {
      process.stdout.write(ofNoCommand(args));
      return 0;
    }
    const parser = await build(args, entry);
    await parser.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return printError(error, { json: args.includes('--json') });
  }
}

function ofNoCommand(args: string[]): string {
  if (args.includes('--version')) return versionText();
  if (args.length === 0 || args.some((arg) => arg === '--help' || arg === '-h')) return helpText(kCommands);
  throw new UsageError(`Expected a command, got \`${args.join(' ')}\`. See: cortune --help`);
}

function unknownCommand(asked: string): string {
  const names = kCommands.map(({ name }) => name);
  return `There is no command \`${asked}\`. Did you mean \`${closest(asked, names)}\`? See: cortune --help`;
}

async function build(args: string[], entry: Entry): Promise<Argv> {
  const { default: yargs } = await import('yargs');
  const parser: Argv = yargs(args)
    .scriptName('cortune')
    .usage('$0 <command> [options]\n\nHow does the way a model is tuned change how well it predicts the brain?')
    .option('json', { type: 'boolean', default: false, describe: 'Print the result as one JSON document' })
    .option('quiet', { type: 'boolean', default: false, describe: 'No progress and no notes on stderr' })
    .parserConfiguration({ 'strip-dashed': true, 'strip-aliased': true })
    .strict()
    .recommendCommands()
    .help()
    .alias('help', 'h')
    .version()
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => fail(message, error, parser as unknown as OptionsOf, entry));
  const { command } = await entry.load();
  return parser.command({ ...command, describe: command.describe ?? entry.describe });
}

/** What yargs knows of the options it was given; absent from its published types. */
interface OptionsOf {
  getOptions(): { key: Record<string, unknown> };
}

/** yargs reports a wrong use as a message, and what a handler throws as an error. */
function fail(message: string | null, error: Error | undefined, at: OptionsOf, entry: Entry): never {
  if (error && error.name !== 'YError') throw error;
  const said = (message ?? error?.message ?? 'Wrong usage').split('\n').filter(Boolean).join(' ');
  const [, name, given, choices] = /Argument: (\S+), Given: "?(.*?)"?, Choices: (.*)$/.exec(said) ?? [];
  if (choices) throw new UsageError(expected(name!, `one of ${choices.replaceAll('"', '')}`, given).message);
  if (/^Not enough non-option arguments/.test(said))
    throw new UsageError(`Expected more than \`cortune ${entry.name}\` alone. See: cortune ${entry.name} --help`);
  const unknown = /^Unknown arguments?: ([^,\s]+)/.exec(said)?.[1];
  const options = Object.keys(at.getOptions().key).filter((name) => name.length > 1);
  if (unknown && options.length > 0)
    throw new UsageError(
      `There is no option \`--${unknown}\`. Did you mean \`--${closest(unknown, options)}\`? See: cortune ${entry.name} --help`,
    );
  throw new UsageError(`${said.replace(/\.$/, '')}. See: cortune ${entry.name} --help`);
}
