/**
 * The whole native surface, typed by hand; `test/native/surface.test.ts` compares it with the addon's exports.
 * Only `lib/native`, and the one wrapper of each area (lib/model/load, lib/embed, lib/tune, lib/encode, lib/tensor), call it.
 * Native checks types, sizes and finiteness; meaning and defaults belong to TypeScript.
 */

/** A running native task. `cancel` is a request: the promise then rejects with ERR_CANCELLED. */
export interface Job<T> {
  promise: Promise<T>;
  cancel(): void;
}

/** How far a task is. `values` are named numbers worth showing (for tuning: the latest loss of each lane). */
export interface Progress {
  done: number;
  total: number;
  stage: string;
  values?: number[];
}

export type OnProgress = ((progress: Progress) => void) | undefined;

/** An opaque, type-tagged object owned by native code. `dispose` is idempotent; use after it throws ERR_DISPOSED. */
export interface Handle {
  dispose(): void;
  readonly disposed: boolean;
}
/** A float32 tensor, contiguous, any rank. */
export interface TensorHandle extends Handle {
  readonly shape: number[];
  readonly kind: 'Tensor';
}
/** A base model with its weights. */
export interface ModelHandle extends Handle {
  readonly kind: 'Model';
}
/** Images of one size, for models of images. */
export interface ImagesHandle extends Handle {
  readonly kind: 'Images';
  readonly count: number;
}
/** The trained state of K lanes on one base model. */
export interface LanesHandle extends Handle {
  readonly kind: 'Lanes';
  readonly lanes: number;
}

/** A .npy file of responses [n, t], opened. */
export interface ResponsesHandle extends Handle {
  readonly shape: number[];
  readonly kind: 'Responses';
}

export type Family = 'llama' | 'gpt2' | 'neox' | 'opt' | 'bert' | 'vit' | 'deit' | 'dinov2';

/** What a model is, whatever file said it. All families use the same fields; what a family lacks is 0, false or ''. */
export interface ModelConfig {
  family: Family;
  vocabSize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediateSize: number;
  maxPositions: number;
  normEps: number;
  activation: 'silu' | 'gelu' | 'gelu_tanh' | 'relu';
  /** Output projection shares the input embedding. */
  tieEmbeddings: boolean;
  /** Biases on q, k, v (Qwen2) and on the attention output and the MLP. */
  qkvBias: boolean;
  outBias: boolean;
  mlpBias: boolean;
  ropeTheta: number;
  /** Share of each head that rotates (NeoX). */
  ropeShare: number;
  /** '' | 'linear' | 'llama3' */
  ropeScaling: string;
  ropeFactor: number;
  ropeLowFactor: number;
  ropeHighFactor: number;
  ropeOriginalPositions: number;
  /** Attention and MLP read the same residual (NeoX). */
  parallelResidual: boolean;
  /** OPT: layer norm before (true) or after (false) each block; width of the word embedding when projected. */
  preNorm: boolean;
  embedSize: number;
  /** OPT: a final layer norm is present. */
  finalNorm: boolean;
  /** Attention window in tokens (Mistral); 0 for none. */
  slidingWindow: number;
  /** BERT: token types, pooler is not loaded. */
  typeVocabSize: number;
  initializerRange: number;
  /** Models of images: pixels a side of the images that the position table was made for, and of a patch; 0 for others. */
  imageSize: number;
  patchSize: number;
  channels: number;
  /** DINOv2: registers, gate in the MLP, position table interpolated with antialiasing (`dinov2_with_registers`). */
  registers: number;
  gatedMlp: boolean;
  antialias: boolean;
}

/** Where one weight of the model comes from. */
export interface WeightSource {
  /** Name in the model, as transformers names it. */
  name: string;
  /** Index into `files`. */
  file: number;
  /** Name in that file. */
  stored: string;
  /**
   * 'transpose': stored [in, out]; 'unpermute': GGUF's interleaved rotary rows, `heads` of them; 'regroup': GGUF's NeoX rows, all q,
   * all k, all v, back to q, k, v of each of `heads` heads; 'top', 'bottom': the first or the second half of the rows.
   */
  transform: '' | 'transpose' | 'unpermute' | 'regroup' | 'top' | 'bottom';
  heads: number;
}

