// Whole-weight tuning: copies of the base's parameters.
#include "full.h"

#include "../error.h"

namespace cortune {

Full::Full(const Model& model, std::vector<LaneSpec> lanes, const std::vector<std::string>& targets)
    : Method(std::move(lanes)) {
  if (lanes_.size() != 1)
    fail(Code::kArgument,
         "Expected one lane for whole-weight tuning, got " + std::to_string(lanes_.size()) + ".");
  for (const auto& name : targets)
    copies_.emplace(name, attach(model, name).clone().unsqueeze(0).requires_grad_(true));
}

at::Tensor Full::parameter(const std::string& name, const at::Tensor& base) const {
  const auto found = copies_.find(name);
  return found == copies_.end() ? base : found->second.squeeze(0);
}

std::vector<at::Tensor> Full::trainable() const {
  std::vector<at::Tensor> list;
  for (const auto& [name, copy] : copies_) list.push_back(copy);
  return list;
}

NamedTensors Full::state(int64_t lane) const {
  NamedTensors list;
  for (const auto& [name, copy] : copies_) list.emplace_back(name, copy.detach()[lane]);
  return list;
}

}  // namespace cortune
