// AdamW over stacked parameters: clipping and coefficients of each lane; the update itself is
// native/kernels/adamw.h.
#include "adamw.h"

#include <algorithm>
#include <cmath>

#include "../kernels/adamw.h"

namespace cortune {
AdamW::AdamW(std::vector<Trained> parameters, std::vector<double> rates, std::vector<double> decays,
             AdamWOptions options)
    : parameters_(std::move(parameters)),
      rates_(std::move(rates)),
      decays_(std::move(decays)),
      options_(options) {
  for (const auto& parameter : parameters_) {
    first_.push_back(at::zeros_like(parameter.value.detach()));
    second_.push_back(at::zeros_like(parameter.value.detach()));
  }
}

// torch.nn.utils.clip_grad_norm_ for each lane by itself: min(1, clip / (norm + 1e-6)).
std::vector<double> AdamW::clip_factors() const {
  const auto lanes = static_cast<int64_t>(rates_.size());
  std::vector<double> factors(lanes, 1);
  if (options_.clip <= 0) return factors;
  auto squares = at::zeros({lanes}, at::kDouble);
  for (const auto& [range, value, training] : parameters_)
    if (value.grad().defined())
      squares.narrow(0, range.first, range.count) +=
          at::linalg_vector_norm(value.grad().reshape({range.count, -1}), 2, {1}).to(at::kDouble).square();
  const auto norms = squares.sqrt();
  for (int64_t k = 0; k < lanes; ++k)
    factors[k] = std::min(1.0, options_.clip / (norms[k].item<double>() + 1e-6));
  return factors;
}

void AdamW::step(double factor, const std::vector<bool>& active) {
  at::NoGradGuard no_grad;
  ++steps_;
  const auto clips = clip_factors();
  const auto time = static_cast<double>(steps_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    auto& parameter = parameters_[i].value;
    const auto& [lanes, training] = std::tie(parameters_[i].lanes, parameters_[i].training);
    if (!parameter.grad().defined()) continue;
    const auto grad = parameter.grad().contiguous();
    const int64_t size = parameter.numel() / lanes.count;
    for (int64_t own = 0; own < lanes.count; ++own) {
      const int64_t k = lanes.first + own;
      if (!active[k]) continue;
      const double rate = rates_[k] * training.rate * factor;
      const AdamWCoefficients c{static_cast<float>(1 - (training.decays ? rate * decays_[k] : 0)),
                                static_cast<float>(clips[k]),
                                static_cast<float>(options_.beta1),
                                static_cast<float>(options_.beta2),
                                static_cast<float>(rate / (1 - std::pow(options_.beta1, time))),
                                static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, time))),
                                static_cast<float>(options_.eps)};
      const int64_t at = own * size;
      adamw_cpu(parameter.data_ptr<float>() + at, grad.data_ptr<float>() + at,
                first_[i].data_ptr<float>() + at, second_[i].data_ptr<float>() + at, size, c);
    }
    parameter.mutable_grad() = at::Tensor();
  }
}

}  // namespace cortune