export interface TensorInfo {
  name: string;
  dtype: string;
  shape: number[];
}

/** A parameter of a model. */
export interface ParameterInfo {
  name: string;
  shape: number[];
  /** Weight of a linear module that a method can attach to. */
  linear: boolean;
  /** Part of a head that only some objectives use; '' for all others. */
  head: '' | 'masked' | 'pooler';
  /** Drawn at random, because the checkpoint lacks it. */
  fresh: boolean;
}

/** What a tensor file holds. For GGUF, `metadata` holds its key-value pairs (arrays as arrays); for safetensors, `__metadata__`. */
export interface FileHeader {
  format: 'safetensors' | 'gguf';
  tensors: TensorInfo[];
  metadata: Record<string, unknown>;
}

export interface NativeInfo {
  libtorch: string;
  cpuCapability: string;
  threads: number;
  /** CPU has fast bf16 GEMMs (AMX or AVX512-BF16). */
  bf16: boolean;
  amx: boolean;
  cuda: boolean;
  compiler: string;
}

/** Pictures of one size, and what the model reads of them: pixel * scale + shift, by channel. */
export interface ImagesArgs {
  /** [n, channels, height, width] */
  shape: Int32Array;
  bytes?: Uint8Array | undefined;
  /** In place of `bytes`. */
  values?: Float32Array | undefined;
  scale: Float32Array;
  shift: Float32Array;
}

/** Sequences packed one after the other, no padding. */
export interface Packed {
  /** Token ids, N of them. */
  ids: Int32Array;
  /** Tokens of each sequence; sums to N. */
  lengths: Int32Array;
  /** Models of images: every id of a sequence is the number of its image. */
  images?: ImagesHandle | undefined;
}

/** 'causal', 'masked': a token for each scored row; 'classification', 'regression': a class or a value for each sequence, through a head. */
export type ObjectiveName = 'causal' | 'masked' | 'classification' | 'regression';

/** Sequences and what is to be learnt of them. */
export interface PackedExamples extends Packed {
  /** 'causal', 'masked': the token to be predicted in the place of each of the N tokens, -1 for none. Others: one number a sequence. */
  labels: Float32Array;
}

/** What products with the model's weights are made in. */
export type Precision = 'fp32' | 'bf16';

export interface EmbedArgs extends Packed {
  model: ModelHandle;
  lanes?: LanesHandle | undefined;
  /** Pairs [start, end) in packed positions, one pair a stimulus. */
  spans: Int32Array;
  pool: 'last' | 'mean' | 'first';
  /** Tokens in one forward pass at most (a longer sequence still runs alone). */
  maxTokens: number;
  /** Entries of hidden_states to keep (0 the embedding output, `layers` the final). */
  layers: Int32Array;
  precision: Precision;
}

/** What looks into the passes of one lane (of the base model without lanes). */
export interface Probed {
  model: ModelHandle;
  lanes?: LanesHandle | undefined;
  lane: number;
  precision: Precision;
}

/** Variants of a pass: the C++ twin is native/probe/variants.h. */
export interface VariantArgs extends Probed, Packed {
  /** The other reading of each item, as long as the item. */
  others?: Packed | undefined;
  /** Whose tokens the means are of. */
  reference?: Packed | undefined;
  /** Three numbers each: item, position, the token expected after it. */
  scored: Int32Array;
  variants: number;
  /**
   * Six numbers each, ascending by variant: variant; point (0 residual, 1 heads, 2 attention, 3 MLP); layer; head or -1 for all; position
   * or -1 for all; put to 0 zero, 1 the mean, 2 the other reading.
   */
  edits: Int32Array;
  /** Rows of a pass of one lane, and of all its lanes, about. */
  rows: number;
  together: number;
}

export interface VariantScores {
  /** [1 + V, scored], with other readings [2 + V, scored]: the unchanged model (the other reading), then the variants. */
  logP: Float64Array;
  /** The same shape: 1 where the token is the likeliest of all. */
  hits: Float64Array;
}

