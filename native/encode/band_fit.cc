// Dual ridge, alpha by alpha.
#include "band_fit.h"

namespace cortune {
namespace {

// Smaller alphas, as a share of the kernel's trace, are met through its eigenvectors.
constexpr double kTinyAlpha = 1e-9;

}  // namespace

BandKernels::BandKernels(const std::vector<at::Tensor>& kernels, const InnerFold& fold) {
  const int64_t n = fold.train.size(0);
  const auto mean = at::full({n}, 1 / static_cast<double>(n), at::kDouble);
  for (const auto& kernel : kernels) {
    auto [block, cross] = centred_kernel(kernel, fold, mean);
    blocks.push_back(block);
    crosses.push_back(cross);
  }
}

BandFit::BandFit(const BandKernels& kernels, const std::vector<double>& gamma, const at::Tensor& alphas,
                 const std::vector<int64_t>& chosen)
    : kernels_(kernels), gamma_(gamma), alphas_(alphas), block_(kernels.blocks[0] * gamma[0]) {
  for (size_t b = 1; b < gamma.size(); ++b) block_.add_(kernels.blocks[b], gamma[b]);
  least_ = kTinyAlpha * block_.trace().item<double>();
  for (size_t j = 0; j < chosen.size(); ++j) places_[chosen[j]].push_back(static_cast<int64_t>(j));
}

std::vector<at::Tensor> BandFit::predict(const at::Tensor& y) const {
  const auto centred = y - y.mean(1, true);
  auto weights = at::empty_like(y);  // of the training rows, in the kernel
  for (const auto& [a, places] : places_) {
    const auto own = at::tensor(places, at::kLong);
    weights.index_copy_(0, own, solve(centred.index_select(0, own), a));
  }
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b < gamma_.size(); ++b)
    parts.push_back(at::mm(weights, kernels_.crosses[b].t()) * gamma_[b]);
  return parts;
}

// (K + alpha)^-1 y, by Cholesky; where alpha is next to nothing in the spectrum, without what is only
// rounding.
at::Tensor BandFit::solve(const at::Tensor& y, int64_t a) const {
  const double alpha = alphas_[a].item<double>();
  if (alpha > least_) {
    auto lifted = block_.clone();
    lifted.diagonal().add_(alpha);
    return at::cholesky_solve(y.t(), at::linalg_cholesky(lifted)).t();
  }
  const auto spectrum = eigendecompose(block_, block_.size(0));
  const auto kept = (spectrum.values > spectrum.floor).to(at::kDouble);
  const auto filter = kept / (spectrum.values.clamp_min(0) + alpha);
  return at::mm(at::mm(y, spectrum.vectors) * filter, spectrum.vectors.t());
}

}  // namespace cortune
