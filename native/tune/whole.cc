// Whole-weight tuning.
#include "whole.h"

namespace cortune {

Whole::Whole(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one parameter, got none.");
  for (const auto& name : spec_.targets) own_.add(name, attach(model, name), lanes());
  if (const auto* rates = spec_.options.list("rates"))
    for (size_t i = 0; i < spec_.targets.size(); ++i) rates_[spec_.targets[i]] = rates->at(i);
  std::vector<at::Generator> draws;
  for (int64_t k = 0; k < lanes(); ++k) draws.push_back(generator(k));
  for (const auto& name : spec_.options.names_of("fresh")) draw(model, name, draws);
}

void Whole::draw(const Model& model, const std::string& name, std::vector<at::Generator>& draws) {
  at::NoGradGuard no_grad;
  const auto copies = own_.of(name);
  if (!copies.defined())
    fail(Code::kArgument, "Expected `fresh` to name some of `targets`, got `" + name + "`.");
  for (const auto& spec : model.parameters().specs())
    if (spec.name == name)
      for (int64_t k = 0; k < lanes(); ++k)
        copies[k].copy_(initial_value(spec, model.config().initializer_range, draws[k]));
}

at::Tensor Whole::parameter(const std::string& name) const { return own_.of(name); }

void Whole::visit(const Visit& visit) {
  own_.visit_each(visit, [this](const std::string& name) {
    const auto found = rates_.find(name);
    return Training{found == rates_.end() ? 1 : found->second, true, nullptr};
  });
}

NamedTensors Whole::state(int64_t lane) const {
  NamedTensors list;
  own_.append_state(list, lane, "");
  return list;
}

}  // namespace cortune