export interface GenerateArgs extends Packed {
  model: ModelHandle;
  lanes?: LanesHandle | undefined;
  maxNewTokens: number;
  /** Tokens that end a text. */
  ends: Int32Array;
  /** Strings that end a text; of the bytes of each token, which are only needed with them. */
  stops: readonly string[];
  pieces: Uint8Array;
  pieceLengths: Int32Array;
  /** Texts (prompts, or beams of them) that are continued at once. */
  batch: number;
  precision: Precision;
  beams: number;
  lengthPenalty: number;
  earlyStopping: 'true' | 'false' | 'never';
  /** Draw instead of taking the most likely token. */
  sample: boolean;
  temperature: number;
  /** 0 for all. */
  topK: number;
  topP: number;
  seed: number;
}

/** Texts lane after lane, prompt after prompt. */
export interface GeneratedTokens {
  tokens: Int32Array;
  lengths: Int32Array;
  scores: Float64Array;
  stops: ('end' | 'stop' | 'length' | 'diverged')[];
}

export interface LaneSpec {
  lr: number;
  weightDecay: number;
  seed: number;
  /** What lanes of one method may differ in, such as LoRA's `rank`, `alpha` and `dropout`. */
  options?: Record<string, number>;
}

/** Some lanes of one method with the same targets: the C++ twin is native/tune/spec.h. */
export interface MethodSpec {
  /** Native name: `whole` for the methods that train the base's own parameters. */
  method: string;
  /** Full names of the modules adapted, or of the parameters trained; resolved by TypeScript. Empty for virtual tokens. */
  targets: readonly string[];
  /** What all of these lanes have in common. */
  options?: Record<string, number | boolean | string | Float64Array | readonly string[]>;
  lanes: readonly LaneSpec[];
}

export interface TuneArgs extends PackedExamples {
  model: ModelHandle;
  objective: ObjectiveName;
  /** Outputs of the sequence head ('classification': their number, 'regression': 1); 0 for the others. */
  outputs: number;
  /** Methods side by side in one batch; lanes count through them in this order. */
  methods: readonly MethodSpec[];
  /** One lane (same method, targets, rank) from which every lane begins, instead of fresh. */
  from?: LanesHandle | undefined;
  /** Sequence numbers, [steps, passes, batch]; -1 fills a short row. */
  order: Int32Array;
  steps: number;
  /** Forward and backward passes whose gradients add up to one update. */
  passes: number;
  batch: number;
  /** Lanes of one pass at most, 0 for all: the others wait for their turn. Fewer take less memory. */
  together: number;
  /** Blocks are computed again in the backward pass instead of keeping what it needs. */
  checkpointing: boolean;
  /** 'bf16': products with the model's weights in bfloat16 (sums in float32), everything else in float32. */
  precision: Precision;
  /** Held-out sequences; evaluated every `every` updates (0: not in between) and after the last. */
  validation?: PackedExamples | undefined;
  every: number;
  /** Evaluations without a better loss after which a lane stops, its best state kept; 0 for never. */
  patience: number;
  /** Numbers of updates after which only the best lanes go on, and how many. */
  rungs: Int32Array;
  keep: Int32Array;
  beta1: number;
  beta2: number;
  eps: number;
  /** Largest gradient norm of a lane; 0 for no clipping. */
  clip: number;
  /** Multiplies each lane's rate: the schedule. [steps, K] */
  schedule: Float64Array;
}

export interface TuneResult {
  lanes: LanesHandle;
  /** [steps, K]; NaN after a lane has left. */
  losses: Float64Array;
  /** First step at which a lane's loss or gradient was not finite, else -1. */
  failedAt: number[];
  /** Updates after which a lane left for another reason, else -1; and the reason, else ''. */
  stoppedAt: number[];
  stoppedBy: ('' | 'patience' | 'halving')[];
  /** [evaluations, K]; NaN after a lane has left. */
  validation: Float64Array;
  /** Updates before each evaluation. */
  validatedAt: number[];
  /** Updates behind each lane's state: with patience its best, else its last. */
  bestAt: number[];
}

