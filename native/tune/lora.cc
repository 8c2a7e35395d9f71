// LoRA: initialisation, effect, PEFT's names.
#include "lora.h"

#include <algorithm>
#include <cmath>

namespace cortune {
namespace {

// The lanes' own value, or that of the target where targets have their own.
double value_of(const LaneSpec& lane, const MethodOptions& options, const char* own, const char* all,
                size_t target) {
  const auto* list = options.list(all);
  return list ? list->at(target) : lane.number(own);
}

}  // namespace

Lora::Lora(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one module, got none.");
  std::vector<at::Generator> draws;
  for (int64_t k = 0; k < lanes(); ++k) {
    draws.push_back(generator(k));
    dropout_draws_.push_back(generator(k));
  }
  for (size_t i = 0; i < spec_.targets.size(); ++i)
    pairs_.emplace(spec_.targets[i], make_pair(attach_linear(model, spec_.targets[i]), i, draws));
  for (const auto& name : spec_.options.names_of("biases")) biases_.add(name, attach(model, name), lanes());
}

Lora::Pair Lora::make_pair(const at::Tensor& weight, size_t target, std::vector<at::Generator>& draws) const {
  const int64_t out = weight.size(0), in = weight.size(1);
  Pair pair;
  for (const auto& lane : spec_.lanes) {
    const double rank = value_of(lane, spec_.options, "rank", "ranks", target);
    if (!(rank >= 1) || rank != std::floor(rank))
      fail(Code::kArgument,
           "Expected `rank` to be an integer of at least 1, got " + std::to_string(rank) + ".");
    pair.ranks.push_back(static_cast<int64_t>(rank));
  }
  const int64_t rank = *std::max_element(pair.ranks.begin(), pair.ranks.end());
  pair.a = at::zeros({lanes(), rank, in}, at::kFloat);
  pair.b = at::zeros({lanes(), rank, out}, at::kFloat);
  pair.scale = at::empty({lanes(), 1, 1}, at::kFloat);
  // PEFT's default: A as nn.Linear (Kaiming uniform with a = sqrt(5), which is 1 / sqrt(in)), B zero.
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  for (int64_t k = 0; k < lanes(); ++k) {
    const double own = static_cast<double>(pair.ranks[k]);
    const double alpha = value_of(spec_.lanes[k], spec_.options, "alpha", "alphas", target);
    pair.scale[k].fill_(alpha / (spec_.options.flag("rslora") ? std::sqrt(own) : own));
    pair.a[k].narrow(0, 0, pair.ranks[k]).uniform_(-bound, bound, draws[k]);
  }
  pair.a.requires_grad_(true);
  pair.b.requires_grad_(true);
  return pair;
}

at::Tensor Lora::parameter(const std::string& name) const { return biases_.of(name); }

// Zeros and 1 / (1 - p), each lane from its own draws. [k, N, in]
at::Tensor Lora::draw_mask(int64_t rows, int64_t width) const {
  auto mask = at::ones({lanes(), rows, width}, at::kFloat);
  for (int64_t k = 0; k < lanes(); ++k) {
    const double keep = 1 - spec_.lanes[k].number("dropout", 0);
    if (keep < 1) mask[k].bernoulli_(keep, dropout_draws_[k]).div_(keep);
  }
  return mask;
}

std::optional<LinearEffect> Lora::linear(const std::string& module) const {
  const auto found = pairs_.find(module);
  if (found == pairs_.end()) return std::nullopt;
  const auto& pair = found->second;
  LinearEffect effect;
  effect.lanes = {0, lanes()};
  effect.a = pair.a;
  effect.b = pair.b;
  effect.scale = pair.scale;
  const bool drops = std::any_of(spec_.lanes.begin(), spec_.lanes.end(),
                                 [](const LaneSpec& lane) { return lane.number("dropout", 0) > 0; });
  if (training_ && drops)
    effect.dropout = [this, width = pair.a.size(2)](int64_t rows) { return draw_mask(rows, width); };
  return effect;
}

void Lora::visit(const Visit& visit) {
  const double b_rate = spec_.options.number("b_rate", 1);
  for (auto& [name, pair] : pairs_) {
    visit(pair.a, {});
    visit(pair.b, {b_rate, true});
    visit(pair.scale, {});
  }
  biases_.visit(visit, {});
}

void Lora::keep_more(const std::vector<int64_t>& lanes) {
  std::vector<at::Generator> draws;
  for (const auto lane : lanes) draws.push_back(dropout_draws_[lane]);
  dropout_draws_ = std::move(draws);
  for (auto& [name, pair] : pairs_) {
    std::vector<int64_t> ranks;
    for (const auto lane : lanes) ranks.push_back(pair.ranks[lane]);
    pair.ranks = std::move(ranks);
  }
}

NamedTensors Lora::state(int64_t lane) const {
  NamedTensors list;
  for (const auto& [name, pair] : pairs_) {
    const auto prefix = "base_model.model." + name;
    const int64_t rank = pair.ranks[lane];
    list.emplace_back(prefix + ".lora_A.weight", pair.a.detach()[lane].narrow(0, 0, rank));
    list.emplace_back(prefix + ".lora_B.weight", pair.b.detach()[lane].narrow(0, 0, rank).t());
  }
  biases_.append_state(list, lane, "base_model.model.");
  return list;
}

}  // namespace cortune
