// Methods side by side.
#include "lane_set.h"

#include <numeric>

namespace cortune {

LaneSet::LaneSet(const Model& model, std::vector<MethodSpec> specs, int64_t outputs) {
  if (specs.empty()) fail(Code::kArgument, "Expected at least one method, got none.");
  for (auto& spec : specs) parts_.push_back({make_method(model, std::move(spec)), {}});
  number_lanes();
  if (outputs == 0) return;
  std::vector<uint64_t> seeds;
  for (int64_t k = 0; k < lanes(); ++k) seeds.push_back(spec(k).seed);
  head_ = std::make_shared<Head>(model, outputs, seeds);
}

void LaneSet::number_lanes() {
  int64_t first = 0;
  for (auto& part : parts_) {
    part.lanes = {first, part.method->lanes()};
    first += part.lanes.count;
  }
}

int64_t LaneSet::lanes() const { return parts_.back().lanes.first + parts_.back().lanes.count; }

void LaneSet::check(const Parameters& parameters) const {
  for (const auto& part : parts_) part.method->check(parameters);
}

std::vector<OwnParameter> LaneSet::parameter(const std::string& name) const {
  std::vector<OwnParameter> list;
  for (const auto& part : parts_)
    if (auto value = part.method->parameter(name); value.defined()) list.push_back({part.lanes, value});
  return list;
}

std::vector<LinearEffect> LaneSet::linear(const std::string& module) const {
  std::vector<LinearEffect> list;
  for (const auto& part : parts_)
    if (auto effect = part.method->linear(module)) {
      effect->lanes = part.lanes;
      list.push_back(std::move(*effect));
    }
  return list;
}

VirtualTokens LaneSet::virtual_tokens() const {
  VirtualTokens added;
  for (const auto& part : parts_) {
    if (auto tokens = part.method->prompt(); tokens.defined())
      added.prompts.push_back({part.lanes, tokens, part.method->deep_prompt()});
    if (auto states = part.method->prefix(); states.defined()) added.prefixes.push_back({part.lanes, states});
  }
  return added;
}

const LaneSet::Part& LaneSet::part_of(int64_t lane) const {
  for (const auto& part : parts_)
    if (lane >= part.lanes.first && lane < part.lanes.first + part.lanes.count) return part;
  fail(Code::kArgument,
       "Expected a lane from 0 to " + std::to_string(lanes() - 1) + ", got " + std::to_string(lane) + ".");
}

const LaneSpec& LaneSet::spec(int64_t lane) const {
  const auto& part = part_of(lane);
  return part.method->spec().lanes[lane - part.lanes.first];
}

std::vector<Trained> LaneSet::trainable() const {
  std::vector<Trained> list;
  for (const auto& part : parts_)
    part.method->visit([&](at::Tensor& stack, const Training& training) {
      if (stack.requires_grad()) list.push_back({part.lanes, stack, training});
    });
  if (head_) head_->visit([&](at::Tensor& stack) { list.push_back({{0, lanes()}, stack, {}}); });
  return list;
}

at::Tensor LaneSet::penalty() const {
  std::vector<at::Tensor> pieces;
  bool any = false;
  for (const auto& part : parts_) {
    auto piece = part.method->penalty();
    any = any || piece.defined();
    pieces.push_back(piece.defined() ? piece : at::zeros({part.lanes.count}, at::kFloat));
  }
  return any ? at::cat(pieces) : at::Tensor();
}

void LaneSet::before_step(int64_t step, int64_t steps) {
  for (auto& part : parts_) part.method->before_step(step, steps);
}

void LaneSet::before_update(int64_t step, int64_t steps) {
  for (auto& part : parts_) part.method->before_update(step, steps);
}

void LaneSet::after_step(const Update& update) {
  for (auto& part : parts_) {
    const auto first = update.clips.begin() + part.lanes.first;
    part.method->after_step({update.step, update.steps, {first, first + part.lanes.count}});
  }
}

void LaneSet::set_training(bool on) {
  for (auto& part : parts_) part.method->set_training(on);
}

NamedTensors LaneSet::state(int64_t lane) const {
  const auto& part = part_of(lane);
  auto state = part.method->state(lane - part.lanes.first);
  if (head_)
    for (auto& each : head_->state(lane)) state.push_back(std::move(each));
  return state;
}

NamedTensors LaneSet::saved(int64_t lane) const {
  const auto& part = part_of(lane);
  auto saved = part.method->saved(lane - part.lanes.first);
  if (head_)
    for (auto& each : head_->state(lane)) saved.push_back(std::move(each));
  return saved;
}

void LaneSet::start_from(const LaneSet& from) {
  if (from.lanes() != 1)
    fail(Code::kArgument, "Expected `from` to hold one lane, got " + std::to_string(from.lanes()) + ".");
  for (int64_t k = 0; k < lanes(); ++k) {
    auto start = from.state(0);
    if (head_ && !from.head_)
      for (auto& each : head_->state(k)) start.push_back(std::move(each));
    load(k, start);
  }
}

LaneSet LaneSet::part(const LaneRange& range) const {
  LaneSet set;
  for (const auto& each : parts_) set.parts_.push_back({each.method->clone(), each.lanes});
  if (head_) set.head_ = std::make_shared<Head>(*head_);
  std::vector<int64_t> lanes(range.count);
  std::iota(lanes.begin(), lanes.end(), range.first);
  set.keep(lanes);
  return set;
}

void LaneSet::keep(const std::vector<int64_t>& lanes) {
  std::vector<Part> kept;
  for (auto& part : parts_) {
    std::vector<int64_t> own;
    for (const auto lane : lanes)
      if (lane >= part.lanes.first && lane < part.lanes.first + part.lanes.count)
        own.push_back(lane - part.lanes.first);
    if (own.empty()) continue;
    part.method->keep(own);
    kept.push_back(std::move(part));
  }
  if (kept.empty()) fail(Code::kArgument, "Expected at least one lane to go on, got none.");
  parts_ = std::move(kept);
  number_lanes();
  if (head_) head_->keep(lanes);
}

int64_t LaneSet::bytes() const {
  int64_t bytes = 0;
  for (const auto& part : parts_) bytes += part.method->bytes();
  return bytes;
}

}  // namespace cortune