/** What each lane says of each sequence, all [K, S]. */
export interface Judgements {
  /** Sum over its scored rows (tokens that are to be predicted, but the first of all; or the sequence itself), in nats or squared error. */
  losses: Float64Array;
  /** How many those are. */
  rows: Float64Array;
  /** Rows where the most likely token or class is the right one. */
  correct: Float64Array;
  /** The class or value itself; NaN where labels belong to tokens. */
  said: Float64Array;
}

/** Memory that tuning takes, in bytes. */
export interface Footprint {
  /** N: tokens of the smaller passes. */
  tokens: number;
  /** Of one lane: all that the method holds, and what of it is trained (the optimiser holds twice that again). */
  state: number;
  trained: number;
  /**
   * Most that a forward and backward pass holds at each of its moments, gradients included, without the logits:
   * (1 lane, N), (2 lanes, N), (1 lane, 2 N), (2 lanes, 2 N). [4, moments]
   */
  live: Float64Array;
}

export interface NamedTensors {
  names: string[];
  tensors: TensorHandle[];
}

/** Rows of one outer fold, and of its inner folds (numbers of rows of X). */
export interface FoldRows {
  train: Int32Array;
  test: Int32Array;
  inner: { train: Int32Array; test: Int32Array }[];
}

export interface EncodeArgs {
  /** [L, n, p] float32. */
  features: TensorHandle;
  /** [n, t] float32; finite. Or `responsesFile`. */
  responses?: TensorHandle | undefined;
  responsesFile?: ResponsesHandle | undefined;
  folds: FoldRows[];
  /** Ascending, positive. */
  alphas: Float64Array;
  /** Features: centred, or centred and divided by the standard deviation, of the outer training rows. */
  standardize: 'center' | 'zscore';
  /** 'target': each target has its own alpha; 'shared': one for all. */
  alphaPer: 'target' | 'shared';
  /** One outer fold without test rows, whose inner folds both choose alpha and are scored. */
  fixed: boolean;
  /** Bytes that work and results may take. */
  memory?: number | undefined;
  /** Whose errors choose alpha: the inner folds', or leave-one-out or generalised cross-validation of the training rows. */
  selection: 'folds' | 'loo' | 'gcv';
  /** exp(-gamma |x - y|^2) or (gamma x . y + offset)^degree of scaled rows; linear without. */
  kernel?: { kind: 'rbf' | 'polynomial'; gamma: number; offset: number; degree: number } | undefined;
  /** Of products with responses; factorisations are in float64. */
  precision: 'single' | 'double';
  /** Of each row, above 0. */
  rowWeights?: Float64Array | undefined;
  /** Keep held-out predictions [L, n, t] (NaN where a row is in no test fold). */
  predictions: boolean;
  /** Keep the fits of the outer training rows: of the features, or of the (centred) training rows. */
  weights: 'none' | 'primal' | 'dual';
  /** More scores. */
  spearman: boolean;
  explained: boolean;
}

export interface EncodeResult {
  /** Each [L, F, t]: held-out Pearson r, R2 and the chosen alpha. NaN for a target that is constant in the test rows. */
  r: Float64Array;
  r2: Float64Array;
  alpha: Float64Array;
  /** [L, F, t], when asked for. */
  spearman?: Float64Array;
  explained?: Float64Array;
  /** With fixed folds [L, t]: mean over folds of the held-out mean squared error at the chosen alpha. */
  error?: Float64Array;
  predictions?: TensorHandle | undefined;
  /** [L, outer folds, p (primal) or training rows (dual), t]. */
  weights?: TensorHandle | undefined;
  /** [L, outer folds, t], with primal weights. */
  intercepts?: TensorHandle | undefined;
}

/** Which predicted row is most like its own true row? */
export interface MatchArgs {
  /** [L, n, p] */
  predicted: TensorHandle;
  /** [n, p], or [L, n, p]. */
  actual: TensorHandle;
  metric: 'correlation' | 'cosine';
  /** `[n]`: rows of one group are compared with each other only; empty for one group. */
  groups: Int32Array;
  /** `[P, n]`: under order k the true row orders[k, j] stands at the place of row j. */
  orders: Int32Array;
}

