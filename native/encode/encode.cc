// The driver of encoding: pieces of work side by side or one by one.
#include "encode.h"

#include <atomic>
#include <limits>

#include "check.h"
#include "fold.h"
#include "parallel.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Memory of pieces of work that may run side by side.
constexpr double kParallelBytes = 2e9;

// Side by side, each piece single-threaded, when there are enough of them and they fit in memory; else one
// after the other.
bool side_by_side(const at::Tensor& features, int64_t pieces) {
  const double n = features.size(1), p = features.size(2);
  const double bytes = 8 * (n * p + 6 * n * n + 4 * kTileValues);
  return pieces >= at::get_num_threads() && bytes * at::get_num_threads() <= kParallelBytes;
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
  auto out = make_scores(x, responses.targets(), spec);
  const auto row_weights =
      spec.row_weights.empty() ? at::Tensor() : at::tensor(spec.row_weights, at::kDouble);
  const Study study{x, responses, spec, task, at::tensor(spec.alphas, at::kDouble), row_weights, out};
  // Every target is passed over twice: alphas, then scores.
  const int64_t total = 2 * pieces * responses.targets();
  std::atomic<int64_t> done{0};
  const auto progress = [&](int64_t targets) { task.progress(done += targets, total, "encode"); };
  const auto work = [&](int64_t piece) { encode_fold(study, piece / outer, piece % outer, progress); };
  if (side_by_side(x, pieces))
    each(pieces, work);
  else
    for (int64_t piece = 0; piece < pieces; ++piece) work(piece);
  return out;
}

}  // namespace cortune
