/** `cortune compare`: the runs of a study against one of them, pair by pair. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import type { LayerChoice } from '../analysis/compare.js';
import { expected } from '../errors.js';
import { compareRuns, type RunComparison } from '../study/comparisons.js';
import { type CompareAxis, compareGroups, type GroupComparison, kAxes } from '../study/group-comparisons.js';
import { readResults } from '../study/results.js';
import { decimals, intervalText, pText } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions {
  folder: string;
  study?: string | undefined;
  of?: string | undefined;
  per?: string | undefined;
  baseline: string;
  layer: string;
  permutations: number;
  level: number;
  seed: number;
}

type Compared = RunComparison | GroupComparison;

function layerChoice(text: string): LayerChoice {
  if (text === 'best') return 'best';
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw expected('layer', '`best` or the number of a layer', text);
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { folder, study, baseline, permutations, level, seed } = options;
  const layer = layerChoice(options.layer);
  const results = await readResults(folder, { study });
  const words = (text: string) => text.split(',').map((word) => word.trim());
  if (options.of !== undefined) {
    const per = words(options.per ?? 'data,model') as CompareAxis[];
    const how = { of: words(options.of), baseline: words(baseline), per, layer, permutations, level, seed };
    const groups = compareGroups(results, how);
    ctx.result({ ...how, groups }, () => describeGroups(groups, how, options.layer));
    return;
  }
  if (options.per !== undefined) throw expected('per', 'left out without --of', options.per);
  const { comparisons, notes } = compareRuns(results, { baseline, layer, permutations, level, seed });
  for (const note of notes) ctx.note(`Note: ${note}`);
  ctx.result({ layer: options.layer, level, comparisons }, () => describe(comparisons, options.layer, level));
}

/** How many pairs, of which layer. */
function termsOf({ over, effect }: Compared, layer: string, level: number): string {
  return `${effect.n} ${over}; layer ${layer === 'best' ? 'chosen on the other folds' : layer}; interval of ${100 * level} %`;
}

const kEffectColumns = ['difference', 'interval', 'dz', 'p', 'p FDR', 'Wilcoxon'];

function effectCells({ difference, effect, p, fdr, wilcoxon }: Compared): string[] {
  return [
    decimals(difference.value),
    intervalText(difference.lower, difference.upper),
    effect.dz.toFixed(2),
    pText(p),
    pText(fdr),
    pText(wilcoxon),
  ];
}

function describe(comparisons: readonly RunComparison[], layer: string, level: number): string {
  const title = `Against ${comparisons[0]!.against}, ${termsOf(comparisons[0]!, layer, level)}`;
  return `${title}\n\n${table(
    ['run', 'r', ...kEffectColumns],
    comparisons.map((each) => [each.title, decimals(each.score), ...effectCells(each)]),
  )}`;
}

function describeGroups(
  groups: readonly GroupComparison[],
  { of, baseline, per, level }: { of: string[]; baseline: string[]; per: CompareAxis[]; level: number },
  layer: string,
): string {
  const title = `Mean of ${of.join(', ')} against ${baseline.join(', ')}, ${termsOf(groups[0]!, layer, level)}`;
  return `${title}\n\n${table(
    [...per, 'runs', 'r', 'against', ...kEffectColumns],
    groups.map((each) => [
      ...per.map((axis) => String(each.stratum[axis] ?? '-')),
      `${each.runs}:${each.baselineRuns}`,
      decimals(each.score),
      decimals(each.baseline),
      ...effectCells(each),
    ]),
  )}`;
}

export const command: CommandModule<object, Options> = {
  command: 'compare <folder>',
  describe: 'Paired comparisons of the runs of a study with one of them',
  builder: (yargs) =>
    yargs
      .positional('folder', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .option('study', { type: 'string', describe: 'One study of the folder, by name' })
      .option('baseline', {
        type: 'string',
        default: 'untuned',
        describe: 'Method, title or id of the run that the others are compared with; with --of methods, by commas',
      })
      .option('of', { type: 'string', requiresArg: true, describe: 'Methods whose mean is compared, by commas' })
      .option('per', {
        type: 'string',
        requiresArg: true,
        describe: `With --of: apart for each of these (${kAxes.join(', ')}), by commas [default: data,model]`,
      })
      .option('layer', {
        type: 'string',
        default: 'best',
        describe: "Number of a layer, or `best`: each run's best by the other folds",
      })
      .option('permutations', {
        type: 'number',
        default: 10_000,
        describe: 'Random sign flips where there are more ways than that',
      })
      .option('level', { type: 'number', default: 0.95, describe: 'Share of resamples inside the interval' })
      .option('seed', { type: 'number', default: 0, describe: 'Of flips and resamples' })
      .example('$0 compare results/alice', 'Every run against the untuned model')
      .example('$0 compare results/alice --baseline word_rate --layer 12 --json', 'Against a control, for programs')
      .example(
        '$0 compare results/mine --of lora,ia3 --baseline full --per data,model,lr',
        'Groups of methods, for each rate',
      )
      .epilogue(
        'Pairs are subjects where the study has them (data.subjects each or both), means over regions; --json adds every region with\np-values corrected for all of them. p: sign-flip permutation, two-sided. dz: mean difference over its standard deviation.',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
