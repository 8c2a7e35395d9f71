/** The plan of a study: its runs, named by the hash of all that decides their results, and grouped into lane batches. */
import type { Pool } from '../embed/embed.js';
import { methodOf } from '../tune/methods.js';
import type { RunOptions } from '../tune/runs.js';
import { contentId } from './hash.js';
import { kFormat, type RunKey, type RunLabels } from './records.js';
import { isDrawn, type Study, untrainedOf } from './schema.js';
import type { ControlEntry } from './schema-controls.js';
import { isTuned, type MethodEntry } from './schema-methods.js';
import { kStimuli, type TaskEntry } from './schema-tasks.js';
import { type Lane, lanesOf } from './study-lanes.js';

/** Lanes that are tuned together at most; memory may allow fewer (see cost.ts). */
const kMaxLanes = 8;

export interface Run {
  id: string;
  labels: RunLabels;
  key: RunKey;
  /** How it is tuned; null where nothing is. */
  tuning: RunOptions | null;
}

/** Runs that are computed together: lanes on one base model, or a single run. */
export interface Batch {
  /** Which of the study's data sets. */
  data: number;
  /** As the study names it, `untrained:` before it for random weights; null for controls. */
  model: string | null;
  /** Of its first run: a tuning method, `untuned`, `untrained`, or the name of a control. */
  method: string;
  /** The control, where it is one. */
  control: ControlEntry | null;
  /** Random weights of an untrained model. */
  seed: number;
  /** Which of the study's tasks it learns; 0 where nothing is tuned. */
  task: number;
  /** Draws the order of the texts. */
  dataSeed: number;
  /** Share of the tuning texts. */
  fraction: number;
  runs: Run[];
  /** Runs that must be tuned together, as halving compares them; null where each ends as if alone. */
  together: Run[] | null;
}

export interface Plan {
  study: Study;
  batches: Batch[];
  /** All runs, in the order of the batches. */
  runs: Run[];
}

/** What the plan must know of the world: content hashes. */
export interface Known {
  /** Of each data set of the study. */
  data: readonly { hash: string; kind: 'trials' | 'words'; name?: string }[];
  /** Of each name that `modelsOf` gives. */
  models: ReadonlyMap<string, string>;
  /** Of each file that the study names, by that name. */
  files?: ReadonlyMap<string, string>;
}

/** The models a study needs: each model, and its untrained twin where a run asks for one. */
export function modelsOf(study: Study): string[] {
  const untrained = study.methods.some((entry) => entry.method === 'untrained');
  const trained = study.methods.some((entry) => entry.method !== 'untrained');
  const names = study.models.flatMap(({ name }) => [
    ...(trained ? [name] : []),
    ...(untrained ? [untrainedOf(study, name)] : []),
  ]);
  return [...new Set(names)];
}

/** Files that a study names and whose content decides results. */
export function filesOf({ tasks, controls, decode }: Study): string[] {
  const ofTasks = tasks.flatMap(({ text, validation, test }) => [text, validation, test]);
  const named = [...ofTasks, decode?.labels, ...controls.map(({ file }) => file)];
  return [...new Set(named.filter((path) => path !== undefined && path !== kStimuli))] as string[];
}

/** Expands a study. Pure: the same study, data and models give the same ids on every machine. */
export function makePlan(study: Study, known: Known): Plan {
  const planner = new Planner(study, known);
  for (const [d] of known.data.entries()) for (const control of study.controls) planner.control(d, control);
  for (const { name: model } of study.models)
    for (const [d] of known.data.entries()) {
      for (const entry of study.methods) planner.asItIs(d, model, entry);
      for (const [t] of study.tasks.entries()) planner.tuned(d, model, t);
    }
  return { study, batches: planner.batches, runs: planner.batches.flatMap((batch) => batch.runs) };
}

class Planner {
  readonly batches: Batch[] = [];
  readonly #study: Study;
  readonly #known: Known;
  readonly #seen = new Set<string>();

  constructor(study: Study, known: Known) {
    this.#study = study;
    this.#known = known;
  }

