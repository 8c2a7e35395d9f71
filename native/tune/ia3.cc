// IA3: effect, PEFT's names and shapes.
#include "ia3.h"

#include <algorithm>

namespace cortune {

Ia3::Ia3(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one module, got none.");
  const auto feedforward = spec_.options.names_of("feedforward");
  for (const auto& name : spec_.targets) {
    const auto& weight = attach_linear(model, name);  // [out, in]
    const bool input = std::find(feedforward.begin(), feedforward.end(), name) != feedforward.end();
    const auto value = at::ones({lanes(), 1, weight.size(input ? 1 : 0)}, at::kFloat).requires_grad_(true);
    scales_.emplace(name, Scale{value, input});
  }
}

std::optional<LinearEffect> Ia3::linear(const std::string& module) const {
  const auto found = scales_.find(module);
  if (found == scales_.end()) return std::nullopt;
  LinearEffect effect;
  effect.lanes = {0, lanes()};
  (found->second.input ? effect.input_scale : effect.output_scale) = found->second.value;
  effect.scales_bias = true;
  return effect;
}

void Ia3::visit(const Visit& visit) {
  for (auto& [name, scale] : scales_) visit(scale.value, {});
}

NamedTensors Ia3::state(int64_t lane) const {
  NamedTensors list;
  for (const auto& [name, scale] : scales_) {
    const auto value = scale.value.detach()[lane];  // [1, width]
    list.emplace_back("base_model.model." + name + ".ia3_l", scale.input ? value : value.t());
  }
  return list;
}

}  // namespace cortune
