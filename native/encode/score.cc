// Pearson r and the coefficient of determination.
#include "score.h"

#include <limits>

namespace cortune {

Scores score(const at::Tensor& prediction, const at::Tensor& response, const at::Tensor& flat) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto p = prediction - prediction.mean(0, true);
  const auto y = response - response.mean(0, true);
  const auto pp = p.square().sum(0), yy = y.square().sum(0), py = (p * y).sum(0);
  // Square roots apart: with a huge alpha pp may be 1e-300, and pp * yy nothing.
  const auto r = (py / pp.sqrt() / yy.sqrt()).clamp(-1, 1);
  const auto r2 = 1 - (response - prediction).square().sum(0) / yy;
  return {r.masked_fill(flat, kNan), r2.masked_fill(flat, kNan)};
}

at::Tensor is_flat(const at::Tensor& y) { return y.amax(0) == y.amin(0); }

}  // namespace cortune
