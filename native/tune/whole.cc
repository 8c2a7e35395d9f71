// Whole-weight tuning.
#include "whole.h"

namespace cortune {

Whole::Whole(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one parameter, got none.");
  for (const auto& name : spec_.targets) own_.add(name, attach(model, name), lanes());
}

at::Tensor Whole::parameter(const std::string& name) const { return own_.of(name); }

void Whole::visit(const Visit& visit) { own_.visit(visit, {}); }

NamedTensors Whole::state(int64_t lane) const {
  NamedTensors list;
  own_.append_state(list, lane, "");
  return list;
}

}  // namespace cortune
