// Selective tuning: rounds, and what is chosen for each.
#include "selective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cortune {
namespace {

std::vector<int64_t> whole_numbers(const std::vector<double>* values) {
  return values ? std::vector<int64_t>(values->begin(), values->end()) : std::vector<int64_t>();
}

}  // namespace

Selective::Selective(const Model& model, MethodSpec spec) : Whole(model, std::move(spec)) {
  const double share = spec_.options.number("share", 0.5);
  if (!(share > 0 && share <= 1))
    fail(Code::kArgument, "Expected `share` to be above 0, at most 1, got " + std::to_string(share) + ".");
  for (size_t i = 0; i < spec_.targets.size(); ++i) selections_.push_back(std::make_shared<Selection>());
  for (int64_t k = 0; k < lanes(); ++k) draws_.push_back(generator(k));
}

// What no lane trains now is a constant of the pass, so it costs no gradient.
at::Tensor Selective::parameter(const std::string& name) const {
  auto value = Whole::parameter(name);
  if (!value.defined() || choosing_ || !training_) return value;
  const auto& mask = selections_[target_index(name)]->mask;
  return mask.defined() && mask.max().item<float>() == 0 ? value.detach() : value;
}

void Selective::visit(const Visit& visit) {
  own_.visit_each(visit, [this](const std::string& name) {
    return Training{1, true, selections_[target_index(name)]};
  });
}

int64_t Selective::round_at(int64_t step) const {
  const auto every = static_cast<int64_t>(spec_.options.number("every", 0));
  return every > 0 ? step / every : 0;
}

void Selective::before_step(int64_t step, int64_t) {
  if (round_at(step) == round_) return;
  round_ = round_at(step);
  choosing_ = by_gradient();
  if (!choosing_) choose();
}

void Selective::before_update(int64_t, int64_t) {
  if (choosing_) choose();
  choosing_ = false;
}

void Selective::choose() {
  at::NoGradGuard no_grad;
  if (const auto* rounds = spec_.options.list("rounds"))
    choose_given(*rounds);
  else if (by_module())
    choose_modules();
  else
    choose_weights();
}

void Selective::select(size_t target, at::Tensor mask) {
  selections_[target]->mask = std::move(mask);
  selections_[target]->round = round_;
}

void Selective::choose_given(const std::vector<double>& rounds) {
  const size_t count = spec_.targets.size();
  if (rounds.empty() || rounds.size() % count != 0)
    fail(Code::kArgument, "Expected `rounds` to hold a number for every target and round.");
  const size_t start = static_cast<size_t>(round_) % (rounds.size() / count) * count;
  for (size_t i = 0; i < count; ++i) select(i, at::full({lanes(), 1}, rounds[start + i], at::kFloat));
}

// What decides, higher first: the size of the weights, that times the gradient, or chance.
at::Tensor Selective::score(size_t target) {
  const auto value = own_.of(spec_.targets[target]).detach();
  const auto rule = spec_.options.text("rule", "random");
  if (rule == "magnitude") return value.abs();
  if (rule == "sensitivity") {
    const auto& gradient = own_.of(spec_.targets[target]).grad();
    return gradient.defined() ? (value * gradient).abs() : at::zeros_like(value);
  }
  if (rule != "random")
    fail(Code::kArgument, "Expected `rule` to be random, magnitude or sensitivity, got `" + rule + "`.");
  auto chance = at::empty_like(value);
  for (int64_t k = 0; k < lanes(); ++k) chance[k].uniform_(0, 1, draws_[k]);
  return chance;
}

// Within each target: the highest `share` of its rows, or of its values.
void Selective::choose_weights() {
  const double share = spec_.options.number("share", 0.5);
  const bool rows = spec_.options.text("grain", "module") == "row";
  const auto unit = whole_numbers(spec_.options.list("unit"));
  for (size_t i = 0; i < spec_.targets.size(); ++i) {
    const auto scores = score(i);  // drawn for all, so that what one target has does not depend on another
    if (!unit.empty() && unit[i] < 0) {
      select(i, at::ones({lanes(), 1}, at::kFloat));
      continue;
    }
    const bool matrix = scores.dim() > 2;
    const auto each = rows && matrix ? scores.flatten(2).mean(2) : scores.flatten(1);  // [k, units]
    const int64_t count = std::max<int64_t>(1, std::llround(share * static_cast<double>(each.size(1))));
    const auto best = std::get<1>(each.topk(count, 1));
    auto mask = at::zeros_like(each).scatter_(1, best, 1);
    select(i, rows && matrix ? mask.unsqueeze(2).expand_as(scores).contiguous() : mask.view_as(scores));
  }
}

