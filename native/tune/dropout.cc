// Masks of dropout.
#include "dropout.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

#include "../hash.h"

namespace cortune {
LaneDropout::LaneDropout(const std::vector<LaneSpec>& lanes) {
  for (const auto& lane : lanes) {
    lanes_.push_back({lane.number("dropout", 0), lane.seed});
    if (!(lanes_.back().share >= 0 && lanes_.back().share < 1))
      fail(Code::kArgument,
           "Expected `dropout` to be from 0 to below 1, got " + std::to_string(lanes_.back().share) + ".");
  }
}

std::function<at::Tensor(int64_t rows)> LaneDropout::mask(const std::string& module, int64_t width) const {
  if (std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.share == 0; }))
    return nullptr;
  const uint64_t place = mix(hash_of(module) + static_cast<uint64_t>(step_));
  return [lanes = lanes_, place, width](int64_t rows) {
    auto mask = at::ones({static_cast<int64_t>(lanes.size()), rows, width}, at::kFloat);
    for (size_t k = 0; k < lanes.size(); ++k) {
      if (lanes[k].share == 0) continue;
      const auto draws = at::detail::createCPUGenerator(mix(lanes[k].seed ^ place));
      mask[static_cast<int64_t>(k)].bernoulli_(1 - lanes[k].share, draws).div_(1 - lanes[k].share);
    }
    return mask;
  };
}

void LaneDropout::keep(const std::vector<int64_t>& lanes) {
  std::vector<Lane> kept;
  for (const auto lane : lanes) kept.push_back(lanes_[lane]);
  lanes_ = std::move(kept);
}

}  // namespace cortune