export interface MatchResult {
  /** `[L]`: pairs told apart, and pairs there are. */
  wins: Float64Array;
  pairs: Float64Array;
  /** `[L, n]`: 1 for the best; NaN where a row has no direction. */
  ranks: Float64Array;
  /** `[L, P]`: share of pairs told apart under each order. */
  baseline: Float64Array;
}

/** Held-out predictions and responses, both [n, t], and the rows of each part (test fold) in the order of time. */
export interface ScoredArgs {
  predictions: TensorHandle;
  responses: TensorHandle;
  parts: { rows: Int32Array }[];
}

export interface PermutedArgs extends ScoredArgs {
  /** [P, m], m the rows of all parts one after the other: the place, in the same part, whose response is put at each. */
  orders: Int32Array;
  /** `[P, sum over parts of floor(m / 2) + 1]`: shifts of Fourier phases, instead of orders; else empty. */
  phases: Float64Array;
  twoSided: boolean;
}

export interface PermutedResult {
  /** `[t]`: mean over parts of Pearson r. */
  r: Float64Array;
  /** `[t]`: permutations that reach it. */
  exceed: Float64Array;
  /** `[P]`: the best of any target. */
  maximum: Float64Array;
  /** `[t]`: of the null distribution. */
  mean: Float64Array;
  deviation: Float64Array;
}

export interface ResampledResult {
  /** Each [t]. */
  r: Float64Array;
  lower: Float64Array;
  upper: Float64Array;
  deviation: Float64Array;
  /** `[B]`: mean over targets of each resample. */
  mean: Float64Array;
}

export interface LogisticArgs {
  /** [n, p] */
  features: TensorHandle;
  folds: { train: Int32Array; test: Int32Array }[];
  /** `[S, n]`: several labellings of the same rows. */
  labels: Int32Array;
  classes: number;
  /** Weight of the losses against the penalty. */
  c: number;
  zscore: boolean;
}

export interface RefitPermutedArgs {
  /** [L, n, p] float32, of which `layer` is used. */
  features: TensorHandle;
  layer: number;
  /** [n, t] float32; finite. Or `responsesFile`. */
  responses?: TensorHandle | undefined;
  responsesFile?: ResponsesHandle | undefined;
  folds: FoldRows[];
  /** Ascending, positive. */
  alphas: Float64Array;
  /** [F, t] numbers of alphas, -1 for a target without score; without it alphas are chosen anew by the inner folds. */
  chosen?: Int32Array | undefined;
  /** `[P, n]`: which row takes the place of each; or empty, where runs have phases. */
  orders: Int32Array;
  /** Rows of each run in the order of time; empty for orders. */
  runs: { rows: Int32Array }[];
  /** `[P, sum over runs of floor(m / 2) + 1]`: shifts of Fourier phases within each run. */
  phases: Float64Array;
  /** Where alphas are chosen anew: for each target, or one for all. */
  alphaPer: 'target' | 'shared';
  standardize: 'center' | 'zscore';
  precision: 'single' | 'double';
  /** Compare |r|. */
  twoSided: boolean;
  /** Keep every score. */
  keep: boolean;
  /** Instead of r of each target: 2v2 accuracy of rows made of each `columns` targets side by side. */
  match?: RefitMatch | undefined;
}

export interface RefitMatch {
  /** Targets that make up a row: the columns of one layer's embeddings. */
  columns: number;
  /** How alike two rows are. */
  metric: 'correlation' | 'cosine';
  /** Columns are z-scored by the training rows of each fold before rows are compared; else they are compared as they are. */
  zscore: boolean;
  /** `[n]`: rows of one group are compared with each other only; empty for all with all. */
  groups: Int32Array;
}

export interface RefitPermutedResult {
  /** [t] mean over folds of Pearson r; with `match` [t / columns] 2v2 accuracy, and so below. */
  observed: Float64Array;
  /** [t] permutations whose score is at least that. */
  reached: Float64Array;
  /** [P] the largest score over targets. */
  largest: Float64Array;
  /** [P, t] when kept. */
  scores?: TensorHandle | undefined;
}

