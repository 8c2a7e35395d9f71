// The driver of encoding: pieces of work side by side or one by one.
#include "encode.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <limits>

#include "check.h"
#include "fold.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Memory of pieces of work that may run side by side.
constexpr double kParallelBytes = 2e9;

// Side by side, each piece single-threaded, when there are enough of them and they fit in memory; else one
// after the other.
bool side_by_side(const at::Tensor& features, int64_t pieces) {
  const double n = features.size(1), p = features.size(2);
  const double bytes = 8 * (n * p + 6 * n * n + 4 * kChunkValues);
  return pieces >= at::get_num_threads() && bytes * at::get_num_threads() <= kParallelBytes;
}

}  // namespace

EncodeScores encode(const at::Tensor& features, const at::Tensor& responses, const EncodeSpec& spec,
                    const Task& task) {
  const auto x = features.to(at::kFloat).contiguous(), y = responses.to(at::kFloat).contiguous();
  check_encoding(x, y, spec);
  const int64_t folds = static_cast<int64_t>(spec.folds.size()), pieces = x.size(0) * folds;
  const size_t size = static_cast<size_t>(pieces * y.size(1));
  EncodeScores out{
      std::vector<double>(size, kNan), std::vector<double>(size, kNan), std::vector<double>(size, kNan), {}};
  if (spec.predictions) out.predictions = at::full({x.size(0), y.size(0), y.size(1)}, kNan, at::kFloat);
  const Study study{x, y, spec, task, at::tensor(spec.alphas, at::kDouble), out};
  std::atomic<int64_t> done{0};
  const auto work = [&](int64_t from, int64_t to) {
    const c10::InferenceMode inference;  // a mode belongs to its thread
    for (int64_t piece = from; piece < to; ++piece) {
      encode_fold(study, piece / folds, piece % folds);
      task.progress(++done, pieces, "encode");
    }
  };
  if (side_by_side(x, pieces))
    at::parallel_for(0, pieces, 1, work);
  else
    work(0, pieces);
  return out;
}

}  // namespace cortune
