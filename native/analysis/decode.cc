// Held-out embeddings put together from their folds, scaled, and matched.
#include "decode.h"

namespace cortune {
namespace {

// A column whose deviation is below this share of its values is constant but for rounding.
constexpr double kConstant = 1e-7;

// What to take off each column, and what to multiply it by.
struct Scaling {
  at::Tensor shift, scale;  // [w, 1] float64
};

Scaling scaling_of(const HeldOut& fold, const at::Tensor& centre, bool zscore) {
  if (!zscore) return {-centre.unsqueeze(1), at::ones({centre.size(0), 1}, at::kDouble)};
  const auto varies = fold.deviation > kConstant * (fold.mean.abs() + centre.abs());
  return {fold.mean.unsqueeze(1), at::where(varies, fold.deviation.reciprocal(), 0.0).unsqueeze(1)};
}

double score(const DecodeSpec& spec, const std::vector<HeldOut>& folds, const at::Tensor& centre,
             const Task& task) {
  std::vector<at::Tensor> predicted, actual;
  MatchSpec match{spec.correlation, {}, {}};
  for (const auto& fold : folds) {
    const auto [shift, scale] = scaling_of(fold, centre, spec.zscore);
    const auto rows = [&](const at::Tensor& values) {
      return (values * scale).to(at::kFloat).t();  // [m, w]
    };
    predicted.push_back(rows(fold.predicted + fold.mean.unsqueeze(1) - shift));
    actual.push_back(rows(fold.truth - shift));
    if (spec.groups.empty()) continue;
    for (const int64_t row : fold.rows) {
      if (row >= static_cast<int64_t>(spec.groups.size()))
        fail(Code::kArgument, "Expected `groups` to hold one number for each row");
      match.groups.push_back(spec.groups[row]);
    }
  }
  return two_vs_two(at::cat(predicted), at::cat(actual), match, task);
}

}  // namespace

BlockScore decoding_score(const DecodeSpec& spec) {
  return {spec.width, [spec](const std::vector<HeldOut>& folds, const at::Tensor& centre, const Task& task) {
            return score(spec, folds, centre, task);
          }};
}

}  // namespace cortune