export interface BandedArgs {
  /** [n, p] float32. */
  features: TensorHandle;
  responses?: TensorHandle | undefined;
  responsesFile?: ResponsesHandle | undefined;
  folds: FoldRows[];
  /** Columns of each band. */
  sizes: Int32Array;
  /** [G, B] weights of the bands to try. */
  gammas: Float64Array;
  alphas: Float64Array;
  standardize: 'center' | 'zscore';
  fixed: boolean;
  precision: 'single' | 'double';
  /** Rounds of refinement around the weights that most targets chose. */
  refine: number;
}

export interface BandedResult {
  /** [F, t] */
  r: Float64Array;
  r2: Float64Array;
  /** [F, B, t] */
  split: Float64Array;
  /** [outer folds, t] */
  alpha: Float64Array;
  error: Float64Array;
  /** [outer folds, B, t] */
  gamma: Float64Array;
}

/** Everything `build/Release/cortune.node` exports. */
export interface Native {
  info(): NativeInfo;
  /** Threads of the compute thread's OpenMP team; takes effect at the next task. */
  setThreads(threads: number): void;

  tensorFrom(data: Float32Array, shape: number[]): TensorHandle;
  /** A copy of the values. */
  tensorRead(tensor: TensorHandle): Float32Array;

  inspectFile(args: { path: string }): Job<FileHeader>;
  readTensors(args: { path: string; names: string[] }): Job<TensorHandle[]>;
  /** Written beside and renamed. */
  writeSafetensors(args: {
    path: string;
    names: string[];
    tensors: TensorHandle[];
    metadata: Record<string, string>;
  }): Job<void>;

  /** With no files, weights are random as transformers initialises them, from `seed`. */
  createModel(
    args: { config: ModelConfig; files: string[]; weights: WeightSource[]; seed: number },
    onProgress?: OnProgress,
  ): Job<ModelHandle>;
  modelParameters(model: ModelHandle): ParameterInfo[];
  /** Logits [N, V] (null for encoders) and hidden states [layers + 1, N, C] of a few sequences; for tests and small uses. */
  modelForward(
    args: Packed & { model: ModelHandle; lanes?: LanesHandle | undefined; lane: number },
  ): Job<{ logits: TensorHandle | null; hidden: TensorHandle }>;
  /** Mean loss of each lane over all sequences, one after the other; never holds [N, V]. */
  modelLoss(
    args: PackedExamples & { model: ModelHandle; objective: ObjectiveName; lanes?: LanesHandle | undefined },
  ): Job<Float64Array>;

  /** Images for models of images; throws ERR_ARGUMENT where they do not fill their shape. */
  imagesFrom(args: ImagesArgs): ImagesHandle;
  /** What the heads of all lanes say of each sequence: [K, sequences, outputs]. Labels are not looked at beyond being possible ones. */
  predict(
    args: PackedExamples & {
      model: ModelHandle;
      lanes: LanesHandle;
      objective: ObjectiveName;
      batch: number;
      precision: Precision;
    },
    onProgress?: OnProgress,
  ): Job<TensorHandle>;

  /** One [kept layers, n, C] for each lane (one without lanes). */
  embed(args: EmbedArgs, onProgress?: OnProgress): Job<TensorHandle[]>;

  variantScores(args: VariantArgs, onProgress?: OnProgress): Job<VariantScores>;
  /** States at a point of blocks, of every token: [kept layers, N, width], width all heads' channels at `heads`, else C. */
  captureStates(
    args: Probed & Packed & { point: 'residual' | 'heads' | 'attention' | 'mlp'; layers: Int32Array },
  ): Job<TensorHandle>;
  /** Mean over equally long sequences of the attention weights: [L, H, T, T]. */
  attentionWeights(args: Probed & Packed, onProgress?: OnProgress): Job<TensorHandle>;
  generate(args: GenerateArgs, onProgress?: OnProgress): Job<GeneratedTokens>;

