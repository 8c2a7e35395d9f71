// Held-out embeddings put together from their folds, scaled, and matched.
#include "decode.h"

#include <algorithm>
#include <cmath>

namespace cortune {
namespace {

// A column whose deviation is below this share of its values is constant but for rounding.
constexpr double kConstant = 1e-7;

// Columns taken together while rows of them are written.
constexpr int64_t kColumns = 16;

// What a column is shifted and multiplied by.
struct Scaling {
  double shift, scale;
};

// Of the truth; predictions are without the mean of the training rows.
Scaling scaling_of(const RowMoments& train, double centre, bool zscore) {
  if (!zscore) return {centre, 1};
  const bool varies = train.deviation > kConstant * (std::abs(train.mean) + std::abs(centre));
  return {-train.mean, varies ? 1 / train.deviation : 0};
}

// columns [w, m] -> rows [m, w].
void put_rows(const at::Tensor& columns, const std::vector<Scaling>& scaling, float* rows) {
  const int64_t w = columns.size(0), m = columns.size(1);
  const auto contiguous = columns.contiguous();
  const float* values = contiguous.data_ptr<float>();
  for (int64_t from = 0; from < w; from += kColumns) {
    const int64_t to = std::min(w, from + kColumns);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t c = from; c < to; ++c)
        rows[i * w + c] = static_cast<float>((values[c * m + i] + scaling[c].shift) * scaling[c].scale);
  }
}

double score(const DecodeSpec& spec, const std::vector<HeldOut>& folds, const at::Tensor& centre,
             const Task& task) {
  int64_t count = 0, place = 0;
  for (const auto& fold : folds) count += fold.truth.size(1);
  auto predicted = at::empty({count, spec.width}, at::kFloat), actual = at::empty_like(predicted);
  MatchSpec match{spec.correlation, {}, {}};
  for (const auto& fold : folds) {
    std::vector<Scaling> truth, prediction;
    for (int64_t c = 0; c < spec.width; ++c) {
      truth.push_back(scaling_of(fold.train[c], centre.data_ptr<double>()[c], spec.zscore));
      prediction.push_back({truth[c].shift + fold.train[c].mean, truth[c].scale});
    }
    put_rows(fold.predicted, prediction, predicted.data_ptr<float>() + place * spec.width);
    put_rows(fold.truth, truth, actual.data_ptr<float>() + place * spec.width);
    place += fold.truth.size(1);
    if (spec.groups.empty()) continue;
    for (const int64_t row : fold.rows) {
      if (row >= static_cast<int64_t>(spec.groups.size()))
        fail(Code::kArgument, "Expected `groups` to hold one number for each row");
      match.groups.push_back(spec.groups[row]);
    }
  }
  return two_vs_two(predicted, actual, match, task);
}

}  // namespace

BlockScore decoding_score(const DecodeSpec& spec) {
  return {spec.width, [spec](const std::vector<HeldOut>& folds, const at::Tensor& centre, const Task& task) {
            return score(spec, folds, centre, task);
          }};
}

}  // namespace cortune
