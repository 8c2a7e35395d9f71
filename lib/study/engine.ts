/** Computes one lane batch: load the model, tune its lanes, embed the stimuli, align them to the responses, score. */
import { type Significance, significance } from '../analysis/significance.js';
import { alignFeatures } from '../data/align.js';
import { controlFeatures } from '../data/controls.js';
import { parseSimulated, simulateDataset } from '../data/simulate.js';
import type { Dataset, Stimuli } from '../data/types.js';
import { embedLanes } from '../embed/embed.js';
import { type EncodeOptions, type EncodeScores, encode, foldRows } from '../encode/encode.js';
import { CortuneError, codeOf } from '../errors.js';
import { readsImages } from '../model/config.js';
import { loadModel, type Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { Progress } from '../native/types.js';
import type { Tensor } from '../tensor.js';
import { saveAdapter } from '../tune/adapter.js';
import type { Lanes } from '../tune/lanes.js';
import { methodOf } from '../tune/methods.js';
import { controlFromFile } from './controls.js';
import { type StudyData, summarizeData } from './data.js';
import { environment } from './environment.js';
import { featureWriter } from './features.js';
import { geometryOf } from './geometry.js';
import { type Computed, isOfTheRun } from './loop.js';
import type { StudyModel } from './models.js';
import { Clock, divergence, recordOf, scoresOf, summaryOf, tuningOf } from './outcome.js';
import { type Batch, poolOf, type Run, titleOf } from './plan.js';
import { probeOf } from './probe.js';
import { qualityOf } from './quality.js';
import type { Environment, RunRecord, Scores } from './records.js';
import { modelSource, type Study, studyPath } from './schema.js';
import { encodeOptions } from './scoring.js';
import type { NewRun } from './store.js';
import { type Training, type TunedPart, tuneBatch } from './training.js';

/** Throws ERR_CONFIG where a model of images meets texts, or one of texts pictures. */
function picturesOf(model: Model, stimuli: Stimuli): readonly string[] {
  const pictures = stimuli.kind === 'trials' ? stimuli.pictures : undefined;
  if (pictures && readsImages(model.config)) return pictures;
  throw new CortuneError(
    'ERR_CONFIG',
    pictures
      ? `Expected a model of images (ViT, DeiT, DINOv2) for stimuli that are pictures, got ${model.name}.`
      : `Expected stimuli that are pictures (\`stimuli.pictures: true\`) for ${model.name}, a model of images, got texts.`,
  );
}

export interface EngineOptions extends JobOptions {
  study: Study;
  /** Of each data set of the study. */
  data: readonly StudyData[];
  training: Training;
  models: ReadonlyMap<string, StudyModel>;
}

/** Holds the model in use between batches; `dispose` frees it. */
export class Engine implements Disposable {
  readonly #options: EngineOptions;
  readonly #environment: Environment = environment();
  #loaded: { name: string; seed: number; model: Model } | undefined;
  /** Simulated subjects, once they are made. */
  readonly #datasets = new Map<number, Promise<Dataset>>();
  #stage = '';

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** `place` is where the batch stands in the study, for progress: `2/5`. */
  async compute(batch: Batch, place = ''): Promise<Computed> {
    this.#stage = titleOf(batch, place);
    const clock = new Clock();
    const dataset = await this.#data(batch.data);
    clock.lap('data');
    return batch.model === null ? this.#control(batch, dataset, clock) : this.#tuned(batch, dataset, clock);
  }

  /** The record of a run that could not be computed. */
  failed(run: Run, batch: Batch, error: { code: string; message: string }): NewRun {
    const data = this.#options.data[batch.data]!;
    const unread: Dataset = {
      name: data.measured?.name ?? 'simulated',
      simulated: data.simulated,
      citation: '',
      licence: '',
      hash: data.hash,
      stimuli: data.stimuli,
      responses: { data: new Float32Array(), rows: data.rows, columns: data.targets },
      targets: [],
      ceilings: { values: new Float64Array(), method: '' },
      notes: [],
    };
    const record = this.#record(run, batch, data.measured ?? unread, {});
    return { record: { ...record, status: 'failed', error } };
  }

  dispose(): void {
    this.#loaded?.model.dispose();
    this.#loaded = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Options of a long call: the signal, and progress under the batch's name. */
  #job(): JobOptions {
    const { signal, onProgress } = this.#options;
    const stage = this.#stage;
    return {
      signal,
      onProgress:
        onProgress && ((progress: Progress) => onProgress({ ...progress, stage: `${stage}: ${progress.stage}` })),
    };
  }

  async #model(name: string, seed: number): Promise<Model> {
    if (this.#loaded?.name === name && this.#loaded.seed === seed) return this.#loaded.model;
    this.dispose();
    const model = await loadModel(modelSource(this.#options.study, name), { seed, ...this.#job() });
    this.#loaded = { name, seed, model };
    return model;
  }

  #data(number: number): Promise<Dataset> {
    const { measured } = this.#options.data[number]!;
    if (measured) return Promise.resolve(measured);
    const made = this.#datasets.get(number) ?? this.#simulate(this.#options.data[number]!);
    this.#datasets.set(number, made);
    made.catch(() => this.#datasets.delete(number));
    return made;
  }

  /** A simulated subject has a layer of the study's first model, as the study names it, planted in its responses. */
  async #simulate(data: StudyData): Promise<Dataset> {
    const { study } = this.#options;
    const planted = study.models[0]!.name;
    const [features] = await this.#features(await this.#model(planted, 0), data.stimuli, data.rows);
    try {
      const options = { ...parseSimulated(data.entry.dataset), mode: data.entry.subjects ?? ('mean' as const) };
      const values = { data: features!.toArray(), shape: features!.shape };
      return simulateDataset(data.stimuli, values, { ...options, model: planted });
    } finally {
      features?.dispose();
    }
  }

  /** Features [L, n, p] of each lane (of the base model when there are none), aligned to the rows of the responses. */
  async #features(model: Model, stimuli: Stimuli, rows: number, lanes?: Lanes): Promise<Tensor[]> {
    const { embed, align } = this.#options.study;
    if (readsImages(model.config) || (stimuli.kind === 'trials' && stimuli.pictures))
      return this.#pictureFeatures(model, stimuli, lanes);
    const texts = stimuli.kind === 'words' ? stimuli.words.map((word) => word.text) : stimuli.texts;
    const { layers, context, window, precision } = embed;
    const raw = await embedLanes(model, texts, {
      ...this.#job(),
      pool: poolOf(this.#options.study, stimuli.kind),
      layers,
      context,
      precision,
      ...(window !== undefined && { window }),
      ...(stimuli.kind === 'trials' && stimuli.passages && { passages: stimuli.passages }),
      lanes,
    });
    if (stimuli.kind !== 'words') return raw;
    const aligned: Tensor[] = [];
    try {
      for (const tensor of raw) {
        const { words, tr, start } = stimuli;
        aligned.push(await alignFeatures(tensor, words, { ...this.#job(), ...align, tr, start, rows }));
        tensor.dispose();
      }
      return aligned;
    } catch (error) {
      for (const tensor of [...raw, ...aligned]) tensor.dispose();
      throw error;
    }
  }

  /** The same of pictures: the class token, or the mean of the patches. */
  async #pictureFeatures(model: Model, stimuli: Stimuli, lanes?: Lanes): Promise<Tensor[]> {
    const { layers, precision, pool, image_size: imageSize } = this.#options.study.embed;
    const pictures = picturesOf(model, stimuli);
    const how = { layers, precision, lanes, imageSize, ...(pool !== undefined && { pool }) };
    return embedLanes(model, pictures, { ...this.#job(), ...how });
  }

  async #scores(features: Tensor, dataset: Dataset, ofModel: boolean): Promise<{ scores: Scores; warnings: string[] }> {
    const { study, training } = this.#options;
    const all = Array.from({ length: features.shape[0]! }, (_, l) => l);
    const layers = ofModel && study.embed.layers !== 'all' ? study.embed.layers : all;
    const options: EncodeOptions = {
      ...encodeOptions(study),
      groups: dataset.groups,
      names: dataset.targets.map((target) => target.name),
      layers,
    };
    const result = await encode(features, dataset.responses, { ...this.#job(), ...options });
    const tested = await this.#tested(features, result, dataset, options);
    const more = ofModel ? await geometryOf(features, dataset, study, layers, training.labels, this.#job()) : {};
    return {
      scores: { ...scoresOf(result, dataset, study.encode.folds, layers, tested), ...more },
      warnings: result.warnings,
    };
  }

  /** Tests and intervals of held-out predictions, where the study asks for them. */
  async #tested(
    features: Tensor,
    { predictions, folds }: EncodeScores,
    { responses, groups }: Dataset,
    options: EncodeOptions,
  ): Promise<Significance | undefined> {
    if (!predictions) return undefined;
    using kept = predictions;
    const { stats } = this.#options.study;
    return significance(kept, responses, foldRows(responses.rows, stats.refit === 'reselect', options), {
      ...this.#job(),
      ...stats,
      groups,
      fits: { ...options, features, scores: folds },
    });
  }

  async #control(batch: Batch, dataset: Dataset, clock: Clock): Promise<Computed> {
    const { align } = this.#options.study;
    const { stimuli, responses } = dataset;
    const { control, options, file } = batch.control!;
    using features = control
      ? controlFeatures(control, stimuli, { ...options, rows: responses.rows, groups: dataset.groups, ...align })
      : await controlFromFile(studyPath(this.#options.study, file!), batch.control!, responses.rows);
    const { scores, warnings } = await this.#scores(features, dataset, false);
    clock.lap('encode');
    const run = batch.runs[0]!;
    const record = { ...this.#record(run, batch, dataset, clock.seconds), warnings };
    return { runs: [{ record, scores }], dispose: () => {} };
  }

  async #tuned(batch: Batch, dataset: Dataset, clock: Clock): Promise<Computed> {
    const model = await this.#model(batch.model!, batch.seed);
    clock.lap('load');
    if (batch.runs[0]!.tuning === null)
      return { runs: await this.#part(model, batch, dataset, undefined, clock), dispose: () => {} };
    const { study, training } = this.#options;
    const parts: TunedPart[] = [];
    const dispose = () => {
      for (const { result } of parts) result.lanes.dispose();
    };
    const done = new Map<string, NewRun>();
    try {
      for await (const part of tuneBatch(model, batch, study, dataset.stimuli, training, this.#job())) {
        parts.push(part);
        clock.lap('tune');
        for (const run of await this.#part(model, batch, dataset, part, clock)) done.set(run.record.id, run);
      }
      return { runs: batch.runs.map((run) => done.get(run.id)!), dispose };
    } catch (error) {
      dispose();
      throw error;
    }
  }

  /** The runs of lanes that were tuned together, or of the model as it is. */
  async #part(model: Model, batch: Batch, dataset: Dataset, part: TunedPart | undefined, clock: Clock) {
    const lanes = part?.result.lanes;
    const { study, training } = this.#options;
    const measured = await qualityOf(model, batch, study, dataset.stimuli, training, part?.result, this.#job());
    clock.lap('evaluate');
    const features = await this.#features(model, dataset.stimuli, dataset.responses.rows, lanes);
    clock.lap('embed');
    const runs = await this.#scoreLanes(batch, dataset, features, part, clock);
    const whole: NewRun[] = [];
    for (const [i, run] of runs.entries()) {
      if (run.record.status !== 'done') {
        whole.push(run);
        continue;
      }
      const lane = part ? part.runs[i]!.lane : 0;
      const probe = study.probe && (await probeOf(model, study, training.tasks, lanes, lane, this.#job()));
      const adapter = part && methodOf(part.runs[i]!.run.tuning!.method!).adapter;
      whole.push({
        ...run,
        ...{ quality: measured[lane], probe },
        ...(adapter && { saveAdapter: (folder) => saveAdapter(model, lanes!, lane, folder) }),
      });
    }
    clock.lap('probe');
    return whole;
  }

  /** Scores each lane, freeing its features as soon as they are scored. */
  async #scoreLanes(
    batch: Batch,
    dataset: Dataset,
    features: Tensor[],
    part: TunedPart | undefined,
    clock: Clock,
  ): Promise<NewRun[]> {
    const runs: NewRun[] = [];
    const tuned = part?.result;
    const wanted = part?.runs ?? [{ run: batch.runs[0]!, lane: 0 }];
    try {
      for (const { run, lane: k } of wanted) {
        const losses = tuned?.losses[k]?.slice(0, tuned.stopped[k]?.updates);
        const diverged = tuned?.failed[k] ?? null;
        if (diverged !== null) runs.push({ ...this.failed(run, batch, divergence(run, diverged)), losses });
        else {
          const scored = await this.#scoreLane(run, batch, dataset, features[k]!, clock, tuned?.trainable[k] ?? 0);
          const tuning = tuned && tuningOf(tuned, k);
          runs.push({ ...scored, record: { ...scored.record, ...(tuning && { tuning }) }, losses });
        }
        features[k]!.dispose();
      }
      return runs;
    } finally {
      for (const tensor of features) tensor.dispose();
    }
  }

  /** A lane whose features cannot be scored fails alone: the others of its batch are whole. */
  async #scoreLane(
    run: Run,
    batch: Batch,
    dataset: Dataset,
    features: Tensor,
    clock: Clock,
    trainable: number,
  ): Promise<NewRun> {
    try {
      const { scores, warnings } = await this.#scores(features, dataset, true);
      clock.lap('encode');
      const record = { ...this.#record(run, batch, dataset, clock.seconds), warnings, trainable };
      return { record, scores, ...(this.#options.study.embed.save && { saveFeatures: featureWriter(features) }) };
    } catch (error) {
      if (batch.runs.length === 1 || !isOfTheRun(error)) throw error;
      return this.failed(run, batch, { code: codeOf(error), message: (error as Error).message });
    }
  }

  #record(run: Run, batch: Batch, dataset: Dataset, seconds: Record<string, number>): RunRecord {
    const { models } = this.#options;
    const data = this.#options.data[batch.data]!;
    const model = batch.model === null ? null : summaryOf(models.get(batch.model)!, run.labels.model);
    return recordOf(run, { data: summarizeData(data, dataset), model, environment: this.#environment, seconds });
  }
}
