/** The plan of a study: its runs, named by the hash of all that decides their results, and grouped into lane batches. */
import type { Pool } from '../embed/embed.js';
import { methodOf } from '../tune/methods.js';
import { contentId } from './hash.js';
import { kFormat, type RunKey, type RunLabels } from './records.js';
import type { MethodEntry, Study } from './schema.js';

/** Lanes that are tuned together at most; memory may allow fewer (see cost.ts). */
const kMaxLanes = 8;

export interface Run {
  id: string;
  labels: RunLabels;
  key: RunKey;
}

/** Runs that are computed together: lanes on one base model, or a single run. */
export interface Batch {
  /** As the study names it, `untrained:` before it for random weights; null for controls. */
  model: string | null;
  method: string;
  /** Of a tuning method: its own options, all of its runs alike. */
  options: Record<string, unknown>;
  /** Random weights of an untrained model. */
  seed: number;
  runs: Run[];
}

export interface Plan {
  study: Study;
  batches: Batch[];
  /** All runs, in the order of the batches. */
  runs: Run[];
}

/** What the plan must know of the world: content hashes. */
export interface Known {
  data: { hash: string; kind: 'trials' | 'words' };
  /** Of each name that `modelsOf` gives. */
  models: ReadonlyMap<string, string>;
}

/** The models a study needs: each model, and its untrained twin where a run asks for one. */
export function modelsOf(study: Study): string[] {
  const untrained = study.methods.some((entry) => entry.method === 'untrained');
  const trained = study.methods.some((entry) => entry.method !== 'untrained');
  return study.models.flatMap((name) => [...(trained ? [name] : []), ...(untrained ? [untrainedOf(name)] : [])]);
}

/** `untrained:NAME`, once. */
export function untrainedOf(name: string): string {
  return name.startsWith('untrained:') ? name : `untrained:${name}`;
}

/** Expands a study. Pure: the same study, data and models give the same ids on every machine. */
export function makePlan(study: Study, known: Known): Plan {
  const batches: Batch[] = [];
  const seen = new Set<string>();
  const add = (model: string | null, method: string, seed: number, runs: Run[], options = {}) => {
    const fresh = runs.filter((run) => !seen.has(run.id) && seen.add(run.id));
    if (fresh.length > 0) batches.push({ model, method, options, seed, runs: fresh });
  };
  for (const control of study.controls) add(null, control, 0, [controlRun(study, known, control)]);
  for (const model of study.models)
    for (const entry of study.methods)
      for (const seed of entry.method === 'untuned' ? study.seeds.slice(0, 1) : study.seeds)
        for (const lanes of laneGroups(runsOf(study, known, model, entry, seed), entry))
          add(
            entry.method === 'untrained' ? untrainedOf(model) : model,
            entry.method,
            entry.method === 'untrained' ? seed : 0,
            lanes,
            { ...entry.options, ...(lanes[0]!.labels.rank === null ? {} : { rank: lanes[0]!.labels.rank }) },
          );
  return { study, batches, runs: batches.flatMap((batch) => batch.runs) };
}

/** Lanes share rank and data order, so a batch holds the learning rates of one rank and seed. Methods that do not stack run alone. */
function laneGroups(runs: Run[], entry: MethodEntry): Run[][] {
  if (entry.lr === undefined || !methodOf(entry.method).stackable) return runs.map((run) => [run]);
  return (entry.rank ?? [null]).flatMap((rank) =>
    chunks(
      runs.filter((run) => run.labels.rank === rank),
      kMaxLanes,
    ),
  );
}

function runsOf(study: Study, known: Known, model: string, entry: MethodEntry, seed: number): Run[] {
  const name = entry.method === 'untrained' ? untrainedOf(model) : model;
  const hash = known.models.get(name);
  if (hash === undefined) throw new RangeError(`Expected the hash of ${name} among the known models`);
  const common = { ...sharedKey(study, known), model: hash, embed: embedKey(study, known) };
  const run = (labels: Partial<RunLabels>, tune: RunKey['tune']) =>
    named(
      { model, method: entry.name ?? entry.method, lr: null, rank: null, seed: null, ...labels },
      { ...common, method: entry.method, tune },
    );
  if (entry.method === 'untuned') return [run({}, null)];
  if (entry.method === 'untrained') return [run({ seed }, { seed })];
  return (entry.rank ?? [null]).flatMap((rank) =>
    entry.lr!.map((lr) =>
      run({ lr, rank, seed }, { ...study.tune, lr, seed, ...(rank === null ? {} : { rank }), ...optionsKey(entry) }),
    ),
  );
}

/** What of a method's options names a run: LoRA's alpha and targets always, the others where they are not the defaults. */
function optionsKey({ method, options }: MethodEntry): Record<string, unknown> {
  const { targets, ...others } = options as { targets?: string | string[] };
  const sorted = targets === undefined ? undefined : [targets].flat().sort();
  if (method === 'lora') return { alpha: 8, ...others, targets: sorted ?? 'default' };
  return { ...others, ...(sorted ? { targets: sorted } : {}) };
}

function embedKey(study: Study, known: Known) {
  return { ...study.embed, pool: poolOf(study, known.data.kind) };
}

/** A word is the mean of its tokens, a text its last token, unless the study says otherwise. */
export function poolOf(study: Study, kind: 'trials' | 'words'): Pool {
  return study.embed.pool ?? (kind === 'words' ? 'mean' : 'last');
}

function controlRun(study: Study, known: Known, control: string): Run {
  const labels = { model: '', method: control, lr: null, rank: null, seed: null };
  return named(labels, { ...sharedKey(study, known), method: control, model: null, tune: null, embed: null });
}

function sharedKey(study: Study, known: Known) {
  return {
    format: kFormat,
    data: known.data.hash,
    align: known.data.kind === 'words' ? { ...study.align } : null,
    encode: { ...study.encode },
    // Absent when nothing is tested, so that runs made before there were tests keep their names.
    ...(isTested(study) && { stats: { ...study.stats } }),
  };
}

/** Does the study ask for tests or intervals of its scores? */
export function isTested({ stats }: Study): boolean {
  return stats.permutations > 0 || stats.resamples > 0;
}

function named(labels: RunLabels, key: RunKey): Run {
  return { id: contentId(key), labels, key };
}

function chunks<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** `SmolLM2-135M lora lr 1e-3 rank 8 seed 0`: a run in words. */
export function runTitle(labels: RunLabels): string {
  const model = labels.model.split('/').at(-1) ?? '';
  return [model, methodTitle(labels), labels.seed === null ? '' : `seed ${labels.seed}`].filter(Boolean).join(' ');
}

/** `lora lr 1e-3 rank 8` */
export function methodTitle(labels: RunLabels): string {
  const { method, lr, rank } = labels;
  return [method.replace('_', ' '), lr === null ? '' : `lr ${rateText(lr)}`, rank === null ? '' : `rank ${rank}`]
    .filter(Boolean)
    .join(' ');
}

/** `1e-4`: learning rates as people write them. */
export function rateText(lr: number): string {
  return lr >= 0.01 ? String(lr) : lr.toExponential();
}
