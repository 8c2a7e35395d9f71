/**
 * cortune for Node: load a model, tune it, embed stimuli, align them to brain responses, score how well they predict them.
 *
 * Each stage is a function one can call alone; long ones take an AbortSignal and report progress (JobOptions). Tensors, models and lanes live
 * in native memory: free them with `dispose()` or `using`.
 */

export {
  type CeilingKind,
  type CeilingOptions,
  ceilingOverRows,
  type ExplainableVariance,
  explainableVariance,
  groupCeilingOverSubjects,
  kCeilings as ceilings,
  type SplitHalf,
  splitHalf,
} from './analysis/ceilings.js';
export { type Classified, type ClassifyOptions, classify } from './analysis/classify.js';
export {
  type ComparedRun,
  type Comparison,
  chosenScores,
  compareScores,
  type LayerChoice,
} from './analysis/compare.js';
export { type Decoded, type DecodedLayer, type DecodeOptions, decode } from './analysis/decode.js';
export { type Curve, type Extrapolation, extrapolatedCeiling } from './analysis/extrapolate.js';
export { type MatchOptions, type MatchScore, matchRows } from './analysis/match.js';
export { adjustFdr, adjustMaximum } from './analysis/multiple.js';
export {
  type Alternative,
  bootstrapMean,
  type EffectSizes,
  effectSizes,
  type SignFlipTest,
  signFlipTest,
  wilcoxon,
} from './analysis/paired.js';
export {
  compareRdms,
  type Dissimilarity,
  pooledRdm,
  type Rdm,
  type RdmComparison,
  type RsaCeiling,
  rdmOfSquare,
  rdms,
  rsaCeiling,
} from './analysis/rdm.js';
export { type RefitOptions, refitTest } from './analysis/refit.js';
export {
  type BootstrapOptions,
  bootstrapScores,
  type Interval,
  type PermutationOptions,
  type PermutationTest,
  permutationTest,
  type ScoreIntervals,
} from './analysis/resample.js';
export { fitRdms, type RsaFit, type RsaOptions } from './analysis/rsa.js';
export { type Significance, type SignificanceOptions, significance } from './analysis/significance.js';
export { layerSimilarity, type Similarity } from './analysis/similarity.js';
export { type Exchange, parseExchange } from './analysis/surrogates.js';
export { type UniqueVariance, uniqueVariance, type VarianceParts } from './analysis/unique.js';
export { type AlignOptions, alignFeatures } from './data/align.js';
export { groupCeiling, interSubjectCeilings } from './data/ceiling.js';
export { type CheckedFile, type CheckOptions, checkDataset, type DatasetCheck } from './data/check.js';
export { type Control, controlFeatures, controlMatrix } from './data/controls.js';
export { loadDataset } from './data/dataset.js';
export { type MatrixOptions, type NamedMatrix, readMatrix, readTensor, readTexts } from './data/formats/index.js';
export { type MatValue, parseMat } from './data/formats/mat.js';
export type { Dataset, Matrix, Stimuli, Target, Word } from './data/types.js';
export { type Context, type EmbedOptions, embed, embedLanes, embedWords, type Pool } from './embed/embed.js';
export { parseAlphas } from './encode/alphas.js';
export { type BandedOptions, type BandedScores, encodeBanded } from './encode/banded.js';
export * from './encode/encode.js';
export { type FoldOptions, makeFolds, parseFolds } from './encode/folds.js';
export { partitionVariance, type VariancePartition } from './encode/partition.js';
export {
  type PhaseShifts,
  type RefitPermutedOptions,
  type RefitPermutedScores,
  refitPermuted,
} from './encode/permute.js';
export { type Responses, ResponsesFile } from './encode/responses.js';
export { CortuneError, type ErrorCode } from './errors.js';
export { type GeneratedText, type GenerateOptions, generate, generateLanes } from './generate/generate.js';
export type { ImageSource } from './images/decode.js';
export { Images, type ReadImagesOptions, readImages } from './images/read.js';
export type { Picture } from './images/resample.js';
export { type LoadOptions, loadModel, Model } from './model/load.js';
export type { ModelShape } from './model/resolve.js';
export type { JobOptions } from './native/jobs.js';
export type { ModelConfig, Progress } from './native/types.js';
export {
  type AblatedPart,
  type AblateOptions,
  type Ablation,
  ablate,
  scoreItems,
} from './probe/ablate.js';
export { type AttentionMap, attentionMaps } from './probe/attention.js';
export {
  type DecodedStates,
  type DecodedVariable,
  type DecodeStatesOptions,
  decodeStates,
  type PlaceScore,
} from './probe/decode-states.js';
export type { ItemScores, ProbeItem, ProbeOptions } from './probe/items.js';
export { type MapOptions, mapStates, type StateMap } from './probe/map.js';
export { type Patched, type Patching, type PatchOptions, type PatchPair, patch } from './probe/patch.js';
export { type ReadItemsOptions, readItems } from './probe/read-items.js';
export { type Followed, follow } from './progress.js';
export { type ReportOptions, report } from './report/report.js';
export { type CompareOptions, compareRuns, type RunComparison } from './study/comparisons.js';
export type { Freed, GcOptions } from './study/gc.js';
export { type CompareAxis, compareGroups, type GroupComparison, type GroupOptions } from './study/group-comparisons.js';
export { openStore, type QueryResult, ResultStore, type RunFilter } from './study/open.js';
export { type Overview, type OverviewOptions, overview } from './study/overview.js';
export type { Query, QueryOptions, QueryParameter, QueryValue } from './study/query.js';
export type { RunLabels, RunRecord, StudyRecord } from './study/records.js';
export { type Results, readResults, type ScoreRow, scoreRows, summarize } from './study/results.js';
export { type DryRun, type DryRunOptions, dryRun, type RunStudyOptions, runStudy } from './study/run.js';
export { type SubmitOptions, type Submitted, submitStudy } from './study/submit.js';
export type { Problem, Verification } from './study/verify.js';
export { type DecisionOptions, type DecisionTrial, decisions, type Splits } from './tasks/decisions.js';
export { type EvaluateOptions, evaluate, type Quality } from './tasks/evaluate.js';
export { kMetricNames as metrics } from './tasks/metrics.js';
export { exactMatch, normalizeAnswer, tokenF1 } from './tasks/scores/answers.js';
export { type BertScoreOptions, type BertScores, bertScore } from './tasks/scores/bert-score.js';
export { type BleuScore, bleu } from './tasks/scores/bleu.js';
export { type ChrfOptions, chrf } from './tasks/scores/chrf.js';
export { type RougeKind, type RougeScore, rouge } from './tasks/scores/rouge.js';
export { Tensor } from './tensor.js';
export { loadAdapter, saveAdapter } from './tune/adapter.js';
export type { Completion, Example, Labelled, LabelledImage, Objective } from './tune/examples.js';
export type { Halving } from './tune/halving.js';
export { Lanes } from './tune/lanes.js';
export { parseMemory } from './tune/memory.js';
export { kMethods as methods, type Method, type MethodOptions } from './tune/methods.js';
export { type Predicted, type PredictOptions, predict } from './tune/predict.js';
export { type ReadExamplesOptions, readExamples } from './tune/read-examples.js';
export type { RunOptions } from './tune/runs.js';
export { saveModel } from './tune/save-model.js';
export { type SweepOptions, type SweepPart, sweep } from './tune/sweep.js';
export { type TuneOptions, type TuneResult, tune } from './tune/tune.js';