// One number for each unit and lane: drawn, or the mean score of its values. [units][k]
std::vector<std::vector<double>> Selective::score_units(const std::vector<int64_t>& unit, size_t count) {
  std::vector<std::vector<double>> scores(count, std::vector<double>(lanes(), 0));
  if (spec_.options.text("rule", "random") == "random") {
    for (int64_t k = 0; k < lanes(); ++k) {
      const auto drawn = at::empty({static_cast<int64_t>(count)}, at::kDouble).uniform_(0, 1, draws_[k]);
      for (size_t u = 0; u < count; ++u) scores[u][k] = drawn[static_cast<int64_t>(u)].item<double>();
    }
    return scores;
  }
  std::vector<double> sizes(count, 0);
  for (size_t i = 0; i < unit.size(); ++i) {
    if (unit[i] < 0) continue;
    const auto values = score(i).flatten(1);
    const auto sums = values.sum(1);
    sizes[unit[i]] += static_cast<double>(values.size(1));
    for (int64_t k = 0; k < lanes(); ++k) scores[unit[i]][k] += sums[k].item<double>();
  }
  for (size_t u = 0; u < count; ++u)
    for (auto& sum : scores[u]) sum /= sizes[u];
  return scores;
}

// Of every group, a share of its units, those of the highest scores; where that is no whole number, some
// groups of a kind, drawn, have one more, so that the share of the kind is right (half fine-tuning: of three
// feed-forward matrices one or two).
std::vector<int64_t> Selective::choose_units(const Units& units, const std::vector<double>& scores,
                                             at::Generator& draws) const {
  const double share = spec_.options.number("share", 0.5);
  std::vector<int64_t> chosen;
  for (const auto& [kind, groups] : units) {
    const auto order =
        at::empty({static_cast<int64_t>(groups.size())}, at::kFloat).uniform_(0, 1, draws).argsort();
    double wanted = 0, taken = 0;
    for (size_t j = 0; j < groups.size(); ++j) {
      auto group = groups[order[static_cast<int64_t>(j)].item<int64_t>()];
      std::stable_sort(group.begin(), group.end(),
                       [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
      wanted += share * static_cast<double>(group.size());
      const auto size = static_cast<int64_t>(group.size());
      const int64_t count = std::clamp<int64_t>(std::llround(wanted - taken), 0, size);
      taken += static_cast<double>(count);
      chosen.insert(chosen.end(), group.begin(), group.begin() + count);
    }
  }
  return chosen;
}

void Selective::choose_modules() {
  const auto unit = whole_numbers(spec_.options.list("unit")),
             group = whole_numbers(spec_.options.list("group")),
             kind = whole_numbers(spec_.options.list("kind"));
  if (unit.size() != spec_.targets.size())
    fail(Code::kArgument, "Expected `unit` to hold a number for every target.");
  Units units;
  for (size_t g = 0; g < kind.size(); ++g) {
    std::vector<int64_t> members;
    for (size_t u = 0; u < group.size(); ++u)
      if (group[u] == static_cast<int64_t>(g)) members.push_back(static_cast<int64_t>(u));
    units[kind[g]].push_back(std::move(members));
  }
  const auto scores = score_units(unit, group.size());
  auto learns = at::zeros({lanes(), static_cast<int64_t>(group.size())}, at::kFloat);
  for (int64_t k = 0; k < lanes(); ++k) {
    std::vector<double> own;
    for (const auto& each : scores) own.push_back(each[k]);
    for (const auto u : choose_units(units, own, draws_[k])) learns[k][u] = 1;
  }
  for (size_t i = 0; i < unit.size(); ++i)
    select(i, unit[i] < 0 ? at::ones({lanes(), 1}, at::kFloat) : learns.narrow(1, unit[i], 1).contiguous());
}

void Selective::keep_more(const std::vector<int64_t>& lanes) {
  const auto index = at::tensor(lanes, at::kLong);
  for (auto& selection : selections_) {
    selection = std::make_shared<Selection>(*selection);  // a clone has the old one
    if (selection->mask.defined()) selection->mask = selection->mask.index_select(0, index);
  }
  std::vector<at::Generator> draws;
  for (const auto lane : lanes) draws.push_back(draws_[lane]);
  draws_ = std::move(draws);
}

}  // namespace cortune
