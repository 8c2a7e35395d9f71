/** Do the numbers of a study fit its data and its models? Asked before anything is computed. */
import { groupNumbers } from '../analysis/match.js';
import {
  bootstrapDraws,
  checkParts,
  parseExchange,
  runsOf,
  stretches,
  surrogateOrders,
} from '../analysis/surrogates.js';
import { parseSimulated } from '../data/simulate.js';
import { makeFolds, parseFolds } from '../encode/folds.js';
import { CortuneError, expected } from '../errors.js';
import type { FoldRows } from '../native/types.js';
import type { StudyData } from './data.js';
import { checkGeometry } from './geometry.js';
import type { StudyModel } from './models.js';
import { isTested } from './plan.js';
import type { Study } from './schema.js';
import type { DecodeSection } from './schema-sections.js';

/** Throws RangeError (ERR_ARGUMENT) or ERR_DATA for folds the rows cannot give, and layers a model does not have. */
export function checkFit(study: Study, data: StudyData, models: ReadonlyMap<string, StudyModel>): void {
  const { folds, inner_folds: inner, trim, gap } = study.encode;
  const parts = makeFolds({ rows: data.rows, ...parseFolds(folds), inner, trim, gap, groups: data.measured?.groups });
  if (isTested(study)) checkStats(study.stats, data.rows, parts, data.measured?.groups);
  if (study.decode) checkShuffles(study.decode, data.rows, data.measured?.groups);
  const { layers } = study.embed;
  for (const [name, { config }] of models) {
    const beyond = layers === 'all' ? undefined : layers.find((layer) => layer > config.layers);
    if (beyond !== undefined) throw expected('embed.layers', `numbers from 0 to ${config.layers} for ${name}`, beyond);
  }
  if (data.measured) checkGeometry(study, data.measured.targets);
  if (!data.simulated) return;
  const planted = parseSimulated(data.entry.dataset).layer ?? 0;
  const last = layers === 'all' ? models.get(study.models[0]!.name)!.config.layers : layers.length - 1;
  if (planted > last) throw expected('layer', `a number from 0 to ${last} for the simulated subject`, planted);
}

/** A classifier needs a label for each row. */
export function checkLabels(study: Study, labels: readonly string[] | undefined, { rows, name }: StudyData): void {
  if (labels === undefined || labels.length === rows) return;
  throw new CortuneError(
    'ERR_DATA',
    `Expected ${rows} labels in ${study.decode!.labels}, one for each row of the responses of ${name}, got ${labels.length}.`,
  );
}

/** Intervals are taken within the test rows of each fold; tests exchange rows within runs, or within those too. */
function checkStats(
  { permutations, exchange, refit, resamples, block }: Study['stats'],
  rows: number,
  folds: FoldRows[],
  groups: readonly string[] | undefined,
): void {
  const sizes = folds.map(({ test }) => test.length);
  checkParts(sizes);
  const how = parseExchange(exchange);
  const parts = refit === 'none' ? stretches(how, folds, groups) : runSizes(rows, groups);
  if (permutations > 0) surrogateOrders(how.kind === 'phase' ? { kind: 'rows' } : how, parts, 0, 0);
  if (resamples > 0) bootstrapDraws(sizes, block, 0, 0);
}

/** Shuffles of decoding exchange rows within runs. */
function checkShuffles(
  { permutations, exchange, refit, labels }: DecodeSection,
  rows: number,
  groups: readonly string[] | undefined,
): void {
  if (permutations === 0) return;
  const how = parseExchange(exchange);
  if (how.kind === 'phase' && (labels !== undefined || refit === 'none'))
    throw expected('decode.exchange', 'an exchange of rows for labels and `refit: none`', exchange);
  if (refit !== 'none') surrogateOrders(how.kind === 'phase' ? { kind: 'rows' } : how, runSizes(rows, groups), 0, 0);
}

function runSizes(rows: number, groups: readonly string[] | undefined): number[] {
  return runsOf(rows, groupNumbers(groups, rows)).map((run) => run.length);
}
