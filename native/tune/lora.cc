// LoRA: initialisation, effect, PEFT's names.
#include "lora.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "../error.h"

namespace cortune {
namespace {

int64_t largest_rank(const std::vector<LaneSpec>& lanes) {
  int64_t rank = 0;
  for (const auto& lane : lanes) rank = std::max(rank, lane.rank);
  return rank;
}

void check_linear(const Model& model, const std::string& module) {
  for (const auto& spec : model.parameters().specs())
    if (spec.linear && spec.name == module + ".weight") return;
  fail(Code::kNotFound, "Expected `targets` to name linear modules of the model, got `" + module + "`.");
}

}  // namespace

Lora::Lora(const Model& model, std::vector<LaneSpec> lanes, const std::vector<std::string>& targets)
    : Method(std::move(lanes)) {
  const int64_t rank = largest_rank(lanes_), count = this->lanes();
  scale_ = at::empty({count, 1, 1}, at::kFloat);
  std::vector<at::Generator> generators;  // a lane draws from its own seed, whatever it is packed with
  for (int64_t k = 0; k < count; ++k) {
    if (lanes_[k].rank < 1)
      fail(Code::kArgument, "Expected `rank` to be at least 1, got " + std::to_string(lanes_[k].rank) + ".");
    scale_[k] = lanes_[k].alpha / static_cast<double>(lanes_[k].rank);
    generators.push_back(at::detail::createCPUGenerator(lanes_[k].seed));
  }
  for (const auto& name : targets) {
    check_linear(model, name);
    const auto& weight = attach(model, name + ".weight");
    const int64_t out = weight.size(0), in = weight.size(1);
    Pair pair{at::zeros({count, rank, in}, at::kFloat), at::zeros({count, out, rank}, at::kFloat)};
    // PEFT's default: A as nn.Linear (Kaiming uniform with a = sqrt(5), which is 1 / sqrt(in)), B zero.
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    for (int64_t k = 0; k < count; ++k)
      pair.a[k].narrow(0, 0, lanes_[k].rank).uniform_(-bound, bound, generators[k]);
    pair.a.requires_grad_(true);
    pair.b.requires_grad_(true);
    pairs_.emplace(name, std::move(pair));
  }
}

at::Tensor Lora::linear(const std::string& name, const at::Tensor& x, const at::Tensor& y) const {
  const auto found = pairs_.find(name);
  if (found == pairs_.end()) return y;
  const auto& [a, b] = found->second;
  const auto low = at::bmm(x.expand({lanes(), -1, -1}), a.transpose(1, 2)) * scale_;  // [K, N, r]
  return at::baddbmm(y.expand({lanes(), -1, -1}), low, b.transpose(1, 2));            // [K, N, out]
}

std::vector<at::Tensor> Lora::trainable() const {
  std::vector<at::Tensor> list;
  for (const auto& [name, pair] : pairs_) list.insert(list.end(), {pair.a, pair.b});
  return list;
}

NamedTensors Lora::state(int64_t lane) const {
  NamedTensors list;
  const int64_t rank = lanes_[lane].rank;
  for (const auto& [name, pair] : pairs_) {
    const auto prefix = "base_model.model." + name;
    list.emplace_back(prefix + ".lora_A.weight", pair.a.detach()[lane].narrow(0, 0, rank));
    list.emplace_back(prefix + ".lora_B.weight", pair.b.detach()[lane].narrow(1, 0, rank));
  }
  return list;
}

}  // namespace cortune
