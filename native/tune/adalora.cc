// AdaLoRA: initialisation, effect, allocation of ranks, PEFT's names.
#include "adalora.h"

#include <algorithm>

namespace cortune {

AdaLora::AdaLora(const Model& model, MethodSpec spec) : Method(std::move(spec)), dropout_(spec_.lanes) {
  if (spec_.targets.empty())
    fail(Code::kArgument, "Expected `targets` to name at least one module, got none.");
  const auto rank = static_cast<int64_t>(spec_.options.number("initial_rank", 12));
  const auto target = static_cast<int64_t>(spec_.options.number("target_rank", 8));
  if (rank < 1 || target < 1 || target > rank)
    fail(Code::kArgument, "Expected ranks of at least 1, the target at most the initial one, got " +
                              std::to_string(target) + " and " + std::to_string(rank) + ".");
  const auto* ranks = spec_.options.list("ranks");
  allocated_before_ = ranks != nullptr;
  std::vector<at::Generator> draws;
  for (int64_t k = 0; k < lanes(); ++k) draws.push_back(generator(k));
  for (size_t i = 0; i < spec_.targets.size(); ++i) {
    const auto& module = spec_.targets[i];
    add(module, attach_linear(model, module), ranks ? static_cast<int64_t>(ranks->at(i)) : rank, draws);
  }
  // Divided by the initial rank, also where ranks have been taken away; PEFT adds 1e-5.
  scale_ = per_lane(
      [&](const LaneSpec& lane) { return lane.number("alpha") / (static_cast<double>(rank) + 1e-5); });
  initial_budget_ = rank * static_cast<int64_t>(triplets_.size());
  target_budget_ = target * static_cast<int64_t>(triplets_.size());
}

AdaLora::Factor AdaLora::factor(at::Tensor value) const {
  const auto zeros = at::zeros_like(value);
  return {value.requires_grad_(true), zeros, zeros.clone()};
}

// PEFT's start: A and B normal(0, 0.02), E zero.
void AdaLora::add(const std::string& module, const at::Tensor& weight, int64_t rank,
                  std::vector<at::Generator>& draws) {
  constexpr double kStd = 0.02;
  const int64_t out = weight.size(0), in = weight.size(1);
  auto a = at::empty({lanes(), rank, in}, at::kFloat), b = at::empty({lanes(), rank, out}, at::kFloat);
  for (int64_t k = 0; k < lanes(); ++k) {
    a[k].normal_(0, kStd, draws[k]);
    b[k].normal_(0, kStd, draws[k]);
  }
  triplets_.emplace(module, Triplet{factor(a), factor(b), factor(at::zeros({lanes(), rank, 1}, at::kFloat)),
                                    at::ones({lanes(), rank, 1}, at::kFloat)});
}

std::optional<LinearEffect> AdaLora::linear(const std::string& module) const {
  const auto found = triplets_.find(module);
  if (found == triplets_.end() || found->second.a.value.size(1) == 0) return std::nullopt;
  const auto& triplet = found->second;
  LinearEffect effect;
  effect.lanes = {0, lanes()};
  effect.a = triplet.a.value * triplet.e.value;
  effect.b = triplet.b.value;
  effect.scale = scale_;
  if (training_) effect.dropout = dropout_.mask(module, triplet.a.value.size(2));
  return effect;
}

// The mean over all A and B of |P P^T - 1|, Frobenius. [k]
at::Tensor AdaLora::penalty() const {
  const double weight = spec_.options.number("orthogonality", 0.5);
  if (weight == 0) return {};
  at::Tensor sum;
  for (const auto& [module, triplet] : triplets_)
    for (const auto& rows : {triplet.a.value, triplet.b.value}) {  // [k, r, width]
      const auto apart = at::bmm(rows, rows.transpose(1, 2)) - at::eye(rows.size(1), at::kFloat);
      const auto norm = at::linalg_vector_norm(apart, 2, at::IntArrayRef{1, 2});  // [k]
      sum = sum.defined() ? sum + norm : norm;
    }
  return sum * (weight / static_cast<double>(2 * triplets_.size()));
}

void AdaLora::visit(const Visit& visit) {
  for (auto& [module, triplet] : triplets_) {
    for (auto* factor : {&triplet.a, &triplet.b, &triplet.e}) {
      visit(factor->value, {});
      visit(factor->sensitivity, {});
      visit(factor->uncertainty, {});
    }
    visit(triplet.kept, {});
  }
  visit(scale_, {});
}

void AdaLora::before_step(int64_t step, int64_t steps) {
  dropout_.begin(step);
  const auto tinit = static_cast<int64_t>(spec_.options.number("tinit", 0));
  const auto tfinal = static_cast<int64_t>(spec_.options.number("tfinal", 0));
  if (!allocated_before_ && tinit + tfinal >= steps)
    fail(Code::kArgument,
         "Expected `tinit` and `tfinal` to leave steps between them in which ranks are taken away, got " +
             std::to_string(tinit) + " and " + std::to_string(tfinal) + " of " + std::to_string(steps) +
             " steps.");
}

void AdaLora::keep_more(const std::vector<int64_t>& lanes) { dropout_.keep(lanes); }

// What the entries' sensitivity is after this update, by the gradient that made it.
void AdaLora::score(Factor& factor, const Update& update) const {
  const auto& gradient = factor.value.grad();
  if (!gradient.defined()) return;
  const double past = spec_.options.number("sensitivity", 0.85);
  const double unsure = spec_.options.number("uncertainty", 0.85);
  const auto clips = at::tensor(update.clips, at::kDouble).to(at::kFloat).view({-1, 1, 1});
  const auto now = (factor.value.detach() * gradient * clips).abs();
  factor.sensitivity = past * factor.sensitivity + (1 - past) * now;
  factor.uncertainty = unsure * factor.uncertainty + (1 - unsure) * (now - factor.sensitivity).abs();
}

at::Tensor AdaLora::importance(const Triplet& triplet) const {
  const auto of = [](const Factor& factor) { return (factor.sensitivity * factor.uncertainty).mean(-1); };
  return of(triplet.e) + (of(triplet.a) + of(triplet.b));
}

// The budget after update `step`, cubic from the initial to the target; -1 for no allocation now.
int64_t AdaLora::budget(int64_t step, int64_t steps) const {
  const auto tinit = static_cast<int64_t>(spec_.options.number("tinit", 0));
  const auto last = steps - static_cast<int64_t>(spec_.options.number("tfinal", 0));
  const auto every = static_cast<int64_t>(spec_.options.number("delta_t", 1));
  if (step == last) return target_budget_;
  if (step <= tinit || step > last || step % every != 0) return -1;
  const double left = 1 - static_cast<double>(step - tinit) / static_cast<double>(last - tinit);
  const auto more = static_cast<double>(initial_budget_ - target_budget_) * left * left * left;
  return static_cast<int64_t>(more + static_cast<double>(target_budget_));
}

// Keeps the most important ranks of all modules of a lane, `budget` of them.
void AdaLora::allocate(int64_t budget) {
  const int64_t excess = initial_budget_ - budget;
  std::vector<at::Tensor> scores;
  for (const auto& [module, triplet] : triplets_) scores.push_back(importance(triplet));
  const auto all = at::cat(scores, 1);  // [k, ranks of all modules]
  const auto threshold =
      excess > 0 ? std::get<0>(all.kthvalue(excess, 1, true)) : all.new_full({lanes(), 1}, -1);
  auto score = scores.begin();
  for (auto& [module, triplet] : triplets_)
    triplet.kept = (*score++ > threshold).to(at::kFloat).unsqueeze(-1);
}

void AdaLora::mask() {
  for (auto& [module, triplet] : triplets_) triplet.e.value.mul_(triplet.kept);
}

void AdaLora::after_step(const Update& update) {
  if (allocated_before_) return;
  at::NoGradGuard no_grad;
  const int64_t last = update.steps - static_cast<int64_t>(spec_.options.number("tfinal", 0));
  if (update.step < last)
    for (auto& [module, triplet] : triplets_)
      for (auto* factor : {&triplet.a, &triplet.b, &triplet.e}) score(*factor, update);
  const int64_t now = budget(update.step, update.steps);
  if (now >= 0) allocate(now);
  // Between allocations PEFT lets E of ranks taken away move again. At the end they are off for good, as in
  // the file.
  if (now >= 0 || update.step > last || update.step + 1 == update.steps) mask();
}

NamedTensors AdaLora::state(int64_t lane) const {
  NamedTensors list;
  for (const auto& [module, triplet] : triplets_) {
    const auto prefix = "base_model.model." + module;
    list.emplace_back(prefix + ".lora_A", triplet.a.value.detach()[lane]);
    list.emplace_back(prefix + ".lora_B", triplet.b.value.detach()[lane].t());
    list.emplace_back(prefix + ".lora_E", triplet.e.value.detach()[lane]);
    if (!allocated_before_) list.emplace_back("rank_pattern." + module, triplet.kept[lane].squeeze(-1));
  }
  return list;
}

NamedTensors AdaLora::saved(int64_t lane) const {
  if (allocated_before_) return state(lane);
  NamedTensors list;
  for (const auto& [module, triplet] : triplets_) {
    const auto prefix = "base_model.model." + module;
    const auto kept = triplet.kept[lane].squeeze(-1);  // [r]
    const auto rows = kept.nonzero().squeeze(-1);
    const auto of = [&](const Factor& factor) { return factor.value.detach()[lane].index_select(0, rows); };
    list.emplace_back(prefix + ".lora_A", of(triplet.a));
    list.emplace_back(prefix + ".lora_B", of(triplet.b).t());
    list.emplace_back(prefix + ".lora_E", of(triplet.e));
    list.emplace_back("rank_pattern." + module, kept);
  }
  return list;
}

}  // namespace cortune
