// Copies of the base's parameters.
#include "own_parameters.h"

namespace cortune {

void OwnParameters::add(const std::string& name, const at::Tensor& base, int64_t lanes) {
  std::vector<int64_t> times(base.dim() + 1, 1);
  times[0] = lanes;
  copies_.emplace(name, base.detach().unsqueeze(0).repeat(times).requires_grad_(true));
}

at::Tensor OwnParameters::of(const std::string& name) const {
  const auto found = copies_.find(name);
  return found == copies_.end() ? at::Tensor() : found->second;
}

void OwnParameters::visit(const Method::Visit& visit, const Training& training) {
  for (auto& [name, copy] : copies_) visit(copy, training);
}

void OwnParameters::visit_each(const Method::Visit& visit,
                               const std::function<Training(const std::string&)>& training) {
  for (auto& [name, copy] : copies_) visit(copy, training(name));
}

void OwnParameters::append_state(NamedTensors& into, int64_t lane, const std::string& prefix) const {
  for (const auto& [name, copy] : copies_) into.emplace_back(prefix + name, copy.detach()[lane]);
}

}  // namespace cortune
