// Sequence heads: initialisation, effect, names.
#include "head.h"

#include <ATen/CPUGeneratorImpl.h>

#include "../error.h"

namespace cortune {
namespace {

// Apart from what the lane's adapter draws from the same seed (the fractional part of the golden ratio).
constexpr uint64_t kOwnStream = 0x9e3779b97f4a7c15;

}  // namespace

Head::Head(const Model& model, int64_t outputs, const std::vector<uint64_t>& seeds)
    : name_(pools_first(model) ? "classifier" : "score") {
  if (outputs < 1)
    fail(Code::kArgument, "Expected `outputs` to be at least 1, got " + std::to_string(outputs) + ".");
  const auto lanes = static_cast<int64_t>(seeds.size());
  weight_ = at::empty({lanes, outputs, model.pooled_width()}, at::kFloat);
  for (int64_t k = 0; k < lanes; ++k)
    weight_[k].normal_(0, model.config().initializer_range,
                       at::detail::createCPUGenerator(seeds[k] ^ kOwnStream));
  weight_.requires_grad_(true);
  if (pools_first(model)) bias_ = at::zeros({lanes, 1, outputs}, at::kFloat).requires_grad_(true);
}

at::Tensor Head::apply(const at::Tensor& x) const {
  const auto rows = x.expand({weight_.size(0), -1, -1});
  const auto turned = weight_.transpose(1, 2);
  return bias_.defined() ? at::baddbmm(bias_, rows, turned) : at::bmm(rows, turned);  // [K, M, outputs]
}

void Head::visit(const std::function<void(at::Tensor& stack)>& visit) {
  visit(weight_);
  if (bias_.defined()) visit(bias_);
}

std::vector<std::pair<std::string, at::Tensor>> Head::state(int64_t lane) const {
  std::vector<std::pair<std::string, at::Tensor>> list{{name_ + ".weight", weight_.detach()[lane]}};
  if (bias_.defined()) list.emplace_back(name_ + ".bias", bias_.detach()[lane].squeeze(0));
  return list;
}

void Head::keep(const std::vector<int64_t>& lanes) {
  const auto index = at::tensor(lanes, at::kLong);
  visit([&](at::Tensor& stack) { stack = stack.detach().index_select(0, index).requires_grad_(true); });
}

}  // namespace cortune
