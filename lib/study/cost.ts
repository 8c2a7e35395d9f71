/** What a lane batch will take: floating-point operations and memory, from shapes alone. */
import { parseFolds } from '../encode/folds.js';
import type { ModelConfig } from '../native/types.js';
import { kMethods } from '../tune/methods.js';
import type { StudyData } from './data.js';
import type { StudyModel } from './models.js';
import type { Batch } from './plan.js';
import type { Study } from './schema.js';

export interface Cost {
  /** Floating-point operations, of the stages together and each. */
  flops: number;
  tuning: number;
  embedding: number;
  scoring: number;
  /** Bytes at the peak. */
  memory: number;
}

/** Of nothing to do. */
export const kNoCost: Cost = { flops: 0, tuning: 0, embedding: 0, scoring: 0, memory: 0 };

const kFloat = 4;
/** Tokens a word, for estimates without a tokenizer: common for English in vocabularies of 30,000 to 50,000. */
const kTokensAWord = 1.4;
/** Columns of a control, for estimates. */
const kControlWidth = 4;
/** Rows of one forward pass whose activations are alive together. */
const kRowsAlive = 4096;

/** Tuning, embedding and scoring of one batch. Within a factor of two of what is used: attention and rounding are left out. */
export function costOf(batch: Batch, study: Study, data: StudyData, models: ReadonlyMap<string, StudyModel>): Cost {
  const lanes = batch.runs.length;
  const model = batch.model === null ? undefined : models.get(batch.model);
  if (!model) {
    const { flops, memory } = scoring(1, kControlWidth, data, study);
    return { flops, tuning: 0, embedding: 0, scoring: flops, memory };
  }
  const { config, parameters } = model;
  const { hiddenSize, layers } = config;
  const { stimuli, words } = sizeOf(data);
  const inLayers = parameters - config.vocabSize * hiddenSize;
  // A forward pass multiplies and adds once a weight and token; a backward pass costs twice that, or once where weights stand still.
  const pictures = config.patchSize > 0;
  const tokens = pictures ? stimuli * tokensOf(config, study.embed.image_size) : words * kTokensAWord;
  const whole = kMethods.some(({ name, adapter, stackable }) => name === batch.method && !adapter && !stackable);
  const passes = whole ? 6 : 4;
  const { steps, batch: size, block } = study.tune;
  const inPass = pictures ? size * tokensOf(config, study.tune.image_size) : Math.min(size * block, tokens);
  const trained = batch.runs[0]!.labels.lr === null ? 0 : inPass * steps;
  const tuning = lanes * trained * (passes * inLayers + 6 * config.vocabSize * hiddenSize);
  const embedding = 2 * inLayers * tokens * lanes;
  const { layers: kept, columns: width } = widthOf(batch, study, data, models);
  const score = scoring(kept, width, data, study);
  const states = kept * hiddenSize * kFloat * stimuli * lanes;
  const aligned = kept * width * kFloat * data.rows * lanes;
  const activations =
    trained === 0 ? 0 : Math.min(kRowsAlive, size * block) * lanes * layers * hiddenSize * 16 * kFloat;
  const weights = parameters * kFloat * (whole ? 5 : 1);
  return {
    flops: tuning + embedding + lanes * score.flops,
    tuning,
    embedding,
    scoring: lanes * score.flops,
    memory: weights + Math.max(activations, states + aligned, aligned + score.memory),
  };
}

/** What most processors of images make. */
const kImageSize = 224;

/** Tokens of a picture. */
function tokensOf({ patchSize, registers }: ModelConfig, imageSize = kImageSize): number {
  return 1 + registers + Math.floor(imageSize / patchSize) ** 2;
}

const sizes = new WeakMap<StudyData, { stimuli: number; words: number }>();

/** Stimuli and words of a data set; counted once, as a study may have thousands of batches. */
function sizeOf(data: StudyData): { stimuli: number; words: number } {
  const known = sizes.get(data);
  if (known) return known;
  const texts = data.stimuli.kind === 'words' ? data.stimuli.words.map((word) => word.text) : data.stimuli.texts;
  const size = { stimuli: texts.length, words: texts.reduce((sum, text) => sum + text.split(/\s+/).length, 0) };
  sizes.set(data, size);
  return size;
}

/** Layers that are scored, and columns of each. */
export function widthOf(
  batch: Batch,
  { embed, align }: Study,
  { stimuli }: StudyData,
  models: ReadonlyMap<string, StudyModel>,
): { layers: number; columns: number } {
  const model = batch.model === null ? undefined : models.get(batch.model);
  if (!model) return { layers: 1, columns: kControlWidth };
  const delays = stimuli.kind === 'words' && align.response === 'fir' ? align.delays.length : 1;
  const layers = embed.layers === 'all' ? model.config.layers + 1 : embed.layers.length;
  return { layers, columns: model.config.hiddenSize * delays };
}

/** Gram matrices of every layer and fold, their eigenvectors, and the products with targets. */
function scoring(layers: number, width: number, data: StudyData, study: Study): Pick<Cost, 'flops' | 'memory'> {
  const n = data.rows;
  const { count } = parseFolds(study.encode.folds);
  const outer = count || new Set(data.measured?.groups ?? []).size || 5;
  const fits = layers * outer;
  const small = Math.min(n, width);
  const flops = fits * (2 * n * n * Math.min(width, n * 8) + 9 * small ** 3 + 20 * n * small * data.targets);
  return { flops, memory: 8 * (n * width + 3 * n * n) };
}