  control(data: number, entry: ControlEntry): void {
    const labels = { ...this.#labels(data), model: '', method: entry.name };
    const { control, options, file, key } = entry;
    const deciding = file === undefined ? options : { file: this.#file(file), ...(key === undefined ? {} : { key }) };
    const run = named(labels, {
      ...this.#shared(data, true),
      method: control ?? 'file',
      ...(Object.keys(deciding).length > 0 && { control: deciding }),
      model: null,
      tune: null,
      embed: null,
    });
    this.#add({ data, method: entry.name, control: entry }, [run]);
  }

  /** `untuned` and `untrained` models: nothing is tuned. Weights of `untrained` ones, and of shapes, are drawn by each seed. */
  asItIs(data: number, model: string, entry: MethodEntry): void {
    if (isTuned(entry)) return;
    const name = entry.method === 'untrained' ? untrainedOf(this.#study, model) : model;
    const labels = { ...this.#labels(data), model, method: entry.name ?? entry.method };
    const quality = this.#quality(this.#study.tasks.filter(({ label }) => label === undefined));
    const add = (seed: number | null) => {
      const key = this.#key(data, name, entry.method, seed === null ? null : { seed });
      const run = named({ ...labels, seed }, { ...key, ...quality });
      this.#add({ data, model: name, method: entry.method, seed: seed ?? 0 }, [run]);
    };
    if (entry.method === 'untrained' || isDrawn(this.#study, name)) for (const seed of this.#study.seeds) add(seed);
    else add(null);
  }

  /**
   * Lanes share the texts and their order, so a batch holds runs of one task, seed and fraction; and of one model, so of one seed where weights
   * are random. Methods that do not stack run alone.
   */
  tuned(data: number, model: string, task: number): void {
    const { methods, seeds, fractions, tune } = this.#study;
    const random = isDrawn(this.#study, model);
    const orders =
      tune.data_seed === undefined || random
        ? seeds.map((seed) => ({ order: tune.data_seed ?? seed, seeds: [seed] }))
        : [{ order: tune.data_seed, seeds }];
    for (const fraction of fractions)
      for (const { order, seeds: own } of orders) {
        const lanes = methods
          .filter(isTuned)
          .flatMap((entry) => own.flatMap((seed) => lanesOf(entry, seed, this.#study)));
        for (const group of laneGroups(lanes, tune.halving !== undefined)) {
          const runs = group.map((lane) => this.#lane(data, model, task, fraction, lane));
          const together = tune.halving === undefined ? null : this.#together(runs);
          const seed = random ? own[0]! : 0;
          const { method } = group[0]!.entry;
          this.#add({ data, model, method, task, seed, dataSeed: order, fraction, together }, together ?? runs);
        }
      }
  }

  #lane(data: number, model: string, number: number, fraction: number, lane: Lane): Run {
    const task = this.#study.tasks[number]!;
    const several = this.#study.tasks.length > 1 && { task: task.name };
    const labels = { ...this.#labels(data), ...lane.labels, model, ...(fraction < 1 && { fraction }), ...several };
    const tune = { ...lane.key, ...this.#learnt(task), ...(fraction < 1 && { fraction }) };
    const key = this.#key(data, model, lane.entry.method, tune);
    return named(labels, { ...key, ...this.#quality([task]) }, lane.tuning);
  }

  /** What of a task decides what is learnt. */
  #learnt({ text, column, prompt, completion, label, objective, validation, limit, generate }: TaskEntry) {
    return {
      ...(generate && { generate: { ...generate, test: undefined } }),
      ...{ column, prompt, completion, label, objective, limit },
      ...(text !== kStimuli && { text: this.#file(text) }),
      ...(validation !== undefined && { validation: this.#file(validation) }),
    };
  }

  /** What decides the quality of a run; nothing where no task has a test. */
  #quality(tasks: readonly TaskEntry[]): Pick<RunKey, 'quality' | 'probe'> {
    const { packing, block } = this.#study.tune;
    const made = tasks.flatMap(({ generate, metrics, by, limit }) =>
      generate ? [{ generate, metrics, by, limit }] : [],
    );
    const tested = tasks.flatMap(
      ({ test, column, prompt, completion, label, choices, references, write, metrics, objective, by, limit }) =>
        test === undefined
          ? []
          : [
              {
                ...{ test: this.#file(test), packing, block },
                ...{ column, prompt, completion, label, choices, references, write, metrics, objective, by, limit },
              },
            ],
    );
    const measured = [...made, ...tested];
    return {
      ...(measured.length > 0 && { quality: measured }),
      ...(this.#study.probe && { probe: this.#study.probe }),
    };
  }

  /** Where halving compares runs, each one's result depends on all of them. */
  #together(runs: Run[]): Run[] {
    const among = contentId(runs.map(({ key }) => key));
    return runs.map(({ labels, key, tuning }) => named(labels, { ...key, tune: { ...key.tune, among } }, tuning));
  }

  #add(batch: Pick<Batch, 'data' | 'method'> & Partial<Batch>, runs: Run[]): void {
    const fresh = runs.filter((run) => !this.#seen.has(run.id) && this.#seen.add(run.id));
    if (fresh.length === 0) return;
    const rest = { model: null, control: null, seed: 0, task: 0, dataSeed: 0, fraction: 1, together: null };
    this.batches.push({ ...rest, ...batch, runs: fresh });
  }

  #labels(data: number): RunLabels {
    const name = this.#known.data[data]!.name;
    const several = this.#known.data.length > 1 && name !== undefined;
    return { model: '', method: '', lr: null, rank: null, seed: null, ...(several && { data: name }) };
  }

  #file(path: string): string {
    if (path === kStimuli) return kStimuli;
    const hash = this.#known.files?.get(path);
    if (hash === undefined) throw new RangeError(`Expected the hash of ${path} among the known files`);
    return hash;
  }

  #key(data: number, model: string, method: string, tune: RunKey['tune']): RunKey {
    const hash = this.#known.models.get(model);
    if (hash === undefined) throw new RangeError(`Expected the hash of ${model} among the known models`);
    const { precision, save: _, ...embed } = this.#study.embed;
    return {
      ...this.#shared(data, false),
      method,
      model: hash,
      embed: {
        ...embed,
        pool: poolOf(this.#study, this.#known.data[data]!.kind),
        ...(precision !== 'fp32' && { precision }),
      },
      tune,
    };
  }

  /** Options that came later are absent at their defaults, so that runs made before keep their names. */
  #shared(data: number, isControl: boolean) {
    const { align, encode, decode, rsa, stats } = this.#study;
    const { hash, kind } = this.#known.data[data]!;
    const { selection, missing, ...scored } = encode;
    const labels = decode?.labels === undefined ? {} : { labels: this.#file(decode.labels) };
    return {
      format: kFormat,
      data: hash,
      align: kind === 'words' ? { ...align } : null,
      encode: { ...scored, ...(selection !== 'nested' && { selection }), ...(missing !== 'error' && { missing }) },
      ...(isTested(this.#study) && { stats: { ...stats } }),
      ...(decode && !isControl && { decode: { ...decode, ...labels } }),
      ...(rsa && !isControl && { rsa: { ...rsa } }),
    };
  }
}

/** Lanes that stack, in batches of a few; the others alone. Runs that are compared with each other stay together. */
function laneGroups(lanes: readonly Lane[], halving: boolean): Lane[][] {
  const stacks = (lane: Lane) => methodOf(lane.entry.method).stackable;
  const together = lanes.filter(stacks);
  return [
    ...chunks(together, halving ? Math.max(1, together.length) : kMaxLanes),
    ...lanes.filter((lane) => !stacks(lane)).map((lane) => [lane]),
  ];
}

/** A word is the mean of its tokens, a text its last token, unless the study says otherwise. */
export function poolOf(study: Study, kind: 'trials' | 'words'): Pool {
  return study.embed.pool ?? (kind === 'words' ? 'mean' : 'last');
}

/** Does the study ask for tests or intervals of its scores? */
export function isTested({ stats }: Study): boolean {
  return stats.permutations > 0 || stats.resamples > 0;
}

function named(labels: RunLabels, key: RunKey, tuning: RunOptions | null = null): Run {
  return { id: contentId(key), labels, key, tuning };
}

function chunks<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** `SmolLM2-135M lora lr 1e-3 rank 8 seed 0`: a run in words. */
export function runTitle(labels: RunLabels): string {
  const model = labels.model.split('/').at(-1) ?? '';
  const seed = labels.seed === null ? '' : `seed ${labels.seed}`;
  const data = labels.data === undefined ? '' : `on ${labels.data}`;
  return [model, methodTitle(labels), seed, data].filter(Boolean).join(' ');
}

/** `lora lr 1e-3 rank 8` */
export function methodTitle(labels: RunLabels): string {
  const { method, lr, rank, fraction, task } = labels;
  return [
    method.replace('_', ' '),
    lr === null ? '' : `lr ${rateText(lr)}`,
    rank === null ? '' : `rank ${rank}`,
    fraction === undefined ? '' : `${Number((100 * fraction).toPrecision(6))} % of the text`,
    task === undefined ? '' : `task ${task}`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** `1e-4`: learning rates as people write them. */
export function rateText(lr: number): string {
  return lr >= 0.01 ? String(lr) : lr.toExponential();
}

/** `2/5 lora x 3`: a batch in words, after its place in the study. */
export function titleOf(batch: Batch, place: string): string {
  return `${place} ${batch.runs[0]!.labels.method}${batch.runs.length > 1 ? ` x ${batch.runs.length}` : ''}`.trim();
}
