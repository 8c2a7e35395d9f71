// Interpolative decomposition of the filters by pivoted Gram-Schmidt.
#include "grid.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cortune {
namespace {

constexpr double kTolerance = 1e-7;
// Eigenvalues sampled over their range, evenly in the logarithm.
constexpr int64_t kSamples = 40;

// Functions of alpha as columns, each with a maximum of 1.
at::Tensor filter_products(const at::Tensor& alphas, double least, double most, double range) {
  const double from = std::log(std::max(least, most * range)), to = std::log(most);
  const auto l = at::linspace(from, to, kSamples, alphas.options()).exp();        // [s]
  const auto f = l.sqrt().unsqueeze(1) / (l.unsqueeze(1) + alphas.unsqueeze(0));  // [s, A]
  const auto pairs = at::triu_indices(kSamples, kSamples, 0, at::kLong);          // [2, s (s + 1) / 2]
  const auto products = f.index_select(0, pairs[0]) * f.index_select(0, pairs[1]);
  const auto all = at::cat({products, f, at::ones({1, alphas.size(0)}, alphas.options())}, 0);
  return (all / all.amax(1, true)).t().contiguous();  // [A, functions]
}

// The row that the rows kept so far explain least.
int64_t take_next(at::Tensor& rest) {
  const int64_t next = rest.square().sum(1).argmax().item<int64_t>();
  const auto direction = rest[next] / rest[next].norm();
  rest = rest - at::outer(at::mv(rest, direction), direction);
  rest.select(0, next).zero_();
  return next;
}

}  // namespace

Skeleton skeleton(const at::Tensor& alphas, double least, double most, double range) {
  const int64_t A = alphas.size(0);
  Skeleton out;
  out.kept.resize(A);
  std::iota(out.kept.begin(), out.kept.end(), 0);
  out.combine = at::eye(A, alphas.options());
  if (A < 3 || !(most > 0)) return out;
  const auto functions = filter_products(alphas, least, most, range);  // [A, s]
  auto rest = functions.clone();
  std::vector<int64_t> kept;
  while (static_cast<int64_t>(kept.size()) < A - 1) {
    kept.push_back(take_next(rest));
    // A bound from the part left over spares the solutions that cannot do.
    if (rest.abs().max().item<double>() > 1e3 * kTolerance) continue;
    auto sorted = kept;
    std::sort(sorted.begin(), sorted.end());
    const auto basis = functions.index_select(0, at::tensor(sorted, at::kLong));  // [k, s]
    const auto solution =
        std::get<0>(at::linalg_lstsq(basis.t(), functions.t(), c10::nullopt, "gelsy"));  // [k, A]
    const auto combine = solution.t();
    if ((at::mm(combine, basis) - functions).abs().max().item<double>() > kTolerance) continue;
    return {sorted, combine.contiguous()};
  }
  return out;
}

}  // namespace cortune
