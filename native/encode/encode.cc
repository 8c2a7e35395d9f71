// The driver of encoding: pieces of work side by side or one by one.
#include "encode.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "check.h"
#include "fold.h"
#include "parallel.h"
#include "predict.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Memory of pieces of work that may run side by side.
constexpr double kParallelBytes = 2e9;
// Most memory of a piece of work for what it would else compute twice.
constexpr double kKeptBytes = 256e6;

// About the most memory one piece of work holds, from the sizes of its matrices.
double piece_bytes(const at::Tensor& features, const EncodeSpec& spec, int64_t targets) {
  const double n = static_cast<double>(features.size(1)), p = static_cast<double>(features.size(2));
  const double k = std::min(n, p), A = static_cast<double>(spec.alphas.size());
  double inner = 0;
  for (const auto& fold : spec.folds) inner = std::max(inner, static_cast<double>(fold.inner.size()));
  const double factors = 8 * (n * p + 3 * std::min(n * n, p * p) + (inner + 1) * 3 * n * k);
  const double forms = spec.single ? 4 * A * std::min(n * n / 2, inner * k * k) : 0;
  // Matrices of the fits, one for each alpha in use.
  const double values = spec.single ? 4 : 8;
  double fits = values * A * n * n;
  if (!spec.fixed) {
    double held = 0;
    for (const auto& fold : spec.folds) held = std::max(held, static_cast<double>(fold.rows.test.size()));
    fits = std::min(values * A * held * n, kFitBytes);
  }
  const double width = std::min<double>(static_cast<double>(targets), spec.single ? kTileTargets : 4096);
  const double tile = spec.single ? 4 * (4 * n + 64 * A) * width : 8 * 4 * static_cast<double>(kTileValues);
  return factors + forms + fits + at::get_num_threads() * (tile + (spec.single ? 24 * n * n : 0));
}

double result_bytes(const at::Tensor& features, const EncodeSpec& spec, int64_t targets) {
  const double L = static_cast<double>(features.size(0)), t = static_cast<double>(targets);
  const double folds = static_cast<double>(spec.fixed ? spec.folds[0].inner.size() : spec.folds.size());
  const double fits = static_cast<double>(spec.folds.size());
  // Scores are copied for JavaScript.
  double bytes = 16 * L * t * (3 * folds + (spec.spearman ? folds : 0) + (spec.explained ? folds : 0));
  if (spec.predictions) bytes += 4 * L * t * static_cast<double>(features.size(1));
  if (spec.weights == Weights::kPrimal) bytes += 4 * L * t * fits * static_cast<double>(features.size(2) + 1);
  if (spec.weights == Weights::kDual) bytes += 4 * L * t * fits * static_cast<double>(features.size(1));
  return bytes;
}

void check_memory(const at::Tensor& features, const EncodeSpec& spec, int64_t targets) {
  const double needed = piece_bytes(features, spec, targets) + result_bytes(features, spec, targets);
  if (!(spec.memory > 0) || needed <= spec.memory) return;
  const auto mebibytes = [](double bytes) {
    return std::to_string(static_cast<int64_t>(bytes / 1048576) + 1) + " MiB";
  };
  fail(Code::kMemory, "Expected encoding to fit in `memory`, " + mebibytes(spec.memory) +
                          ", and it needs about " + mebibytes(needed) +
                          ". Encode fewer layers or targets in one call, keep no weights or predictions, or "
                          "raise the limit.");
}

// Side by side, each piece single-threaded, when there are enough of them and they fit in memory; else one
// after the other.
bool side_by_side(const at::Tensor& features, const EncodeSpec& spec, int64_t pieces, int64_t targets) {
  const double left = spec.memory > 0 ? spec.memory - result_bytes(features, spec, targets) : kParallelBytes;
  return pieces >= at::get_num_threads() &&
         piece_bytes(features, spec, targets) * at::get_num_threads() <= std::min(left, kParallelBytes);
}

// What each of the pieces at work may keep beside what it needs: what a limit leaves.
double kept_bytes(const at::Tensor& features, const EncodeSpec& spec, int64_t at_once, int64_t targets) {
  if (!(spec.memory > 0)) return kKeptBytes;
  const double left = (spec.memory - result_bytes(features, spec, targets)) / static_cast<double>(at_once);
  return std::clamp(left - piece_bytes(features, spec, targets), 0.0, kKeptBytes);
}

// Places for all results.
EncodeScores make_scores(const at::Tensor& x, int64_t targets, const EncodeSpec& spec) {
  const int64_t L = x.size(0), outer = static_cast<int64_t>(spec.folds.size());
  EncodeScores out;
  out.folds = spec.fixed ? static_cast<int64_t>(spec.folds[0].inner.size()) : outer;
  const size_t size = static_cast<size_t>(L * out.folds * targets);
  for (auto* scores : {&out.r, &out.r2, &out.alpha}) scores->assign(size, kNan);
  if (spec.spearman) out.spearman.assign(size, kNan);
  if (spec.explained) out.explained.assign(size, kNan);
  if (spec.fixed) out.error.assign(L * targets, 0.0);
  if (spec.predictions) out.predictions = at::full({L, x.size(1), targets}, kNan, at::kFloat);
  if (spec.weights == Weights::kPrimal) {
    out.weights = at::full({L, outer, x.size(2), targets}, kNan, at::kFloat);
    out.intercepts = at::full({L, outer, targets}, kNan, at::kFloat);
  } else if (spec.weights == Weights::kDual) {
    out.weights = at::full({L, outer, static_cast<int64_t>(spec.folds[0].rows.train.size()), targets}, kNan,
                           at::kFloat);
  }
  return out;
}

}  // namespace

EncodeScores encode(const at::Tensor& features, const Responses& responses, const EncodeSpec& spec,
                    const Task& task) {
  const auto x = features.to(at::kFloat).contiguous();
  check_encoding(x, responses, spec);
  const int64_t outer = static_cast<int64_t>(spec.folds.size()), pieces = x.size(0) * outer;
  check_memory(x, spec, responses.targets());
  auto out = make_scores(x, responses.targets(), spec);
  const auto row_weights =
      spec.row_weights.empty() ? at::Tensor() : at::tensor(spec.row_weights, at::kDouble);
  const int64_t targets = responses.targets();
  const bool beside = side_by_side(x, spec, pieces, targets);
  const double kept = kept_bytes(x, spec, beside ? at::get_num_threads() : 1, targets);
  const Study study{x, responses, spec, task, at::tensor(spec.alphas, at::kDouble), row_weights, kept, out};
  // Every target is passed over twice: alphas, then scores.
  const int64_t total = 2 * pieces * responses.targets();
  std::atomic<int64_t> done{0};
  const auto progress = [&](int64_t targets) { task.progress(done += targets, total, "encode"); };
  const auto work = [&](int64_t piece) { encode_fold(study, piece / outer, piece % outer, progress); };
  if (beside)
    each(pieces, work);
  else
    for (int64_t piece = 0; piece < pieces; ++piece) work(piece);
  return out;
}

}  // namespace cortune
