// LoRA: effect, PEFT's names.
#include "lora.h"

#include <algorithm>
#include <cmath>

#include "lora_init.h"

namespace cortune {
namespace {

// The lanes' own value, or that of the target where targets have their own.
double value_of(const LaneSpec& lane, const MethodOptions& options, const char* own, const char* all,
                size_t target) {
  const auto* list = options.list(all);
  return list ? list->at(target) : lane.number(own);
}

}  // namespace

Lora::Lora(const Model& model, MethodSpec spec) : Method(std::move(spec)), dropout_(spec_.lanes) {
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one module, got none.");
  std::vector<at::Generator> draws;
  for (int64_t k = 0; k < lanes(); ++k) draws.push_back(generator(k));
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
  for (int64_t k = 0; k < lanes(); ++k)
    fill(pair, k, value_of(spec_.lanes[k], spec_.options, "alpha", "alphas", target), weight, draws[k]);
  if (takes_from_base(spec_.options.text("init", "default"))) {
    pair.a0 = pair.a.clone();
    pair.b0 = pair.b.neg();
  }
  if (spec_.options.flag("dora")) {
    pair.weight = weight;
    pair.squares = weight.square().sum(1);
    pair.magnitude = lengths(pair).clone().requires_grad_(true);
  }
  pair.a.requires_grad_(true);
  pair.b.requires_grad_(true);
  return pair;
}

void Lora::fill(Pair& pair, int64_t lane, double alpha, const at::Tensor& weight, at::Generator draws) const {
  const int64_t rank = pair.ranks[lane];
  const auto own = static_cast<double>(rank);
  const double scale = alpha / (spec_.options.flag("rslora") ? std::sqrt(own) : own);
  pair.scale[lane].fill_(scale);
  const auto start =
      initial_factors(spec_.options.text("init", "default"), weight, rank, scale, std::move(draws));
  pair.a[lane].narrow(0, 0, rank).copy_(start.a);
  pair.b[lane].narrow(0, 0, rank).copy_(start.b.t());
}

at::Tensor Lora::parameter(const std::string& name) const { return biases_.of(name); }

at::Tensor Lora::whole_a(const Pair& pair) const {
  return pair.a0.defined() ? at::cat({pair.a, pair.a0}, 1) : pair.a;
}

at::Tensor Lora::whole_b(const Pair& pair) const {
  return pair.b0.defined() ? at::cat({pair.b, pair.b0}, 1) : pair.b;
}

// |W + s B A|^2 = |W|^2 + 2 s (W A^T) . B + s^2 (B A A^T) . B for each row, so that no lane needs a matrix of
// W's size. A constant of the pass: DoRA gives its gradient up (section 4.3 of the paper).
at::Tensor Lora::lengths(const Pair& pair) const {
  at::NoGradGuard no_grad;
  const auto a = whole_a(pair), b = whole_b(pair);
  const auto mixed = at::matmul(a, pair.weight.t());                     // [k, r, out]
  const auto own = at::bmm(at::bmm(a, a.transpose(1, 2)), b);            // [k, r, out]
  const auto added = ((2 * mixed + pair.scale * own) * b).sum(1, true);  // [k, 1, out]
  return (pair.squares + pair.scale * added).clamp_min(0).sqrt();
}

std::optional<LinearEffect> Lora::linear(const std::string& module) const {
  const auto found = pairs_.find(module);
  if (found == pairs_.end()) return std::nullopt;
  const auto& pair = found->second;
  LinearEffect effect;
  effect.lanes = {0, lanes()};
  effect.a = whole_a(pair);
  effect.b = whole_b(pair);
  effect.scale = pair.scale;
  if (pair.magnitude.defined()) effect.output_scale = pair.magnitude / lengths(pair);
  if (training_) effect.dropout = dropout_.mask(module, pair.a.size(2));
  return effect;
}

void Lora::visit(const Visit& visit) {
  const double b_rate = spec_.options.number("b_rate", 1);
  for (auto& [name, pair] : pairs_) {
    visit(pair.a, {});
    visit(pair.b, {b_rate, true, nullptr});
    visit(pair.scale, {});
    for (auto* more : {&pair.a0, &pair.b0})
      if (more->defined()) visit(*more, {});
    // LoRA+ counts what has one axis with B.
    if (pair.magnitude.defined()) visit(pair.magnitude, {b_rate, true, nullptr});
  }
  biases_.visit(visit, Training{b_rate, b_rate == 1, nullptr});
}

void Lora::before_step(int64_t step, int64_t) { dropout_.begin(step); }

void Lora::keep_more(const std::vector<int64_t>& lanes) {
  dropout_.keep(lanes);
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
    if (pair.magnitude.defined())
      list.emplace_back(prefix + ".lora_magnitude_vector", pair.magnitude.detach()[lane].squeeze(0));
  }
  biases_.append_state(list, lane, "base_model.model.");
  return list;
}

NamedTensors Lora::saved(int64_t lane) const {
  auto list = state(lane);
  for (const auto& [name, pair] : pairs_) {
    if (!pair.a0.defined()) continue;
    const int64_t rank = pair.ranks[lane];
    const auto prefix = "base_model.model." + name;
    const auto with = [&](const at::Tensor& own, const at::Tensor& first) {
      return at::cat({own.detach()[lane].narrow(0, 0, rank), first[lane].narrow(0, 0, rank)}, 0);
    };
    for (auto& [key, tensor] : list) {
      if (key == prefix + ".lora_A.weight") tensor = with(pair.a, pair.a0);
      if (key == prefix + ".lora_B.weight") tensor = with(pair.b, pair.b0).t();
    }
  }
  return list;
}

}  // namespace cortune
