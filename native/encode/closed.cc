// Hat matrices by their eigenvectors.
#include "closed.h"

namespace cortune {

ClosedErrors::ClosedErrors(const Refit& fit, bool dual, const at::Tensor& weights, const at::Tensor& alphas,
                           bool generalised)
    : generalised_(generalised), alphas_(alphas), mean_(fit.mean), values_(fit.factor.values) {
  const auto own = weights.defined() ? weights : at::ones(fit.mean.sizes(), fit.mean.options());
  roots_ = own.sqrt();
  total_ = own.sum();
  vectors_ = fit.factor.project.t() / roots_.unsqueeze(1);  // [n, k]
  if (!dual) vectors_ = vectors_ / values_.sqrt();
  const auto shrink = values_.unsqueeze(0) / (values_.unsqueeze(0) + alphas_.unsqueeze(1));  // [A, k]
  spare_ = 1 - own / total_ - at::mm(shrink, vectors_.square().t());                         // [A, n]
  if (generalised_) spare_ = spare_.mean(1, true);
}

at::Tensor ClosedErrors::errors(const at::Tensor& y) const {
  const auto wide = y.to(at::kDouble);
  const auto scaled = (wide - at::mv(wide, mean_).unsqueeze(1)) * roots_;  // [w, n]
  const auto z = at::mm(scaled, vectors_);                                 // [w, k]
  auto out = at::empty({alphas_.size(0), y.size(0)}, at::kDouble);
  for (int64_t a = 0; a < alphas_.size(0); ++a) {
    const auto residual = scaled - at::mm(z * (values_ / (values_ + alphas_[a])), vectors_.t());  // [w, n]
    out.select(0, a).copy_((residual / spare_[a]).square().sum(1) / total_);
  }
  return out;
}

}  // namespace cortune
