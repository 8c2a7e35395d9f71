// Merging: y = o (x' W^T + s x' A^T B^T) + b with x' = i x is one linear module with W' = diag(o) (W + s B A)
// diag(i).
#include "merge.h"

namespace cortune {
namespace {

// What belongs to `lane` of a stack of the lanes in `range`; undefined stays undefined.
at::Tensor of_lane(const at::Tensor& stack, LaneRange range, int64_t lane) {
  return stack.defined() ? stack.detach()[lane - range.first] : at::Tensor();
}

bool holds(LaneRange range, int64_t lane) { return lane >= range.first && lane < range.first + range.count; }

// Undefined where the lane has none of its own.
at::Tensor own_value(const LaneSet& set, const std::string& name, int64_t lane) {
  for (const auto& own : set.parameter(name))
    if (holds(own.lanes, lane)) return of_lane(own.value, own.lanes, lane);
  return {};
}

at::Tensor with_effect(at::Tensor weight, const LinearEffect& effect, int64_t lane) {
  const auto of = [&](const at::Tensor& stack) { return of_lane(stack, effect.lanes, lane); };
  if (effect.a.defined()) weight = weight + of(effect.scale).squeeze(0) * of(effect.b).t().mm(of(effect.a));
  if (effect.input_scale.defined()) weight = weight * of(effect.input_scale);
  if (effect.output_scale.defined()) weight = weight * of(effect.output_scale).t();
  return weight;
}

}  // namespace

NamedTensors merged(const Model& model, const LaneSet& set, int64_t lane) {
  at::NoGradGuard no_grad;
  set.check(model.parameters());
  const auto added = set.virtual_tokens();
  for (const auto& prompt : added.prompts)
    if (holds(prompt.lanes, lane))
      fail(Code::kArgument,
           "Expected a lane whose effect is one on weights, got one with virtual tokens, which "
           "cannot be merged. Save it as an adapter.");
  for (const auto& prefix : added.prefixes)
    if (holds(prefix.lanes, lane))
      fail(Code::kArgument,
           "Expected a lane whose effect is one on weights, got one with virtual tokens, which "
           "cannot be merged. Save it as an adapter.");
  NamedTensors list;
  for (const auto& spec : model.parameters().specs()) {
    auto value = own_value(set, spec.name, lane);
    if (!value.defined() && spec.fresh) continue;  // drawn for an objective that did not train it
    if (!value.defined()) value = model.parameters().at(spec.name);
    const auto module = spec.name.substr(0, spec.name.rfind('.'));
    for (const auto& effect : set.linear(module)) {
      if (!holds(effect.lanes, lane)) continue;
      if (spec.linear) value = with_effect(value, effect, lane);
      if (!spec.linear && effect.scales_bias && effect.output_scale.defined())
        value = value * of_lane(effect.output_scale, effect.lanes, lane).squeeze(0);
    }
    list.emplace_back(spec.name, value);
  }
  if (set.head())
    for (auto& each : set.head()->state(lane)) list.push_back(std::move(each));
  return list;
}

}  // namespace cortune