  tune(args: TuneArgs, onProgress?: OnProgress): Job<TuneResult>;
  /** What a lane of `method` (which has one) takes in memory, from small passes. */
  tuneFootprint(args: {
    model: ModelHandle;
    method: MethodSpec;
    objective: ObjectiveName;
    outputs: number;
    checkpointing: boolean;
    /** Lanes of this method never share a batch: a second one is not tried. */
    alone: boolean;
  }): Job<Footprint>;
  /** Names and values of a lane's tensors as its file holds them (PEFT's names); with `whole`, all that is trained, to compare or go on. */
  laneTensors(args: { lanes: LanesHandle; lane: number; whole: boolean }): Job<NamedTensors>;
  /** Gradients of the mean loss of all sequences in one pass, by the names of `laneTensors` with `whole`; for tests and small uses. */
  laneGradients(
    args: PackedExamples & { model: ModelHandle; lanes: LanesHandle; lane: number; objective: ObjectiveName },
  ): Job<NamedTensors>;
  /** Losses and answers sequence by sequence, of all lanes or of the base model; passes of about `tokens` tokens. */
  judgeExamples(
    args: PackedExamples & {
      model: ModelHandle;
      lanes?: LanesHandle | undefined;
      objective: ObjectiveName;
      tokens: number;
      precision: Precision;
    },
    onProgress?: OnProgress,
  ): Job<Judgements>;
  /** Every parameter of the model with the lane's effect in it; throws ERR_ARGUMENT for lanes with virtual tokens. */
  mergedTensors(args: {
    model: ModelHandle;
    lanes: LanesHandle;
    lane: number;
    /** Names of matrices to hand out as [in, out] (GPT-2's files hold them so). */
    transposed: string[];
  }): Job<NamedTensors>;
  lanesFromTensors(args: {
    model: ModelHandle;
    /** Of one lane. */
    method: MethodSpec;
    /** Of the sequence head; 0 for none. */
    outputs: number;
    names: string[];
    tensors: TensorHandle[];
  }): Job<LanesHandle>;

  /** Rows mixed by a sparse [m, n] matrix in CSR form, then delayed copies side by side: [.., n, C] -> [.., m, C * delays]. */
  alignRows(args: {
    tensor: TensorHandle;
    rowStarts: Int32Array;
    columns: Int32Array;
    weights: Float32Array;
    delays: Int32Array;
  }): Job<TensorHandle>;
  /** A matrix of float32 or float64 in a .npy file; read piece by piece when used. */
  openResponses(args: { path: string }): Job<ResponsesHandle>;
  encode(args: EncodeArgs, onProgress?: OnProgress): Job<EncodeResult>;
  encodeBanded(args: BandedArgs, onProgress?: OnProgress): Job<BandedResult>;
  /** Scores of one layer under permuted rows of the responses, everything fitted anew. */
  refitPermuted(args: RefitPermutedArgs, onProgress?: OnProgress): Job<RefitPermutedResult>;

  matchRows(args: MatchArgs, onProgress?: OnProgress): Job<MatchResult>;
  /** Of all pairs of rows of each layer of `values` [L, n, p], the first with the others first: [L, n (n - 1) / 2]. */
  dissimilarities(
    args: { values: TensorHandle; metric: 'correlation' | 'cosine' | 'euclidean' | 'sqeuclidean' },
    onProgress?: OnProgress,
  ): Job<Float64Array>;
  /** Every layer of `a` [L, n, p] with every layer of `b` [M, n, q]: [L, M]. */
  layerSimilarity(
    args: { a: TensorHandle; b: TensorHandle; measure: 'cka' | 'cka-debiased' | 'procrustes' },
    onProgress?: OnProgress,
  ): Job<Float64Array>;
  permutedScores(args: PermutedArgs, onProgress?: OnProgress): Job<PermutedResult>;
  /** `draws` [B, m]: places of the same part, with replacement. */
  resampledScores(
    args: ScoredArgs & { draws: Int32Array; level: number },
    onProgress?: OnProgress,
  ): Job<ResampledResult>;
  /**
   * Precision and recall of each pair of texts, [P, 2]: of each token the largest cosine with one of the other text, their mean weighted by
   * the tokens' weights. `states` [.., n, C] holds the tokens of all texts.
   */
  softMatch(args: {
    states: TensorHandle;
    lengths: Int32Array;
    weights: Float32Array;
    pairs: Int32Array;
  }): Job<Float64Array>;
  /** Predicted label of each held-out row, [S, n]; -1 for a row in no test fold. */
  logistic(args: LogisticArgs, onProgress?: OnProgress): Job<Float64Array>;
}
