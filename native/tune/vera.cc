// VeRA: projections, effect, PEFT's names.
#include "vera.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

namespace cortune {
namespace {

// Kaiming's uniform initialisation for ReLU: bound sqrt(3) sqrt(2 / fan_in).
at::Tensor draw(int64_t rows, int64_t columns, at::Generator generator) {
  const double bound = std::sqrt(3.0) * std::sqrt(2.0) / std::sqrt(static_cast<double>(columns));
  return at::empty({rows, columns}, at::kFloat).uniform_(-bound, bound, std::move(generator));
}

}  // namespace

Vera::Vera(const Model& model, MethodSpec spec) : Method(std::move(spec)), dropout_(spec_.lanes) {
  const auto rank = static_cast<int64_t>(spec_.options.number("rank", 256));
  if (rank < 1) fail(Code::kArgument, "Expected `rank` to be at least 1, got " + std::to_string(rank) + ".");
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one module, got none.");
  int64_t largest_in = 0, largest_out = 0;
  const auto d = per_lane([](const LaneSpec& lane) { return lane.number("d_initial", 0.1); });
  for (const auto& module : spec_.targets) {
    const auto& weight = attach_linear(model, module);
    const int64_t out = weight.size(0), in = weight.size(1);
    largest_in = std::max(largest_in, in);
    largest_out = std::max(largest_out, out);
    scales_.emplace(module, Scales{d.repeat({1, rank, 1}).requires_grad_(true),
                                   at::zeros({lanes(), 1, out}, at::kFloat).requires_grad_(true), in});
  }
  // One generator for both, A first, as PEFT draws them.
  const auto generator =
      at::detail::createCPUGenerator(static_cast<uint64_t>(spec_.options.number("projection_seed", 0)));
  a_ = draw(rank, largest_in, generator);
  b_ = draw(largest_out, rank, generator);
  one_ = at::ones({lanes(), 1, 1}, at::kFloat);
  for (const auto& name : spec_.options.names_of("biases")) biases_.add(name, attach(model, name), lanes());
}

at::Tensor Vera::parameter(const std::string& name) const { return biases_.of(name); }

std::optional<LinearEffect> Vera::linear(const std::string& module) const {
  const auto found = scales_.find(module);
  if (found == scales_.end()) return std::nullopt;
  const auto& scales = found->second;
  LinearEffect effect;
  effect.lanes = {0, lanes()};
  effect.a = scales.d * a_.narrow(1, 0, scales.in);             // [k, r, in]
  effect.b = scales.b * b_.narrow(0, 0, scales.b.size(2)).t();  // [k, r, out]
  effect.scale = one_;
  if (training_) effect.dropout = dropout_.mask(module, scales.in);
  return effect;
}

void Vera::visit(const Visit& visit) {
  for (auto& [module, scales] : scales_) {
    visit(scales.d, {});
    visit(scales.b, {});
  }
  visit(one_, {});
  biases_.visit(visit, {});
}

void Vera::before_step(int64_t step, int64_t) { dropout_.begin(step); }

void Vera::keep_more(const std::vector<int64_t>& lanes) { dropout_.keep(lanes); }

NamedTensors Vera::state(int64_t lane) const {
  NamedTensors list;
  for (const auto& [module, scales] : scales_) {
    const auto prefix = "base_model.model." + module;
    list.emplace_back(prefix + ".vera_lambda_b", scales.b.detach()[lane].squeeze(0));
    list.emplace_back(prefix + ".vera_lambda_d", scales.d.detach()[lane].squeeze(-1));
  }
  if (spec_.options.flag("save_projection")) {
    list.emplace_back("base_model.vera_A", a_);
    list.emplace_back("base_model.vera_B", b_);
  }
  biases_.append_state(list, lane, "base_model.model.");
  return list;
}

}  // namespace cortune
